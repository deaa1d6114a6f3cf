from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model import face_cache as module
from model.data import Images, list_faces
from model.errors import UserError
from model.face_cache import cached_embeddings, cached_faces


@pytest.fixture
def files(tmp_path: Path) -> list[module.FaceFile]:
    """Five faces of two people, each of one grey, and a file that is no image."""
    for number in range(5):
        path = tmp_path / f"faces/p{number % 2}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (number,) * 3).save(path)
    (tmp_path / "faces/p0/broken.png").write_bytes(b"no image")
    return list_faces([tmp_path / "faces"])


def grey(faces: Images) -> NDArray[np.float64]:
    return faces.mean((1, 2)).astype(np.float64)


def test_faces_are_decoded_once(
    files: list[module.FaceFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 2)
    faces = cached_faces(files, 16, tmp_path / "cache")
    assert faces.images[:, 0, 0, 0].tolist() == [0, 2, 4, 1, 3]
    assert faces.identities == ("faces/p0",) * 3 + ("faces/p1",) * 2
    assert len(faces.rejected) == 1
    assert faces.rejected[0].startswith("faces:p0/broken.png: not a readable image")

    monkeypatch.setattr(module, "read_faces", None)
    again = cached_faces(files, 16, tmp_path / "cache")
    assert (again.key, again.identities, again.rejected) == (faces.key, faces.identities, faces.rejected)
    assert np.array_equal(again.images, faces.images)


def test_other_faces_are_cached_apart(files: list[module.FaceFile], tmp_path: Path) -> None:
    key = cached_faces(files, 16, tmp_path / "cache").key
    assert cached_faces(files[1:], 16, tmp_path / "cache").key != key
    assert cached_faces(files, 32, tmp_path / "cache").images.shape == (5, 32, 32, 3)
    Image.new("RGB", (20, 20)).save(tmp_path / "faces/p0/0.png")
    assert cached_faces(files, 16, tmp_path / "cache").key != key


def test_embedding_goes_on_where_it_stopped(
    files: list[module.FaceFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    faces = cached_faces(files, 16, tmp_path / "cache")
    seen: list[int] = []

    def embed(images: Images) -> NDArray[np.float64]:
        if len(seen) == 3:
            seen.append(-1)
            raise KeyboardInterrupt
        seen.extend(images[:, 0, 0, 0].tolist())
        return grey(images)

    with pytest.raises(KeyboardInterrupt):
        cached_embeddings(embed, "grey", faces, tmp_path / "cache")
    assert seen == [0, 0, 2, -1]  # the first time for the embedding's length
    result = cached_embeddings(embed, "grey", faces, tmp_path / "cache")
    assert seen == [0, 0, 2, -1, 4, 1, 3]
    assert result.dtype == np.float32
    assert result.tolist() == [[value] * 3 for value in (0, 2, 4, 1, 3)]
    assert np.array_equal(cached_embeddings(embed, "grey", faces, tmp_path / "cache"), result)
    assert len(seen) == 7


def test_a_broken_cache(files: list[module.FaceFile], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    faces = cached_faces(files, 16, cache)
    (cache / f"embeddings-{faces.key}-grey.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"^cache = '.*cache': cannot hold the embeddings \(.*\); empty it$"):
        cached_embeddings(grey, "grey", faces, cache)
    (cache / f"faces-{faces.key}.json").write_text("{}")
    with pytest.raises(UserError, match=r"^cache = '.*cache': cannot hold the faces \(.*\); empty it$"):
        cached_faces(files, 16, cache)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cache = '.*file': cannot hold the faces \(.*\); empty it$"):
        cached_faces(files, 16, tmp_path / "file")
