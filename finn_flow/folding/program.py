"""A folding as a linear programme over shares, 0 to 1, of options and of pairs of widths at a stream's ends.

A group's options share 1; the pairs of a stream agree with the options at both of its ends (the local
polytope of a pairwise model, exact on a tree, which the graph nearly is). Whole shares are foldings. With
any shares it is the relaxation: what is possible at best, and what each resource is worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_matrix, hstack

from finn_flow.folding.problem import Choice, Edge, Floats, Ints, Problem

SCALE = 1e3  # of costs and of bounds, so that HiGHS's tolerances of 1e-6 are below any real difference
INFEASIBLE = 2  # status of scipy.optimize


@dataclass(frozen=True)
class Relaxation:
    """shares: by column. bound: least cost. prices: worth of one unit of each resource at the bounds.

    reduced: by column, what the cost grows by at least in any solution that has all of it.
    """

    shares: Floats
    bound: float
    prices: Floats
    reduced: Floats


@dataclass(frozen=True)
class Search:
    """The choice that branch and bound found, if any; no choice costs less than `bound` (inf: none fits)."""

    choice: Choice | None
    bound: float


class Program:
    """Options within a limit of cycles that are not dominated. used: resources by column, (column, resource).

    Raises ValueError if a group has no option within `limit` cycles.
    """

    def __init__(self, problem: Problem, limit: int) -> None:
        self._kept = [_worth_trying(problem, group, limit) for group in range(len(problem.groups))]
        self._options = sum(map(len, self._kept))
        tables = [edge.streams.reshape(-1, edge.streams.shape[-1]) for edge in problem.edges]
        options = [costs[keep] for costs, keep in zip(problem.costs, self._kept, strict=True)]
        self.used: Floats = np.concatenate([*options, *tables])
        self._agree, self._sums = _agreement(problem, self._kept)

    def relax(self, unit: Floats, bounds: Floats) -> Relaxation | None:
        """The mixture of least cost; None if even a mixture exceeds the bounds, as every folding then does.

        unit: cost of one unit of each resource; bounds: how much of each may be used. Both (resource,).
        """
        result = linprog(
            self.used @ unit * SCALE,
            A_ub=(self.used / bounds).T * SCALE,
            b_ub=np.full(len(bounds), SCALE),
            A_eq=self._agree,
            b_eq=self._sums,
            method="highs-ds",
        )
        if result.status == INFEASIBLE:
            return None
        _check(result.status == 0, result.message)
        prices = -result.ineqlin.marginals / bounds
        return Relaxation(result.x, result.fun / SCALE, prices, result.lower.marginals / SCALE)

    def least_growth(self, bounds: Floats) -> tuple[Floats, Floats]:
        """Usage and worth of each bound if all bounds grow by the same share, as little as they must."""
        growing = np.hstack([(self.used / bounds).T, -np.ones((len(bounds), 1))])
        result = linprog(
            np.append(np.zeros(len(self.used)), 1.0),
            A_ub=growing,
            b_ub=np.ones(len(bounds)),
            A_eq=hstack([self._agree, csr_matrix((len(self._sums), 1))]),
            b_eq=self._sums,
            method="highs-ds",
        )
        _check(result.status == 0, result.message)
        return result.x[:-1] @ self.used, -result.ineqlin.marginals

    def search(
        self, unit: Floats, bounds: Floats, tried: NDArray[np.bool_], gap: float, seconds: float
    ) -> Search:
        """Branch and bound over the columns in `tried`, until a choice is within `gap` of the least cost."""
        used = self.used[tried]
        whole = np.zeros(len(used))
        whole[: tried[: self._options].sum()] = 1
        result = milp(
            used @ unit * SCALE,
            constraints=[
                LinearConstraint(self._agree[:, tried], self._sums, self._sums),
                LinearConstraint((used / bounds).T * SCALE, -np.inf, SCALE),
            ],
            integrality=whole,
            bounds=Bounds(0, 1),
            options={"time_limit": seconds, "mip_rel_gap": gap},
        )
        if result.status == INFEASIBLE:
            return Search(None, np.inf)
        bound = -np.inf if result.mip_dual_bound is None else result.mip_dual_bound / SCALE
        if result.x is None:
            return Search(None, bound)
        shares = np.zeros(len(self.used))
        shares[tried] = result.x
        return Search(self.choice(shares), bound)

    def choice(self, shares: Floats) -> Choice:
        """The option of each group that has most of it."""
        starts = np.cumsum([0, *map(len, self._kept)])
        return [
            int(keep[np.argmax(shares[start : start + len(keep)])])
            for start, keep in zip(starts[:-1], self._kept, strict=True)
        ]

    def everything(self) -> NDArray[np.bool_]:
        return np.ones(len(self.used), dtype=bool)


def _check(right: bool, message: str) -> None:
    if not right:
        raise RuntimeError(f"HiGHS: {message}")


def _worth_trying(problem: Problem, group: int, limit: int) -> Ints:
    """Options of at most `limit` cycles without those that another of the same widths makes needless."""
    by_widths: dict[tuple[int, ...], list[int]] = {}
    for index, option in enumerate(problem.groups[group].options):
        if option.interval <= limit:
            widths = (*option.widths_in.values(), *option.widths_out.values())
            by_widths.setdefault(widths, []).append(index)
    kept = [i for same in by_widths.values() for i in _undominated(same, problem.costs[group][same])]
    if not kept:
        raise ValueError(f"{', '.join(problem.groups[group].layers)}: no folding within {limit} cycles")
    return np.array(sorted(kept))


def _undominated(indices: Sequence[int], costs: Floats) -> Iterator[int]:
    """Those of which no other costs the same or less in every resource; of equals, the first."""
    for i, cost in enumerate(costs):
        no_dearer = (costs <= cost).all(axis=1)
        no_dearer[i] = False
        equal = (costs == cost).all(axis=1)
        if not (no_dearer & ~equal).any() and not equal[:i].any():
            yield indices[i]


def _agreement(problem: Problem, kept: list[Ints]) -> tuple[csr_matrix, Floats]:
    """Shares of a group's options sum to one, and those of a stream's pairs to those of its ends' options."""
    first = np.cumsum([0, *map(len, kept)])  # column of each group's first option; then of the first pair
    group_rows = np.repeat(np.arange(len(kept)), np.diff(first))
    entries = [(group_rows, np.arange(first[-1]), np.ones(first[-1]))]
    row, column = len(kept), int(first[-1])
    for edge in problem.edges:
        pairs = column + np.arange(edge.streams[..., 0].size).reshape(edge.streams.shape[:2])
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
    return csr_matrix((values, (rows, cols)), shape=(row, column)), sums


def _ends(edge: Edge, pairs: Ints) -> list[tuple[int, Ints, Ints]]:
    """Both ends of a stream: group, width index by option, and the pairs' columns with its widths as rows."""
    return [(edge.source, edge.source_index, pairs), (edge.target, edge.target_index, pairs.T)]
