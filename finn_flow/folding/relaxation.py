"""The linear relaxation of a folding: what is possible at best, and what each resource is worth.

A mixture of options per group, of least cost, within the bounds. A stream's converters get shares too, one
per pair of widths at its ends, that agree with the shares of the options there (the local polytope of a
pairwise model, exact on a tree, which the graph nearly is). What remains is a multiple-choice knapsack, so
that about as many groups are mixed as resources bind, and rounding loses little. If even the mixture exceeds
the bounds, so does every folding: that is a proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from finn_flow.folding.problem import Edge, Floats, Ints, Problem

STRETCH_COST = 1e3  # of 100 %, in boards: more than any real cost
TOLERANCE = 1e-6  # of HiGHS


@dataclass(frozen=True)
class Relaxation:
    """weights: share of each option, by group. prices: worth of one unit of each resource at the bounds.

    stretch: by how much all bounds must grow for the mixture to fit, 0 where it fits. usage: (resource,).
    """

    weights: list[Floats]
    prices: Floats
    stretch: float
    usage: Floats

    @property
    def fits(self) -> bool:
        return self.stretch < TOLERANCE


def relax(problem: Problem, limit: int, unit: Floats, bounds: Floats) -> Relaxation:
    """Solve the relaxation over the options of at most `limit` cycles.

    unit: cost of one unit of each resource; bounds: how much of each may be used. Both (resource,).
    """
    kept = [np.flatnonzero(intervals <= limit) for intervals in problem.intervals]
    used = np.concatenate(
        [costs[keep] for costs, keep in zip(problem.costs, kept, strict=True)]
        + [edge.converters.reshape(-1, len(bounds)) for edge in problem.edges]
    )
    agree, sums = _agreement(problem, kept, columns=len(used) + 1)
    result = linprog(
        np.append(used @ unit, STRETCH_COST),
        A_ub=np.hstack([(used / bounds).T, -np.ones((len(bounds), 1))]),
        b_ub=np.ones(len(bounds)),
        A_eq=agree,
        b_eq=sums,
        method="highs-ds",
    )
    weights = [np.zeros(len(costs)) for costs in problem.costs]
    start = 0
    for weight, keep in zip(weights, kept, strict=True):
        weight[keep] = result.x[start : start + len(keep)]
        start += len(keep)
    prices = -result.ineqlin.marginals / bounds
    return Relaxation(weights, prices, float(result.x[-1]), result.x[:-1] @ used)


def _agreement(problem: Problem, kept: list[Ints], columns: int) -> tuple[csr_matrix, Floats]:
    """Shares of a group's options sum to one, and those of a stream's pairs to those of its ends' options."""
    first = np.cumsum([0, *map(len, kept)])  # column of each group's first option; then of the first pair
    group_rows = np.repeat(np.arange(len(kept)), np.diff(first))
    entries = [(group_rows, np.arange(first[-1]), np.ones(first[-1]))]
    row, column = len(kept), int(first[-1])
    for edge in problem.edges:
        pairs = column + np.arange(edge.converters[..., 0].size).reshape(edge.converters.shape[:2])
        for end, index, widths in _ends(edge, pairs):
            options = index[kept[end]]
            width_rows = np.repeat(np.arange(len(widths)), widths.shape[1])
            entries.append((row + options, first[end] + np.arange(len(options)), -np.ones(len(options))))
            entries.append((row + width_rows, widths.ravel(), np.ones(widths.size)))
            row += len(widths)
        column += pairs.size
    rows, cols, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    sums = np.zeros(row)
    sums[: len(kept)] = 1
    return csr_matrix((values, (rows, cols)), shape=(row, columns)), sums


def _ends(edge: Edge, pairs: Ints) -> list[tuple[int, Ints, Ints]]:
    """Both ends of a stream: group, width index by option, and the pairs' columns with its widths as rows."""
    return [(edge.source, edge.source_index, pairs), (edge.target, edge.target_index, pairs.T)]
