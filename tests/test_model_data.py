"""Images from outside: turned upright, never too large, and a reason for each that is left out."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import FaceFile, example_faces, list_faces, pixels, read_exclusions, read_faces, square
from model.errors import UserError

ORIENTATION = 0x0112  # EXIF's tag

# How a picture with each value of the tag is to be turned to stand upright, on (H, W, 3).
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and ends where its pixels would start."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    size, checksum = struct.pack(">I", 13), struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + size + header + checksum + struct.pack(">I", 0) + b"IDAT"


def reason_for(path: Path) -> str:
    """Why the image at `path` is left out."""
    faces = read_faces([FaceFile(path.parent, path.name)], 16)
    assert len(faces) == 0
    assert faces.images.shape == (0, 16, 16, 3)
    return faces.rejected[0][1]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photograph_is_turned_upright_by_its_exif_tag(tmp_path: Path, orientation: int) -> None:
    stored, exif = noise(16, 16), Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    faces = read_faces(list_faces([tmp_path]), 16)
    assert np.array_equal(faces.images[0], UPRIGHT[orientation](stored))


def test_the_centre_is_cut_out_after_turning() -> None:
    """A wide image that stands upright is tall: rows are cut off, not columns."""
    stored = noise(16, 24)
    image = Image.fromarray(stored)
    image.getexif()[ORIENTATION] = 6
    assert np.array_equal(square(image, 16), np.rot90(stored, -1)[4:20])


def test_transparency_and_grey_become_rgb() -> None:
    stored = noise(16, 16)
    transparent = np.dstack([stored, np.zeros((16, 16), np.uint8)])
    assert np.array_equal(square(Image.fromarray(transparent), 16), stored)
    grey = square(Image.fromarray(stored[:, :, 0]), 16)
    assert np.array_equal(grey, np.repeat(stored[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (10_000, 5_001, "10000x5001 pixels, more than 50,000,000"),
        (10_000, 9_500, "more than 50,000,000 pixels"),  # Pillow warns
        (60_000, 60_000, "more than 50,000,000 pixels"),  # Pillow raises
        (10_000, 5_000, "not a readable image (image file is truncated)"),  # large enough to be tried
    ],
)
def test_more_than_50_megapixels_are_not_decoded(
    tmp_path: Path, width: int, height: int, reason: str
) -> None:
    (tmp_path / "large.png").write_bytes(png_header(width, height))
    assert reason_for(tmp_path / "large.png") == reason


def test_a_file_of_a_zip_is_not_read_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/1.png", bytes(101))
    monkeypatch.setattr("model.data.MAX_BYTES", 100)
    faces = read_faces(list_faces([archive]), 16)
    assert faces.rejected == (
        (FaceFile(archive, "a/1.png", "faces/a"), "not a readable image (more than 100 bytes)"),
    )


def test_an_image_that_vanished_is_left_out(tmp_path: Path) -> None:
    assert reason_for(tmp_path / "gone.png") == "not a readable image (No such file or directory)"


def test_faces_of_nobody_in_particular_have_no_identity(tmp_path: Path) -> None:
    for name in ("top.png", "unknown/1.png", "a/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(noise(16, 16)).save(tmp_path / name)
    found = {file.name: file.identity for file in list_faces([tmp_path])}
    assert found == {"a/1.png": f"{tmp_path.name}/a", "top.png": None, "unknown/1.png": None}


def test_example_faces_are_distinct_and_the_same_every_time() -> None:
    faces = example_faces(64, 32)
    assert faces.shape == (64, 32, 32, 3)
    assert len({face.tobytes() for face in faces}) == 64
    assert (example_faces(3, 32) == faces[:3]).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/1.png", "a/2.png", "a/1.png"):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), 7, np.uint8)).save(path)
    (tmp_path / "faces" / "a" / "3.png").write_bytes(b"no image")
    return tmp_path / "faces"


def test_faces_of_a_folder_and_of_a_zip_are_the_same(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "faces.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.png"):
            file.write(path, path.relative_to(folder).as_posix())
    for source in (folder, archive):
        files = list_faces([source])
        assert [file.name for file in files] == ["a/1.png", "a/2.png", "a/3.png", "b/1.png"]
        assert {file.identity for file in files} == {"faces/a", "faces/b"}
        faces = read_faces(files, 16)
        assert faces.images.shape == (3, 16, 16, 3)
        assert [file.name for file, _ in faces.rejected] == ["a/3.png"]
    assert [file.name for file in list_faces([folder], ["faces/a"])] == ["b/1.png"]


def test_a_corrupt_image_is_named_when_asked_strictly(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_faces(list_faces([folder]), 16, strict=True)
    rule = f"not a readable image (cannot identify image file {str(folder / 'a/3.png')!r})"
    assert str(caught.value) == f"image = 'faces:a/3.png': {rule}"


def test_an_exclusion_list_skips_comments(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# known\n\nfaces/a\n")
    assert read_exclusions(tmp_path / "list.txt") == ["faces/a"]


def test_pixels_are_centred() -> None:
    x = pixels(np.array([[[[0, 128, 255]]]], np.uint8))
    assert x.flatten().tolist() == [-128, 0, 127]


def folder_without_images(folder: Path) -> Path:
    (folder / "notes.txt").touch()
    return folder


def file_that_is_no_zip(folder: Path) -> Path:
    (folder / "a.zip").write_bytes(b"no zip")
    return folder / "a.zip"


def zip_that_points_outside(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        file.writestr("../out.png", b"")
    return folder / "a.zip"


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda folder: folder / "none", "does not exist"),
        (folder_without_images, "holds no image (.bmp, .jpeg, .jpg, .png, .webp)"),
        (file_that_is_no_zip, "is neither a folder nor a zip (File is not a zip file)"),
        (zip_that_points_outside, "its entry '../out.png' points outside of the zip"),
    ],
)
def test_a_source_without_images_is_refused(tmp_path: Path, make: Callable[[Path], Path], rule: str) -> None:
    source = make(tmp_path)
    with pytest.raises(UserError) as caught:
        list_faces([source])
    assert str(caught.value) == f"images = {str(source)!r}: {rule}"


def test_an_exclusion_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.txt"
    with pytest.raises(UserError) as caught:
        read_exclusions(path)
    assert str(caught.value) == f"exclude = {str(path)!r}: cannot be read as text (No such file or directory)"
