"""Pictures from files, folders and zips, as upright RGB, and the face in each."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from driver.align import TEMPLATE, align
from driver.errors import InputError

Pixels = NDArray[np.uint8]
Detector = Callable[[Pixels], Any]  # an RGB image -> (5, 2) landmarks of its foremost face, or None

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
MOST_PIXELS = 50_000_000  # a photograph; anything larger is a mistake or a decompression bomb
MOST_BYTES = 100_000_000  # the same for one file of a zip


def read_image(source: Path | bytes, name: str) -> Pixels:
    """An image (H, W, 3) RGB, turned upright by its EXIF tag. Raises InputError that calls it `name`."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError("image", name, f"has more than {MOST_PIXELS:,} pixels")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("image", name, "no such file") from None
    except Image.DecompressionBombError:
        raise InputError("image", name, f"has more than {MOST_PIXELS:,} pixels") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError("image", name, f"is no readable image ({error})") from None


class Pictures:
    """The images of a folder or a zip, by their path in it. To be used in a `with`. Raises InputError."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self._open = ExitStack()
        self._archive: zipfile.ZipFile | None = None
        if not source.is_dir():
            try:
                self._archive = self._open.enter_context(zipfile.ZipFile(source))
            except FileNotFoundError:
                raise InputError("images", str(source), "no such folder or zip") from None
            except (OSError, zipfile.BadZipFile) as error:
                raise InputError("images", str(source), f"is neither a folder nor a zip ({error})") from None
        self.names = sorted(name for name in self._all() if PurePosixPath(name).suffix.lower() in SUFFIXES)
        self._ends = {end: name for name in reversed(self.names) for end in _ends(name)}
        self._ends |= {name: name for name in self.names}

    def find(self, name: str) -> str:
        """The path of an image; `name` and `folder/name` may lie deeper. Raises InputError if none."""
        if name not in self._ends:
            raise InputError("images", str(self.source), f"lacks {name}")
        return self._ends[name]

    def read(self, name: str) -> Pixels:
        """The image at that path."""
        if self._archive is None:
            return read_image(self.source / name, name)
        with self._archive.open(name) as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError("image", name, f"has more than {MOST_BYTES:,} bytes")
        return read_image(data, name)

    def _all(self) -> Iterator[str]:
        if self._archive is not None:
            yield from (entry.filename for entry in self._archive.infolist() if not entry.is_dir())
        else:
            files = (path for path in self.source.rglob("*") if path.is_file())
            yield from (path.relative_to(self.source).as_posix() for path in files)

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()


def _ends(name: str) -> tuple[str, str]:
    """`file` and `folder/file` of a path."""
    parts = name.split("/")
    return parts[-1], "/".join(parts[-2:])


def face_of(
    image: Pixels, name: str, size: int, landmarks: Any = None, detect: Detector | None = None
) -> Pixels:
    """The face (size, size, 3): by its landmarks, else the image if it has that size, else detected.

    Raises InputError if there is no way to it.
    """
    if landmarks is not None:
        return align(image, landmarks, size)
    if image.shape[:2] == (size, size):
        return image
    shape = f"{image.shape[1]}x{image.shape[0]}"
    if detect is None:
        rule = f"is {shape}, not {size}x{size}; give --landmarks, or install the driver's extra `detector`"
        raise InputError("image", name, rule)
    found = detect(image)
    if found is None:
        raise InputError("image", name, "no face was found in it; give --landmarks, or another picture")
    return align(image, found, size)


def read_landmarks(path: Path) -> dict[str, NDArray[np.float64]]:
    """Landmarks (5, 2) by the name of the image. A line each: the name, then x and y of the five points.

    Raises InputError that names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("landmarks", str(path), f"cannot be read ({error})") from None
    landmarks = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, *values = line.rsplit(maxsplit=TEMPLATE.size)
        try:
            landmarks[name.strip()] = np.array(values, np.float64).reshape(TEMPLATE.shape)
        except ValueError:
            rule = f"line {number} is not a name and ten numbers: x and y of eyes, nose, corners of the mouth"
            raise InputError("landmarks", str(path), rule) from None
    return landmarks
