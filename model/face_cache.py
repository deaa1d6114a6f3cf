"""What training needs of each face, computed once: its pixels, and what the teacher makes of them.

Both lie in a folder that the user names, as plain `.npy` files that are mapped into memory: 37 kB a face of
112 x 112, so that a step costs the student's arithmetic and nothing else. A file is used again while the list
of faces (and for embeddings the teacher's file) is the same; its name says so by a hash. Embedding is resumed
where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.console import progress
from model.data import FaceFile, Images, read_faces
from model.errors import UserError
from model.evaluate import Embed

CHUNK = 512  # faces decoded at a time
BATCH = 16  # faces embedded at a time


@dataclass(frozen=True)
class CachedFaces:
    """images: uint8 (N, size, size, 3), mapped. identities: one each. rejected: `file: reason` lines."""

    key: str
    images: Images
    identities: tuple[str | None, ...]
    rejected: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def cached_faces(files: Sequence[FaceFile], size: int, folder: Path) -> CachedFaces:
    """The decoded faces of `files`, from `folder` or decoded into it; unreadable ones are named and left out.

    Raises UserError("cache", ...) if the folder cannot be written or what lies there is broken.
    """
    key = _key(files, size)
    pixels, listing = folder / f"faces-{key}.npy", folder / f"faces-{key}.json"
    try:
        if not listing.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            _decode(files, size, pixels, listing)
        known = json.loads(listing.read_text(encoding="utf-8"))
        identities = tuple(known["identities"])
        images = np.load(pixels, mmap_mode="r")[: len(identities)]
        return CachedFaces(key, images, identities, tuple(known["rejected"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError("cache", str(folder), f"cannot hold the faces ({error}); empty it") from None


def cached_embeddings(embed: Embed, name: str, faces: CachedFaces, folder: Path) -> NDArray[np.float32]:
    """What `embed` makes of each face, (N, E), from `folder` or computed into it; `name` identifies `embed`.

    Raises UserError("cache", ...) as above.
    """
    path = folder / f"embeddings-{faces.key}-{name}.npy"
    try:
        if not path.is_file():
            _embed(embed, faces, path)
        return np.load(path)
    except (OSError, EOFError, ValueError) as error:
        raise UserError("cache", str(folder), f"cannot hold the embeddings ({error}); empty it") from None


def _key(files: Sequence[FaceFile], size: int) -> str:
    """Hash of the list and of the size and time of each zip or file in it."""
    digest = hashlib.sha256(str(size).encode())
    stats: dict[Path, os.stat_result] = {}
    for file in files:
        path = file.source if file.source.is_file() else file.source / file.name
        if path not in stats:
            stats[path] = path.stat()
        about = (file.source.name, file.name, file.identity, stats[path].st_size, stats[path].st_mtime_ns)
        digest.update(repr(about).encode())
    return digest.hexdigest()[:16]


def _decode(files: Sequence[FaceFile], size: int, pixels: Path, listing: Path) -> None:
    aside = pixels.with_suffix(".part")
    array = np.lib.format.open_memmap(aside, "w+", np.uint8, (len(files), size, size, 3))
    identities: list[str | None] = []
    rejected: list[str] = []
    for start in progress(range(0, len(files), CHUNK), "decoding faces"):
        faces = read_faces(files[start : start + CHUNK], size)
        array[len(identities) : len(identities) + len(faces)] = faces.images
        identities += faces.identities
        rejected += [f"{file}: {reason}" for file, reason in faces.rejected]
    array.flush()
    os.replace(aside, pixels)
    _write(listing, json.dumps({"identities": identities, "rejected": rejected}).encode())


def _embed(embed: Embed, faces: CachedFaces, path: Path) -> None:
    """Rows not yet computed are NaN, in a file aside that a second run goes on with."""
    aside = path.with_suffix(".part")
    if not aside.is_file():
        length = embed(faces.images[[0]]).shape[1]
        np.lib.format.open_memmap(aside, "w+", np.float32, (len(faces), length))[:] = np.nan
    array = np.lib.format.open_memmap(aside, "r+")
    missing = np.flatnonzero(np.isnan(array[:, 0]))
    for start in progress(range(0, len(missing), BATCH), "embedding faces with the teacher"):
        rows = missing[start : start + BATCH]
        array[rows] = embed(faces.images[rows])
    array.flush()
    os.replace(aside, path)


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    os.replace(aside, path)
