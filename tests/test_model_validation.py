from __future__ import annotations

import numpy as np

from model.data import Images
from model.validation import Validation, hold_out, random_pairs

IDENTITIES = [None] * 10 + [f"p{person}" for person in range(20) for _ in range(person + 1)]


def test_whole_people_are_held_out() -> None:
    train, held = hold_out(IDENTITIES, 30, seed=0)
    assert sorted([*train, *held]) == list(range(len(IDENTITIES)))
    out = {IDENTITIES[row] for row in held}
    assert out.isdisjoint({IDENTITIES[row] for row in train})
    assert None not in out
    assert "p0" not in out  # one face makes no pair
    assert 30 <= len(held) < 50
    assert not np.array_equal(held, hold_out(IDENTITIES, 30, seed=1)[1])


def test_at_most_a_fifth_is_held_out() -> None:
    _, held = hold_out([f"p{i // 2}" for i in range(100)], 90, seed=0)
    assert len(held) == 20


def test_nobody_can_be_held_out() -> None:
    train, held = hold_out([None] * 5, 3, seed=0)
    assert (train.tolist(), held.tolist()) == ([0, 1, 2, 3, 4], [])


def test_half_of_the_pairs_are_one_person() -> None:
    identities = IDENTITIES[10:]
    pairs = random_pairs(identities, 40, seed=0)
    assert pairs.same.sum() == 40
    assert len(pairs.same) == 80
    assert (pairs.left != pairs.right).all()
    for left, right, same in zip(pairs.left, pairs.right, pairs.same, strict=True):
        assert (identities[left] == identities[right]) == same
    assert np.bincount(pairs.fold[pairs.same]).tolist() == [4] * 10


def test_measures_of_a_perfect_student() -> None:
    identities = [f"p{i // 4}" for i in range(40)]
    targets = np.repeat(np.eye(10, dtype=np.float32), 4, axis=0)
    images = np.arange(40, dtype=np.uint8)[:, None, None, None]
    validation = Validation(images, targets, random_pairs(identities, 50, seed=0))

    def embed(faces: Images) -> np.ndarray:
        return 7.0 * targets[faces[:, 0, 0, 0]]

    assert validation.measure(embed) == {"cosine": 1.0, "accuracy": 1.0, "auc": 1.0}
