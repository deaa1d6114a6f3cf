"""LFW's protocol and the comparison with expected integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from driver import InputError
from driver.protocol import MismatchError, Pairs, accuracy, best_threshold, compare, read_pairs


def write_pairs(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_pairs_are_read(tmp_path: Path) -> None:
    text = "2\t1\nAda\t1\t2\nAda\t1\tBen\t3\nBen\t3\t4\nBen\t4\tAda\t2\n"
    pairs = read_pairs(write_pairs(tmp_path / "pairs.txt", text))
    names = ["Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg", "Ben/Ben_0003.jpg", "Ben/Ben_0004.jpg"]
    assert pairs.names == names
    assert pairs.left.tolist() == [0, 0, 2, 3]
    assert pairs.right.tolist() == [1, 2, 3, 1]
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "is no list of pairs as LFW has it (not enough values to unpack (expected at least 1, got 0))"),
        ("ten 3\n", "is no list of pairs as LFW has it (invalid literal for int() with base 10: 'ten')"),
        ("1 1\nAda 1\nAda 1 Ben 2\n", "is no list of pairs as LFW has it (list index out of range)"),
        ("1 2\nAda 1 2\nAda 1 Ben 2\n", "its first line promises 4 pairs, it has 2"),
    ],
)
def test_a_bad_list_is_named(tmp_path: Path, text: str, rule: str) -> None:
    path = write_pairs(tmp_path / "pairs.txt", text)
    with pytest.raises(InputError) as error:
        read_pairs(path)
    assert str(error.value) == f"pairs = '{path}': {rule}"


def some_pairs(same: np.ndarray, folds: int = 10) -> Pairs:
    count = np.arange(len(same))
    return Pairs([], count, count, same, count * folds // len(same))


def test_pairs_that_a_threshold_separates_are_all_right() -> None:
    same = np.arange(200) % 2 == 0
    cosine = np.where(same, 0.6, 0.2) + np.random.default_rng(0).uniform(-0.1, 0.1, 200)
    result = accuracy(cosine, some_pairs(same))
    assert (result.accuracy, result.std, result.pairs) == (1.0, 0.0, 200)
    assert cosine[~same].max() < result.threshold < cosine[same].min()


def test_the_threshold_of_a_fold_comes_from_the_others() -> None:
    same = np.array([True, False] * 4)
    cosine = np.array([0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.2, 0.8])  # the last fold is the wrong way round
    result = accuracy(cosine, some_pairs(same, folds=4))
    assert result.accuracy == 0.75
    assert result.std == pytest.approx(np.std([1, 1, 1, 0]))


def naive(cosine: np.ndarray, same: np.ndarray) -> float:
    """How many the best threshold judges right, by trying all."""
    edges = np.concatenate([[-2.0], np.unique(cosine), [2.0]])
    return max(((cosine >= edge) == same).sum() for edge in edges)


@pytest.mark.parametrize("seed", range(10))
def test_no_threshold_is_better_than_the_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cosine, same = rng.integers(-5, 6, 40) / 5, rng.random(40) < 0.5  # many equal ones
    got = best_threshold(cosine, same)
    assert ((cosine >= got) == same).sum() == naive(cosine, same)


def test_equal_integers_are_counted() -> None:
    assert compare(["a", "b"], np.ones((2, 3), np.int32), np.ones((2, 3), np.int32)) == 6


def test_the_first_integer_that_differs_is_named() -> None:
    expected = np.zeros((3, 4), np.int32)
    got = expected.copy()
    got[1, 2], got[2, 0], got[2, 3] = 7, 1, 1
    with pytest.raises(MismatchError) as error:
        compare(["a.png", "b.png", "c.png"], got, expected)
    message = "b.png (frame 1): accumulator 2 is 7 instead of 0; 3 of 12 differ, in 2 of 3 frames"
    assert str(error.value) == message
