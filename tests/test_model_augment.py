from __future__ import annotations

import numpy as np
import pytest
import torch

from model.augment import COLUMNS, augment, blurred, draw, moved, recompressed
from model.data import example_faces, pixels
from model.train_settings import Augmentation

FACES = example_faces(6, 48)
CPU = torch.device("cpu")
OFF = Augmentation(mirror=0.0)


def changed(**strength: float) -> torch.Tensor:
    return augment(FACES, Augmentation(**{"mirror": 0.0, **strength}), draw(6, 0, 0), CPU)


def test_nothing_is_changed_when_all_is_off() -> None:
    assert torch.equal(changed(), pixels(FACES))


def test_a_mirror_image_is_all_that_1_leaves() -> None:
    assert torch.equal(changed(mirror=1.0), pixels(FACES).flip(3))


@pytest.mark.parametrize("name", ["shift", "zoom", "brightness", "contrast", "blur", "jpeg"])
def test_each_change_keeps_the_face_and_the_range(name: str) -> None:
    strength = 1.0 if name in ("blur", "jpeg") else 0.1
    x, before = changed(**{name: strength}), pixels(FACES)
    assert not torch.equal(x, before)
    assert x.dtype == torch.float32
    assert torch.equal(x, x.round())
    assert x.min() >= -128
    assert x.max() <= 127
    for a, b in zip(x, before, strict=True):
        assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.5


def test_shifts_are_whole_pixels_where_asked() -> None:
    x, step = pixels(FACES), torch.full((6,), 2 * 3 / 48)
    right = moved(x, step, torch.zeros(6), torch.ones(6))
    torch.testing.assert_close(right[:, :, :, 3:], x[:, :, :, :-3], rtol=0, atol=1e-2)
    torch.testing.assert_close(right[:, :, :, :3], x[:, :, :, :1].expand(-1, -1, -1, 3), rtol=0, atol=1e-2)
    down = moved(x, torch.zeros(6), step, torch.ones(6))
    torch.testing.assert_close(down[:, :, 3:], x[:, :, :-3], rtol=0, atol=1e-2)


def test_a_blur_leaves_flat_areas_and_the_mean() -> None:
    flat = torch.full((1, 3, 8, 8), 17.0)
    torch.testing.assert_close(blurred(flat), flat)
    point = torch.zeros(1, 3, 5, 5)
    point[:, :, 2, 2] = 16
    assert blurred(point)[0, 0, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_only_the_chosen_are_recompressed() -> None:
    chosen = np.array([True, False] * 3)
    result = recompressed(FACES, chosen, np.zeros(6))
    assert [not np.array_equal(a, b) for a, b in zip(result, FACES, strict=True)] == chosen.tolist()
    assert result[0].shape == FACES[0].shape


def test_draws_follow_from_seed_and_step() -> None:
    assert draw(5, 1, 2).shape == (5, len(COLUMNS))
    assert np.array_equal(draw(5, 1, 2), draw(5, 1, 2))
    assert not np.array_equal(draw(5, 1, 2), draw(5, 2, 1))
