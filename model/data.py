"""Face images from folders, zips and insightface's files, without ever unpacking one; free example faces.

An image's identity is the folder that holds it, written `source/folder` (`celeb299-112/07218` for that
folder of `celeb299-112.zip`), the form that exclusion lists use. An image at the top of its source, or in a
folder called `unknown`, has no identity. In a `.rec` the identity is the number of its person.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from model.errors import UserError
from model.insightface import Bin, Records
from model.network import PIXEL_OFFSET

Images = NDArray[np.uint8]
Archive = zipfile.ZipFile | Records | Bin

RECORDS: dict[str, type[Records] | type[Bin]] = {".rec": Records, ".bin": Bin}
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
NO_IDENTITY = "unknown"  # a folder of this name holds faces of people who are not told apart
MAX_PIXELS = 50_000_000  # a photograph; anything larger is a mistake or a decompression bomb
MAX_BYTES = 100_000_000  # the same for one file of a zip, whose size may be a lie of the zip's


@dataclass(frozen=True, order=True)
class FaceFile:
    """One image: its folder or zip, its path in there, whose face it is (None: not known)."""

    source: Path
    name: str
    identity: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.source.name}:{self.name}"


@dataclass(frozen=True)
class Faces:
    """Decoded faces: images uint8 (N, size, size, 3) RGB, an identity each, and what could not be read."""

    images: Images
    identities: tuple[str | None, ...]
    rejected: tuple[tuple[FaceFile, str], ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def list_faces(sources: Iterable[Path], exclude: Iterable[str] = ()) -> list[FaceFile]:
    """All images of the folders and zips, sorted, without those of the identities in `exclude`.

    Raises UserError("images", ...) for a source that does not exist, is no folder and no zip, or holds no
    image, and for a zip with an entry that points outside of it.
    """
    excluded = frozenset(exclude)
    result: list[FaceFile] = []
    for source in sources:
        files = _records(source) if source.suffix in RECORDS and source.is_file() else _files(source)
        result += [file for file in files if file.identity not in excluded]
    return sorted(result)


def read_exclusions(path: Path) -> list[str]:
    """The identities of an exclusion list: one `source/folder` a line; empty and # lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("exclude", str(path), f"cannot be read as text ({_reason(error)})") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def read_faces(files: Sequence[FaceFile], size: int = 112, *, strict: bool = False) -> Faces:
    """Decode `files` to `size` x `size`, in their order.

    An image that cannot be read is left out and named in `rejected`; with `strict` it raises
    UserError("image", ...).
    """
    images, identities, rejected = [], [], []
    for file, result in _decoded(files, size):
        if isinstance(result, str):
            if strict:
                raise UserError("image", str(file), result)
            rejected.append((file, result))
        else:
            images.append(result)
            identities.append(file.identity)
    stacked = np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8)
    return Faces(stacked, tuple(identities), tuple(rejected))


def square(image: Image.Image, size: int) -> Images:
    """An image as (size, size, 3) RGB: turned upright by its EXIF tag, the largest centred square, resized.

    Resizing is Pillow's bilinear filter (antialiased when it shrinks). An image that has the size already
    is taken as it is, pixel for pixel. Transparency is dropped.
    """
    upright = ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != (size, size):
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(upright, np.uint8)


