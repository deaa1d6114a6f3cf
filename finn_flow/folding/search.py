"""A good folding in a fraction of a second, from the relaxation: what exact search need not look beyond.

The relaxation is rounded and then improved one group at a time, given all others. Meanwhile resources cost
what the relaxation says they are worth at the bounds, and a penalty on what exceeds them grows from sweep
to sweep, so that the groups which give way at the least cost do so first and no more of them than must.
Then the plain cost rules until nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finn_flow.folding.problem import Choice, Floats, Problem

PENALTIES = tuple(0.5 * 2.0**i for i in range(12))  # cost of exceeding a bound by 100 %, in boards, by sweep
LAST_SWEEPS = 20  # several times what the full network needs
TINY = 1e-9  # less than any real difference of costs


def improve(
    problem: Problem, rounded: Choice, limit: int, unit: Floats, prices: Floats, bounds: Floats
) -> Choice:
    """A cheaper choice than `rounded`, or one nearer to the bounds, with every group within `limit` cycles.

    unit: cost of one unit of each resource; prices: what it is worth at the bounds besides. All (resource,).
    """
    choice = list(rounded)
    late = [np.where(intervals <= limit, 0.0, np.inf) for intervals in problem.intervals]
    for penalty in PENALTIES:
        changed = _sweep(problem, choice, late, unit + prices, bounds, penalty)
        if not changed and (problem.usage(choice) <= bounds).all():
            break
    for _ in range(LAST_SWEEPS):
        if not _sweep(problem, choice, late, unit, bounds, PENALTIES[-1]):
            break
    return choice


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
