"""Least-cost choice of one option per group under a cycle limit, width converters between groups counted.

The cost is the sum of each resource's share of the board. The search rounds the linear relaxation and then
improves one group at a time, given all others. Meanwhile resources cost what the relaxation says they are
worth at the bounds, and a penalty on what exceeds them grows from sweep to sweep, so that the groups which
give way at the least cost do so first and no more of them than must. Then the plain cost rules until nothing
changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finn_flow.folding.problem import Choice, Floats, Problem
from finn_flow.folding.relaxation import relax

PENALTIES = tuple(0.5 * 2.0**i for i in range(12))  # cost of exceeding a bound by 100 %, in boards, by sweep
LAST_SWEEPS = 20  # several times what the full network needs
TINY = 1e-9  # less than any real difference of costs


@dataclass(frozen=True)
class Solution:
    """The best choice found, and its usage; those of the relaxation where that proves that nothing fits."""

    choice: Choice
    usage: Floats
    fits: bool
    binds: int  # index of the resource that is worth most


def least_cost(problem: Problem, limit: int, capacity: Floats, bounds: Floats) -> Solution:
    """The cheapest choice found with every group at `limit` cycles or fewer.

    capacity: how much of each resource the board has; bounds: how much may be used. Both (resource,).
    """
    relaxed = relax(problem, limit, 1 / capacity, bounds)
    choice = [int(np.argmax(weight)) for weight in relaxed.weights]
    binds = int(np.argmax(relaxed.prices * bounds))
    if not relaxed.fits:
        return Solution(choice, relaxed.usage, False, binds)
    late = [np.where(intervals <= limit, 0.0, np.inf) for intervals in problem.intervals]
    for penalty in PENALTIES:
        changed = _sweep(problem, choice, late, 1 / capacity + relaxed.prices, bounds, penalty)
        if not changed and (problem.usage(choice) <= bounds).all():
            break
    for _ in range(LAST_SWEEPS):
        if not _sweep(problem, choice, late, 1 / capacity, bounds, PENALTIES[-1]):
            break
    usage = problem.usage(choice)
    return Solution(choice, usage, bool((usage <= bounds).all()), int(np.argmax(usage / bounds)))


def _sweep(
    problem: Problem, choice: Choice, late: Sequence[Floats], prices: Floats, bounds: Floats, penalty: float
) -> bool:
    """Give every group in turn its best option, changing `choice`; whether any changed.

    late: 0 for options that keep the cycle limit, else inf; prices: cost of one unit of each resource.
    """
    changed, usage = False, problem.usage(choice)
    for group, wait in enumerate(late):
        each = problem.costs[group] + sum(edge.around(group, choice) for edge in problem.edges_of[group])
        totals = usage - each[choice[group]] + each
        excess = np.maximum(totals - bounds, 0) / bounds
        cost = totals @ prices + penalty * excess.sum(axis=1) + wait
        best = int(np.argmin(cost))
        if cost[best] < cost[choice[group]] - TINY:
            choice[group], usage, changed = best, totals[best], True
    return changed