def pixels(images: Images) -> Tensor:
    """The network's input: (N, H, W, 3) uint8 -> float32 (N, 3, H, W), minus 128."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() - PIXEL_OFFSET


def example_faces(count: int, size: int = 112) -> Images:
    """`count` distinct faces with a free licence, uint8 (count, size, size, 3), the same ones every time.

    They are views of one photograph, NASA's portrait of Eileen Collins (public domain) that scikit-image
    ships as `astronaut`: cut out to the ArcFace template (112 x 112, eyes at 38,52 and 74,52), and from the
    second one on mirrored, shifted, scaled, turned and lit differently.
    """
    astronaut = _astronaut()
    rng = np.random.default_rng(0)
    views = []
    for index in range(count):
        vary = 0.0 if index == 0 else 1.0
        zoom, angle = math.exp(vary * rng.uniform(-0.15, 0.15)), vary * rng.uniform(-0.25, 0.25)
        shift = vary * rng.uniform(-8, 8, 2)
        view = _view(astronaut, size, zoom, angle, shift, mirrored=index % 2 == 1)
        gain, bias = 1 + vary * rng.uniform(-0.35, 0.35), vary * rng.uniform(-30, 30)
        views.append(np.clip(np.round((view - 128.0) * gain + 128 + bias), 0, 255).astype(np.uint8))
    return np.stack(views) if views else np.zeros((0, size, size, 3), np.uint8)


# x, y of eyes, nose and mouth corners in scikit-image's astronaut, and in ArcFace's 112 x 112 template
ASTRONAUT_POINTS = ((204.2, 100.8), (246.7, 103.3), (225.0, 126.7), (205.8, 140.8), (243.3, 140.8))
TEMPLATE_POINTS = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))


def _view(
    photo: Image.Image, size: int, zoom: float, angle: float, shift: NDArray[np.float64], *, mirrored: bool
) -> Images:
    """The photograph seen through the template, moved by zoom, angle (rad) and shift (pixels of 112).

    The similarity transform is the least-squares one between the five points, as complex numbers.
    """
    source = np.array([complex(*point) for point in ASTRONAUT_POINTS])
    target = np.array([complex(*point) for point in TEMPLATE_POINTS])
    centred = target - target.mean()
    turn = (centred.conj() @ (source - source.mean())) / (centred.conj() @ centred)
    turn *= complex(math.cos(angle), math.sin(angle)) / zoom
    middle = source.mean() - turn * (target.mean() + complex(*shift))
    turn *= 112 / size
    matrix = (turn.real, -turn.imag, middle.real, turn.imag, turn.real, middle.imag)
    big = photo.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.asarray(ImageOps.mirror(big) if mirrored else big, np.uint8)


@cache
def _astronaut() -> Image.Image:
    import skimage  # a large import that only this needs

    return Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")


def _records(source: Path) -> list[FaceFile]:
    """The images of one of insightface's files."""
    try:
        with closing(RECORDS[source.suffix](source)) as archive:
            people = archive.people().items()
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError("images", str(source), f"is no file of insightface's ({error})") from None
    return [FaceFile(source, key, person and f"{source.stem}/{person}") for key, person in people]


def _files(source: Path) -> list[FaceFile]:
    """The images of a folder or zip."""
    names = [name for name in _names(source) if PurePosixPath(name).suffix.lower() in SUFFIXES]
    if not names:
        raise UserError("images", str(source), f"holds no image ({', '.join(sorted(SUFFIXES))})")
    return [FaceFile(source, name, _identity(source, name)) for name in names]


def _names(source: Path) -> list[str]:
    """Paths of the files in a folder or zip, relative to it, with forward slashes."""
    if source.is_dir():
        return [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    if not source.exists():
        raise UserError("images", str(source), "does not exist")
    try:
        with zipfile.ZipFile(source) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError("images", str(source), f"is neither a folder nor a zip ({_reason(error)})") from None
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise UserError("images", str(source), f"its entry {name!r} points outside of the zip")
    return names


def _identity(source: Path, name: str) -> str | None:
    folder = PurePosixPath(name).parent
    if folder == PurePosixPath(".") or folder.name == NO_IDENTITY:
        return None
    return f"{source.stem if source.is_file() else source.name}/{folder}"


def _decoded(files: Sequence[FaceFile], size: int) -> Iterator[tuple[FaceFile, Images | str]]:
    """Each file with its image, or with the reason why there is none; each zip is opened once."""
    archives: dict[Path, Archive] = {}
    try:
        for file in files:
            if file.source.is_file() and file.source not in archives:
                archives[file.source] = RECORDS.get(file.source.suffix, zipfile.ZipFile)(file.source)
            yield file, _decode(file, archives.get(file.source), size)
    finally:
        for archive in archives.values():
            archive.close()


def _decode(file: FaceFile, archive: Archive | None, size: int) -> Images | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(_open(file, archive)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    return f"{width}x{height} pixels, more than {MAX_PIXELS:,}"
                return square(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"more than {MAX_PIXELS:,} pixels"
    except (OSError, ValueError, SyntaxError, KeyError, zipfile.BadZipFile) as error:
        return f"not a readable image ({_reason(error)})"


def _open(file: FaceFile, archive: Archive | None) -> io.BytesIO | Path:
    if archive is None:
        return file.source / file.name
    if not isinstance(archive, zipfile.ZipFile):
        return io.BytesIO(archive.image(file.name))
    with archive.open(file.name) as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    return io.BytesIO(data)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
