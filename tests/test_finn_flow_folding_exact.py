"""The exact solver against trying every choice."""

from __future__ import annotations

import numpy as np
import pytest

from finn_flow.folding.exact import NoSolution, Solution, least_cost, need
from finn_flow.folding.problem import Problem
from finn_flow.folding.program import Program
from finn_flow.resources import Resources, converter_resources, fifo_resources
from tests.folding_problems import CAPACITY, UNIT, every, fitting, random_bounds, random_problem
from tests.hw_graphs import HardwareGraph, residual_network

RESOURCES = range(5)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("binding", [(), (0,), (0, 2, 4), (0, 1, 2, 3, 4)])
def test_least_cost_is_that_of_trying_all(seed: int, binding: tuple[int, ...]) -> None:
    problem = random_problem(seed)
    bounds = random_bounds(problem, seed, binding)
    limit = max(20, problem.candidates()[0])
    costs = [float(usage @ UNIT) for usage in fitting(problem, limit, bounds)]
    solution = least_cost(problem, limit, UNIT, bounds)
    if not costs:
        assert solution == NoSolution(proved=True)
        return
    assert isinstance(solution, Solution)
    assert solution.cost == pytest.approx(min(costs), abs=1e-9)
    assert solution.gap == 0
    assert (solution.usage <= bounds).all()
    np.testing.assert_array_equal(solution.usage, problem.usage(solution.choice))
    assert max(option.interval for option in problem.options(solution.choice)) <= limit


def test_some_of_these_bind_and_some_let_nothing_fit() -> None:
    """Or the test above would show little."""
    bound, none = 0, 0
    for seed in range(25):
        problem = random_problem(seed)
        limit = max(20, problem.candidates()[0])
        bounds = random_bounds(problem, seed, RESOURCES)
        costs = [float(usage @ UNIT) for usage in fitting(problem, limit, bounds)]
        least = min(float(problem.usage(choice) @ UNIT) for choice in every(problem, limit))
        none += not costs
        bound += bool(costs) and min(costs) > least + 1e-9
    assert min(bound, none) >= 3


@pytest.mark.parametrize("seed", range(25))
def test_need_is_the_least_of_one_resource(seed: int) -> None:
    problem = random_problem(seed)
    bounds = random_bounds(problem, seed, RESOURCES, room=0.2)
    limit = problem.candidates()[0]
    if fitting(problem, limit, bounds):
        pytest.fail("bounds are meant to be too tight")
    lacking = need(problem, limit, bounds)
    others = np.arange(5) != lacking.resource
    usages = [problem.usage(choice) for choice in every(problem, limit)]
    able = [usage[lacking.resource] for usage in usages if (usage[others] <= bounds[others]).all()]
    assert lacking.amount > bounds[lacking.resource]
    assert (lacking.together == (lacking.resource,)) == bool(able)
    assert lacking.resource in lacking.together
    if able:
        assert min(able) <= lacking.amount <= min(able) * 1.001


@pytest.mark.parametrize("seed", range(5))
def test_relaxation_bounds_the_cost_from_below(seed: int) -> None:
    problem = random_problem(seed)
    bounds = random_bounds(problem, seed, (0,)) + 50
    limit = max(20, problem.candidates()[0])
    relaxed = Program(problem, limit).relax(UNIT, bounds)
    assert relaxed is not None
    assert relaxed.bound <= min(float(usage @ UNIT) for usage in fitting(problem, limit, bounds)) + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_dominated_options_are_left_out(seed: int) -> None:
    problem = random_problem(seed, options=40)
    kept = Program(problem, 20)._kept
    assert sum(map(len, kept)) < sum(int((i <= 20).sum()) for i in problem.intervals)
    for group, keep in enumerate(kept):
        options, costs = problem.groups[group].options, problem.costs[group]
        for i in np.flatnonzero(problem.intervals[group] <= 20):
            assert any(
                (costs[k] <= costs[i]).all()
                and (options[k].widths_in, options[k].widths_out)
                == (options[i].widths_in, options[i].widths_out)
                for k in keep
            )


def test_a_limit_that_a_layer_cannot_keep() -> None:
    with pytest.raises(ValueError, match=r"^G0: no folding within 9 cycles$"):
        least_cost(random_problem(0), 9, UNIT, CAPACITY)


def test_without_time_the_gap_is_told() -> None:
    """Whatever HiGHS does in a moment, the bound is below the least cost, and the cost not."""
    model = residual_network()
    problem = Problem.of(model, "DSP48E2")
    whole = least_cost(problem, 1_000, UNIT, CAPACITY * 100)
    assert isinstance(whole, Solution)
    bounds = whole.usage.copy()
    bounds[0] -= 50
    exact = least_cost(problem, 1_000, UNIT, bounds + np.array([0, 500, 3, 0, 0]))
    hasty = least_cost(problem, 1_000, UNIT, bounds + np.array([0, 500, 3, 0, 0]), seconds=0)
    assert isinstance(exact, Solution)
    assert exact.gap == 0
    if isinstance(hasty, Solution):
        assert hasty.bound <= exact.cost <= hasty.cost


def test_streams_are_counted_and_avoided() -> None:
    """A forced width of 1 element before and after: a wider layer between would need two converters."""
    graph = HardwareGraph(4, 8, "UINT4").thresholding(4).requant(4).thresholding(4)
    problem = Problem.of(graph.model(), "DSP48E2")
    wide, narrow = [0, 3, 0], [0, 0, 0]  # PE 1, 8, 1 and 1, 1, 1
    own = [sum(costs[i] for costs, i in zip(problem.costs, c, strict=True)) for c in (wide, narrow)]
    fifo = {width: fifo_resources(width, 2, "DSP48E2").lut for width in (4, 32)}
    converters = converter_resources(4, 32).lut + converter_resources(32, 4).lut
    assert (problem.usage(wide) - own[0])[0] == converters + 2 * (fifo[4] + fifo[32])
    assert (problem.usage(narrow) - own[1])[0] == 2 * fifo[4]
    solution = least_cost(problem, 128, UNIT, CAPACITY)
    assert isinstance(solution, Solution)
    assert solution.choice == narrow


def test_candidates_start_at_the_slowest_layer() -> None:
    small = Problem.of(HardwareGraph(4, 2, "UINT4").mvau(8, 4).thresholding(4).mvau(2, 4).model(), "DSP48E2")
    assert small.candidates()[0] == 16  # a pixel a cycle
    assert small.candidates()[-1] == 16 * 16
    graph = HardwareGraph(4, 3).pad().window(3).mvau(8, 4)
    assert Problem.of(graph.model(), "DSP48E2").slowest_layer() == "ConvolutionInputGenerator_0"


def test_real_network_without_bounds_is_what_the_relaxation_says() -> None:
    """With nothing that binds, the relaxation has whole shares: the proof needs no search."""
    problem = Problem.of(residual_network(), "DSP48E2")
    relaxed = Program(problem, 2_000).relax(UNIT, CAPACITY * 1e4)
    solution = least_cost(problem, 2_000, UNIT, CAPACITY * 1e4)
    assert relaxed is not None
    assert isinstance(solution, Solution)
    assert solution.cost == pytest.approx(relaxed.bound, abs=1e-9)
    assert solution.gap == 0
    total = sum((o.resources for o in problem.options(solution.choice)), Resources())
    assert (solution.usage >= np.array(total.counts)).all()
