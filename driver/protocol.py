"""Verification accuracy on pairs of faces by LFW's protocol, and the comparison with expected integers.

The threshold of each fold is the one with which the other folds are judged best; the accuracy is the mean
over the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.errors import DriverError, InputError


@dataclass(frozen=True)
class Pairs:
    """left, right: index into `names` (P,); same: whether a pair is of one person; fold: of each pair."""

    names: list[str]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


@dataclass(frozen=True)
class Accuracy:
    """accuracy: mean over the folds, std: between them. threshold: the best cosine for all pairs together."""

    accuracy: float
    std: float
    threshold: float
    pairs: int


class MismatchError(DriverError):
    """The device computed another integer than the build expects."""


def read_pairs(path: Path) -> Pairs:
    """LFW's pairs.txt: `folds pairs`, then lines `name i j` or `name1 i name2 j`. Raises InputError."""
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        folds, per_fold = (int(number) for number in header.split())
        rows = [line.split() for line in lines if line.strip()]
        names: dict[str, int] = {}
        ends = [((row[0], row[1]), (row[0], row[2]) if len(row) == 3 else (row[2], row[3])) for row in rows]
        index = [
            [names.setdefault(f"{name}/{name}_{int(number):04d}.jpg", len(names)) for name, number in pair]
            for pair in ends
        ]
    except (OSError, ValueError, IndexError) as error:
        raise InputError("pairs", str(path), f"is no list of pairs as LFW has it ({error})") from None
    if len(rows) != 2 * folds * per_fold:
        rule = f"its first line promises {2 * folds * per_fold} pairs, it has {len(rows)}"
        raise InputError("pairs", str(path), rule)
    left, right = np.array(index, np.int64).reshape(-1, 2).T
    same = np.array([len(row) == 3 for row in rows], np.bool_)
    return Pairs(list(names), left, right, same, np.arange(len(rows)) // (2 * per_fold))


def accuracy(cosine: NDArray[Any], pairs: Pairs) -> Accuracy:
    """Of the cosines (P,) of the pairs."""
    scores = []
    for fold in np.unique(pairs.fold):
        test = pairs.fold == fold
        threshold = best_threshold(cosine[~test], pairs.same[~test])
        scores.append(float(((cosine[test] >= threshold) == pairs.same[test]).mean()))
    best = best_threshold(cosine, pairs.same)
    return Accuracy(float(np.mean(scores)), float(np.std(scores)), best, len(cosine))


def best_threshold(cosine: NDArray[Any], same: NDArray[np.bool_]) -> float:
    """The cosine from which on calling pairs the same is right most often, half-way between two.

    >>> best_threshold(np.array([0.9, 0.7, 0.3, 0.1]), np.array([True, True, False, False]))
    0.5
    """
    order = np.argsort(-cosine, kind="stable")
    values, are_same = cosine[order], same[order]
    right = np.append((~same).sum(), (~same).sum() + np.cumsum(np.where(are_same, 1, -1)))
    right[1:-1][np.diff(values) == 0] = -1  # no threshold lies between equal cosines
    k = int(right.argmax())
    edges = np.concatenate([[values[0] + 1.0], values, [values[-1] - 1.0]])
    return float((edges[k] + edges[k + 1]) / 2)


def compare(names: Sequence[str], got: NDArray[Any], expected: NDArray[Any]) -> int:
    """Compare accumulators (N, E) for equality; returns how many. Raises MismatchError naming the first."""
    wrong = np.argwhere(got != expected)
    if len(wrong):
        frame, element = (int(index) for index in wrong[0])
        values = f"{got[frame, element]} instead of {expected[frame, element]}"
        frames = len(np.unique(wrong[:, 0]))
        raise MismatchError(
            f"{names[frame]} (frame {frame}): accumulator {element} is {values}; "
            f"{len(wrong)} of {got.size} differ, in {frames} of {len(got)} frames"
        )
    return int(got.size)
