"""The gallery: who is enrolled, who it is, and what a file must hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driver import Gallery, InputError, Match

ADA, BEN, CLEO = np.eye(4, dtype=np.float32)[:3]


@pytest.fixture
def gallery() -> Gallery:
    gallery = Gallery(threshold=0.5)
    gallery.enrol("ada", ADA)
    gallery.enrol("ben", np.stack([BEN, BEN + 0.5 * CLEO]))
    return gallery


def test_the_most_similar_person_is_named(gallery: Gallery) -> None:
    assert gallery.identify(3 * ADA) == Match("ada", 1.0)
    assert gallery.identify(BEN) == Match("ben", 1.0)
    match = gallery.identify(BEN + CLEO)  # nearer to the second of ben's
    assert match.name == "ben"
    assert match.cosine == pytest.approx(1.5 / np.sqrt(1.25 * 2), abs=1e-6)


def test_a_stranger_is_nobody(gallery: Gallery) -> None:
    assert gallery.identify(-ADA) == Match(None, 0.0)
    many = gallery.identify_all(np.stack([ADA, -BEN]))
    assert many == [Match("ada", 1.0), Match(None, 0.0)]


def test_the_threshold_itself_is_enough() -> None:
    gallery = Gallery(threshold=0.6)
    gallery.enrol("ada", ADA)
    at = np.array([0.6, 0.8, 0, 0], np.float32)
    assert gallery.identify(at).name == "ada"
    assert gallery.identify(at - (0.001, 0, 0, 0)).name is None


def test_verify_looks_at_one_person_alone(gallery: Gallery) -> None:
    assert gallery.verify("ada", ADA) == Match("ada", 1.0)
    assert gallery.verify("ada", BEN) == Match(None, 0.0)


def test_names_and_removal(gallery: Gallery) -> None:
    assert (gallery.names, len(gallery)) == (["ada", "ben"], 3)
    gallery.remove("ben")
    assert (gallery.names, len(gallery)) == (["ada"], 1)
    assert gallery.identify(BEN) == Match(None, 0.0)
    gallery.remove("ada")
    gallery.enrol("cleo", np.ones(7))  # an empty one takes any length
    assert gallery.names == ["cleo"]


@pytest.mark.parametrize("empty", [False, True])
def test_what_is_saved_is_loaded(gallery: Gallery, tmp_path: Path, empty: bool) -> None:
    if empty:
        gallery = Gallery(-0.25)
    gallery.save(tmp_path / "people.npz")
    loaded = Gallery.load(tmp_path / "people.npz")
    assert (loaded.names, len(loaded), loaded.threshold) == (gallery.names, len(gallery), gallery.threshold)
    if not empty:
        assert loaded.identify_all(np.stack([ADA, BEN, CLEO])) == gallery.identify_all([ADA, BEN, CLEO])
    assert [path.name for path in tmp_path.iterdir()] == ["people.npz"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda g: g.enrol("", ADA), "name = '': give a person's name"),
        (lambda g: g.enrol(" ", ADA), "name = ' ': give a person's name"),
        (
            lambda g: g.enrol("x", np.ones(3)),
            "embeddings = (1, 3): those enrolled have 4 numbers; use one accelerator for all",
        ),
        (
            lambda g: g.enrol("x", np.ones((1, 1, 4))),
            "embeddings = (1, 1, 4): give finite numbers of shape (E,) or (N, E)",
        ),
        (
            lambda g: g.enrol("x", [np.nan] * 4),
            "embeddings = (1, 4): give finite numbers of shape (E,) or (N, E)",
        ),
        (
            lambda g: g.enrol("x", np.zeros((0, 4))),
            "embeddings = (0, 4): give finite numbers of shape (E,) or (N, E)",
        ),
        (lambda g: g.verify("x", ADA), "name = 'x': is not enrolled; enrolled: ada, ben"),
        (lambda g: g.remove("x"), "name = 'x': is not enrolled; enrolled: ada, ben"),
        (lambda g: Gallery(0.5).identify(ADA), "gallery = []: nobody is enrolled"),
        (lambda g: Gallery(0.5).verify("x", ADA), "gallery = []: nobody is enrolled"),
        (
            lambda g: Gallery(1.5),
            "threshold = 1.5: give a cosine from -1 to 1, e.g. that of the evaluation",
        ),
        (
            lambda g: Gallery(None),
            "threshold = None: give a cosine from -1 to 1, e.g. that of the evaluation",
        ),
    ],
)
def test_bad_input_is_refused_and_nothing_changes(
    gallery: Gallery, act: Callable[[Gallery], Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        act(gallery)
    assert str(error.value) == message
    assert (gallery.names, len(gallery)) == (["ada", "ben"], 3)


def test_a_file_that_is_no_gallery_is_named(tmp_path: Path) -> None:
    path = tmp_path / "people.npz"
    with pytest.raises(InputError) as error:
        Gallery.load(path)
    assert str(error.value) == f"gallery = '{path}': no such file"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match=r"^gallery = '.*people\.npz': is no gallery \(.*\)$"):
        Gallery.load(path)
    np.savez(path, names=np.array(["ada"]), threshold=0.5)
    with pytest.raises(
        InputError, match=r"^gallery = '.*': is no gallery \(.*embeddings is not a file in the"
    ):
        Gallery.load(path)
    np.savez(path, names=np.array(["ada", "ben"]), embeddings=ADA[None], threshold=0.5)
    with pytest.raises(InputError, match=r"is no gallery \(2 names, 1 embeddings\)$"):
        Gallery.load(path)


def test_a_gallery_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "people.npz"
    np.savez(path, names=np.array([{}], object), embeddings=ADA[None], threshold=0.5)
    with pytest.raises(InputError, match="Object arrays cannot be loaded when allow_pickle=False"):
        Gallery.load(path)
