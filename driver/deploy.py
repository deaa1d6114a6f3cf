"""The deploy folder that a build packages: `manifest.json` and the files it names, each with its SHA-256.

The manifest says how the accelerator is to be driven; nothing about it is written down twice. All of it is
checked before the device is touched: a wrong bitfile can hang a board.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.errors import DeployError

MANIFEST = "manifest.json"
FORMAT = 1  # of the manifest; another number is another driver's
CHUNK = 1 << 20  # bytes hashed at a time


@dataclass(frozen=True)
class Stream:
    """One end of the accelerator. shape: of one frame; bits: of TDATA; item: bytes of a number."""

    shape: tuple[int, ...]
    datatype: str
    bits: int
    item: int

    @property
    def count(self) -> int:
        """Numbers in a frame."""
        return int(np.prod(self.shape))

    @property
    def frame_bytes(self) -> int:
        """Bytes that a frame takes in memory."""
        return self.count * self.item

    @property
    def beats(self) -> int:
        """Transfers on the stream per frame."""
        return 8 * self.frame_bytes // self.bits


@dataclass(frozen=True)
class Deployment:
    """A checked deploy folder.

    bitfile: None where the build ran without Vivado. clock_mhz: that it was built for. fps: frames a second
    by the simulation. latency_s: of one frame. scale, offset: (E,) float64, embedding = scale * accumulators
    + offset before it is normalised. thresholds: least cosine of two faces of one person, by what it was
    chosen for (`accuracy`, `far_1e-3`); empty where it was not measured. manifest: all of it, as it stands.
    """

    folder: Path
    name: str
    board: str
    bitfile: Path | None
    dma: str
    input: Stream
    output: Stream
    pixel_offset: int
    clock_mhz: float
    fps: float
    latency_s: float
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    thresholds: dict[str, float]
    manifest: dict[str, Any]


def open_deployment(path: Path | str) -> Deployment:
    """The deployment in a folder, or that of a bitfile. Raises DeployError that says what is wrong."""
    folder = _folder(Path(path))
    manifest = _read_manifest(folder / MANIFEST)
    _check_files(folder, manifest)
    try:
        return _deployment(folder, manifest)
    except (KeyError, TypeError, ValueError, OSError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DeployError(f"{folder / MANIFEST}: {reason}; package the build again") from None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's contents."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _folder(path: Path) -> Path:
    """The folder that holds the manifest: the path itself, or one above a bitfile."""
    if path.is_dir():
        candidates = [path]
    elif path.is_file():
        candidates = [path.parent, path.parent.parent]
    else:
        raise DeployError(f"{path}: no such file or folder; give the deploy folder of a build")
    for folder in candidates:
        if (folder / MANIFEST).is_file():
            return folder
    raise DeployError(f"{path}: no {MANIFEST} there; give the deploy folder of a build")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeployError(f"{path}: cannot be read ({error}); copy the deploy folder again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise DeployError(
            f"{path}: format {found!r}; this driver reads format {FORMAT}, install the wheel beside it"
        )
    return manifest


def _check_files(folder: Path, manifest: dict[str, Any]) -> None:
    """Compare each file with its hash. Files that the manifest does not name are let be."""
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise DeployError(f"{folder / MANIFEST}: names no files; package the build again")
    for name, expected in files.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise DeployError(f"{folder / MANIFEST}: {name!r} is outside of the deploy folder")
        path = folder / name
        if not path.is_file():
            raise DeployError(f"{path}: missing; copy the deploy folder again")
        if file_hash(path) != expected:
            raise DeployError(
                f"{path}: its SHA-256 is not that of the manifest; copy the deploy folder again"
            )


def _deployment(folder: Path, manifest: dict[str, Any]) -> Deployment:
    bitfile = manifest["bitfile"]
    if bitfile is not None and bitfile not in manifest["files"]:
        raise ValueError(f"bitfile {bitfile!r} is not among its files")
    output = _stream(manifest["output"], 4)
    with np.load(folder / "host.npz", allow_pickle=False) as host:
        scale, offset = (np.asarray(host[name], np.float64) for name in ("scale", "offset"))
    if scale.shape != offset.shape or scale.shape != (output.count,):
        raise ValueError(f"host.npz has {scale.shape} and {offset.shape}, not {output.count} numbers each")
    clock = float(manifest["clock_mhz"])
    return Deployment(
        folder=folder,
        name=str(manifest["name"]),
        board=str(manifest["board"]),
        bitfile=None if bitfile is None else folder / bitfile,
        dma=str(manifest["dma"]),
        input=_stream(manifest["input"], 1),
        output=output,
        pixel_offset=int(manifest["input"]["pixel_offset"]),
        clock_mhz=clock,
        fps=float(manifest["fps"]),
        latency_s=int(manifest["latency_cycles"]) / (clock * 1e6),
        scale=scale,
        offset=offset,
        thresholds={key: float(value) for key, value in manifest["thresholds"].items()},
        manifest=manifest,
    )


def _stream(fields: dict[str, Any], item: int) -> Stream:
    stream = Stream(tuple(fields["shape"][1:]), str(fields["datatype"]), int(fields["stream_bits"]), item)
    if stream.bits < 8 or 8 * stream.frame_bytes % stream.bits:
        # The next frame would begin in mid-beat, and the DMA has no way to send a part of one.
        raise ValueError(f"a frame of {stream.frame_bytes} bytes is not whole beats of {stream.bits} bits")
    return stream
