"""Small made-up folding problems, and the same answered by trying every choice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from finn_flow.folding.groups import Group, Option
from finn_flow.folding.problem import Choice, Floats, Problem
from finn_flow.resources import Resources

CAPACITY = np.array([2_000, 4_000, 40, 4, 60], dtype=float)
UNIT = 1 / CAPACITY
WIDTHS = (4, 8, 12)
# Streams into and out of each group: a fork at "b", a by-pass "d" of its own, an addition at "e".
STREAMS = ((["a"], ["b"]), (["b"], ["c", "d"]), (["c"], ["e"]), (["e", "d"], ["f"]))


def random_problem(seed: int, options: int = 5) -> Problem:
    """Four groups around a by-pass, with `options` options each."""
    random = np.random.default_rng(seed)
    groups = [
        Group((f"G{i}",), [_option(random, f"G{i}", i, number) for number in range(options)])
        for i in range(len(STREAMS))
    ]
    return Problem(groups, {"d": 200}, "DSP48E2")


def _option(random: np.random.Generator, name: str, group: int, number: int) -> Option:
    counts = random.integers(0, (300, 300, 12, 2, 20))
    into, out = ({tensor: int(random.choice(WIDTHS)) for tensor in tensors} for tensors in STREAMS[group])
    return Option(
        {name: {"PE": number}},
        {name: int(random.choice([10, 20, 40]))},
        Resources(*map(int, counts)),
        into,
        out,
    )


def every(problem: Problem, limit: int) -> list[Choice]:
    """All choices within a limit of cycles."""
    allowed = [np.flatnonzero(intervals <= limit) for intervals in problem.intervals]
    return [[int(i) for i in choice] for choice in itertools.product(*allowed)]


def fitting(problem: Problem, limit: int, bounds: Floats) -> list[Floats]:
    """The usage of every choice that fits."""
    usages = (problem.usage(choice) for choice in every(problem, limit))
    return [usage for usage in usages if (usage <= bounds).all()]


def random_bounds(problem: Problem, seed: int, resources: Sequence[int], room: float = 1.0) -> Floats:
    """Bounds on `resources` alone, at random up to 1.5 `room` of the way from the least to the mean use."""
    random = np.random.default_rng(seed)
    usages = np.array([problem.usage(choice) for choice in every(problem, 40)])
    bounds = usages.max(axis=0)
    for resource in resources:
        least, mean = usages[:, resource].min(), usages[:, resource].mean()
        bounds[resource] = np.floor(least + room * random.uniform(0.5, 1.5) * (mean - least))
    return bounds
