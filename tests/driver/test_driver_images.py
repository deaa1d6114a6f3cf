"""Pictures from files, folders and zips."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from driver import InputError
from driver.align import TEMPLATE
from driver.images import Pictures, face_of, read_image, read_landmarks


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
FILES = {"ada/one.png": png(NOISE), "ada/notes.txt": b"", "deep/er/ben/two.PNG": png(255 - NOISE)}


@pytest.fixture(params=["folder", "zip"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "zip":
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in FILES.items():
                archive.writestr(name, data)
        return path
    for name, data in FILES.items():
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(data)
    return tmp_path / "faces"


def test_images_are_listed_found_and_read(source: Path) -> None:
    with Pictures(source) as pictures:
        assert pictures.names == ["ada/one.png", "deep/er/ben/two.PNG"]
        assert pictures.find("one.png") == pictures.find("ada/one.png") == "ada/one.png"
        assert pictures.find("ben/two.PNG") == "deep/er/ben/two.PNG"
        assert pictures.find("deep/er/ben/two.PNG") == "deep/er/ben/two.PNG"
        assert np.array_equal(pictures.read("ada/one.png"), NOISE)
        with pytest.raises(InputError) as error:
            pictures.find("ben/one.png")
        assert str(error.value) == f"images = '{source}': lacks ben/one.png"


def test_a_source_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        Pictures(tmp_path / "x.zip")
    assert str(error.value) == f"images = '{tmp_path}/x.zip': no such folder or zip"
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(InputError) as error:
        Pictures(tmp_path / "x.zip")
    assert (
        str(error.value)
        == f"images = '{tmp_path}/x.zip': is neither a folder nor a zip (File is not a zip file)"
    )


def test_an_image_is_turned_upright_and_made_rgb(tmp_path: Path) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(grey).save(tmp_path / "a.png", exif=exif)
    got = read_image(tmp_path / "a.png", "a.png")
    assert np.array_equal(got, np.repeat(np.rot90(grey, -1)[..., None], 3, axis=2))


def test_images_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    with pytest.raises(InputError) as error:
        read_image(path, "a.jpg")
    assert str(error.value) == "image = 'a.jpg': no such file"
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"^image = 'a\.jpg': is no readable image \(cannot identify image"):
        read_image(path, "a.jpg")
    path.write_bytes(png(NOISE)[:2000])
    with pytest.raises(InputError, match=r"^image = 'a\.jpg': is no readable image \("):
        read_image(path, "a.jpg")
    path.write_bytes(png(NOISE))
    monkeypatch.setattr("driver.images.MOST_PIXELS", 112 * 112 - 1)
    with pytest.raises(InputError) as error:
        read_image(path, "a.jpg")
    assert str(error.value) == "image = 'a.jpg': has more than 12,543 pixels"


def test_a_file_of_a_zip_that_is_too_long_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("bomb.png", bytes(2000))
    monkeypatch.setattr("driver.images.MOST_BYTES", 1999)
    with Pictures(tmp_path / "faces.zip") as pictures, pytest.raises(InputError) as error:
        pictures.read("bomb.png")
    assert str(error.value) == "image = 'bomb.png': has more than 1,999 bytes"


def test_a_face_comes_by_landmarks_size_or_detector() -> None:
    photo = np.pad(NOISE, ((10, 30), (20, 40), (0, 0)))
    points = TEMPLATE + np.array((20, 10))
    assert np.array_equal(face_of(photo, "a", 112, points), NOISE)
    assert np.array_equal(face_of(photo, "a", 112, detect=lambda image: points), NOISE)
    assert face_of(NOISE, "a", 112, detect=lambda image: points) is NOISE


@pytest.mark.parametrize(
    ("detect", "rule"),
    [
        (None, "is 50x40, not 112x112; give --landmarks, or install the driver's extra `detector`"),
        (lambda image: None, "no face was found in it; give --landmarks, or another picture"),
    ],
)
def test_a_photograph_without_a_way_to_the_face_is_named(detect: Any, rule: str) -> None:
    with pytest.raises(InputError) as error:
        face_of(np.zeros((40, 50, 3), np.uint8), "a.jpg", 112, detect=detect)
    assert str(error.value) == f"image = 'a.jpg': {rule}"


def test_landmarks_are_read_with_names_that_have_spaces(tmp_path: Path) -> None:
    path = tmp_path / "points.txt"
    path.write_text("my face.jpg 1 2 3 4 5 6 7 8 9 10\n\nb.jpg 0 0.5 1 1 2 2 3 3 4 4\n")
    landmarks = read_landmarks(path)
    assert landmarks["my face.jpg"].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]
    assert landmarks["b.jpg"][0].tolist() == [0, 0.5]


@pytest.mark.parametrize("line", ["a.jpg 1 2 3", "a.jpg 1 2 3 4 5 6 7 8 9 ten"])
def test_a_bad_line_of_landmarks_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "points.txt"
    path.write_text(f"b.jpg 1 2 3 4 5 6 7 8 9 10\n{line}\n")
    with pytest.raises(InputError) as error:
        read_landmarks(path)
    rule = "line 2 is not a name and ten numbers: x and y of eyes, nose, corners of the mouth"
    assert str(error.value) == f"landmarks = '{path}': {rule}"


def test_a_file_of_landmarks_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^landmarks = '.*x\.txt': cannot be read \("):
        read_landmarks(tmp_path / "x.txt")
