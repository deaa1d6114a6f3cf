from __future__ import annotations

import itertools

import numpy as np

from model.experiments.search import propose

WEIGHTS = [5, 40, 7, 90]


def losses() -> dict[tuple[int, int], float]:
    random = np.random.default_rng(4)
    return {(b, w): float(random.random() / w) for b in range(1, 5) for w in (8, 4, 2)}


def test_no_other_network_of_that_footprint_is_better() -> None:
    given = losses()
    for budget in (300, 400, 700, 1136):
        found = propose(given, WEIGHTS, [8, 4, 2], budget)
        assert found is not None
        assert np.dot(found, WEIGHTS) <= budget

        def loss(widths: tuple[int, ...]) -> float:
            return sum(given[block, width] for block, width in enumerate(widths, 1))

        fitting = [w for w in itertools.product((8, 4, 2), repeat=4) if np.dot(w, WEIGHTS) <= budget]
        assert loss(found) == min(map(loss, fitting))


def test_nothing_fits() -> None:
    assert propose(losses(), WEIGHTS, [8, 4, 2], 283) is None
    assert propose(losses(), WEIGHTS, [8, 4, 2], 284) == (2, 2, 2, 2)


def test_the_smaller_of_equals_is_proposed() -> None:
    flat = dict.fromkeys(losses(), 0.5)
    assert propose(flat, WEIGHTS, [8, 4, 2], 2000) == (2, 2, 2, 2)
