from __future__ import annotations

import itertools

import numpy as np
import pytest

from finn_flow.folding.groups import folding_groups
from finn_flow.folding.problem import Choice, Floats, Problem
from finn_flow.folding.relaxation import relax
from finn_flow.folding.search import least_cost
from tests.hw_graphs import HardwareGraph

CAPACITY = np.array([20_000, 40_000, 40, 1, 60], dtype=float)


def problem() -> Problem:
    """Three groups, 8 x 16 x 8 options: small enough to try them all."""
    graph = HardwareGraph(4, 2, "UINT4").mvau(8, 4).thresholding(4).mvau(2, 4)
    return Problem(folding_groups(graph.model(), "DSP48E2"))


def every(problem: Problem, limit: int) -> list[Choice]:
    allowed = [np.flatnonzero(intervals <= limit) for intervals in problem.intervals]
    return [[int(i) for i in choice] for choice in itertools.product(*allowed)]


def cheapest(problem: Problem, limit: int, bounds: Floats) -> float | None:
    """Cost of the best choice that fits, by trying all."""
    usages = [problem.usage(choice) for choice in every(problem, limit)]
    costs = [float((usage / CAPACITY).sum()) for usage in usages if (usage <= bounds).all()]
    return min(costs, default=None)


@pytest.mark.parametrize("limit", [256, 128, 64, 32, 16])
def test_cheapest_choice_where_all_fits(limit: int) -> None:
    small = problem()
    solution = least_cost(small, limit, CAPACITY, CAPACITY)
    assert solution.fits
    assert max(option.interval for option in small.options(solution.choice)) <= limit
    np.testing.assert_array_equal(solution.usage, small.usage(solution.choice))
    assert float((solution.usage / CAPACITY).sum()) == pytest.approx(
        cheapest(small, limit, CAPACITY), rel=1e-3
    )


@pytest.mark.parametrize("resource", [0, 2, 4])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_fits_where_trying_all_says_so(resource: int, share: float) -> None:
    """Bounds between the least and the usual use of one resource."""
    small, limit = problem(), 64
    usual = least_cost(small, limit, CAPACITY, CAPACITY).usage
    least = min(small.usage(choice)[resource] for choice in every(small, limit))
    bounds = CAPACITY.copy()
    bounds[resource] = max(least + (usual[resource] - least) * share, 0.5)
    solution = least_cost(small, limit, CAPACITY, bounds)
    assert solution.fits == (cheapest(small, limit, bounds) is not None)
    if solution.fits:
        assert (solution.usage <= bounds).all()


def test_relaxation_bounds_the_cost_from_below() -> None:
    small = problem()
    for limit in (256, 64, 16):
        relaxed = relax(small, limit, 1 / CAPACITY, CAPACITY)
        best = cheapest(small, limit, CAPACITY)
        assert best is not None
        assert float((relaxed.usage / CAPACITY).sum()) <= best + 1e-6
        assert relaxed.fits
        assert all(weight.sum() == pytest.approx(1) for weight in relaxed.weights)
        slow = [
            weight[intervals > limit]
            for weight, intervals in zip(relaxed.weights, small.intervals, strict=True)
        ]
        assert all((weight == 0).all() for weight in slow)


def test_relaxation_proves_that_nothing_fits_and_names_what_binds() -> None:
    small = problem()
    bounds = CAPACITY.copy()
    bounds[4] = 4  # DSPs
    assert cheapest(small, 16, bounds) is None
    solution = least_cost(small, 16, CAPACITY, bounds)
    assert not solution.fits
    assert solution.binds == 4
    assert solution.usage[4] > 4


def test_converters_are_counted_and_avoided() -> None:
    """A forced width of 1 element before and after: a wider layer between would need two converters."""
    graph = HardwareGraph(4, 8, "UINT4").thresholding(4).requant(4).thresholding(4)
    small = Problem(folding_groups(graph.model(), "DSP48E2"))
    wide, narrow = [0, 3, 0], [0, 0, 0]  # PE 1, 8, 1 and 1, 1, 1
    own = [sum(costs[i] for costs, i in zip(small.costs, c, strict=True)) for c in (wide, narrow)]
    assert (small.usage(wide) - own[0])[0] == 2 * (20 + 2 * 8 * 4)
    assert (small.usage(narrow) - own[1])[0] == 0
    assert least_cost(small, 128, CAPACITY, CAPACITY).choice == narrow


def test_candidates_start_at_the_slowest_layer() -> None:
    small = problem()
    assert small.candidates()[0] == 16  # a pixel a cycle
    assert small.candidates()[-1] == 16 * 16
    graph = HardwareGraph(4, 3).pad().window(3).mvau(8, 4)
    assert Problem(folding_groups(graph.model(), "DSP48E2")).slowest_layer() == "ConvolutionInputGenerator_0"
