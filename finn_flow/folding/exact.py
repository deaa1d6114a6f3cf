"""The folding of least cost under a cycle limit and within bounds, with a proof, or a proof that there is
none.

The relaxation bounds the cost from below, the sweeps of `search` find a folding a little above that. Any
option whose reduced cost exceeds the distance cannot be in a better folding; over what remains, a tenth of
the options, HiGHS's branch and bound finds the best one. If that takes long, it starts anew with the best
so far, which leaves fewer options still. Proofs are those of floating-point solvers, whose tolerances are
far below one LUT.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from finn_flow.folding.problem import Choice, Floats, Problem
from finn_flow.folding.program import Program, Relaxation
from finn_flow.folding.search import TINY, improve

SECONDS = 60.0  # for one proof; the full network mostly needs a few
FIRST_SHARE = 0.25  # of the time, before the search starts anew
NEAR = (0.001, 0.01)  # of the cost: what counts as nearly taken, and how near will do at first
NEED_SECONDS, NEED_GAP = 10.0, 1e-3  # for how much of a resource would be needed


@dataclass(frozen=True)
class Solution:
    """A choice that fits. cost: of all it uses; bound: no choice that fits costs less."""

    choice: Choice
    usage: Floats  # (resource,)
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """Share of the cost that might be saved at most; 0 where the choice is proved to be the best."""
        gap = 1 - self.bound / self.cost if self.cost > 0 else 0.0
        return gap if gap > 1e-7 else 0.0


@dataclass(frozen=True)
class NoSolution:
    """Nothing was found. proved: because nothing fits."""

    proved: bool


@dataclass(frozen=True)
class Need:
    """How much of a resource a folding needs, if it and the others in `together` may exceed their bounds."""

    resource: int
    amount: int
    together: tuple[int, ...]


def least_cost(
    problem: Problem,
    limit: int,
    unit: Floats,
    bounds: Floats,
    gap: float = 0.0,
    seconds: float = SECONDS,
    start: Choice | None = None,
) -> Solution | NoSolution:
    """The cheapest choice with every group at `limit` cycles or fewer.

    unit: cost of one unit of each resource; bounds: whole units that may be used. Both (resource,).
    gap: share of the cost by which it may be dearer. A solution may be further off when the time is over.
    start: a choice that fits, if one is known.
    """
    return _best(problem, Program(problem, limit), limit, unit, bounds, gap, seconds, start)


def _best(
    problem: Problem,
    program: Program,
    limit: int,
    unit: Floats,
    bounds: Floats,
    gap: float,
    seconds: float,
    start: Choice | None = None,
) -> Solution | NoSolution:
    slack = _slack(bounds)
    relaxed = program.relax(unit, slack)
    if relaxed is None:
        return NoSolution(proved=True)
    deadline = time.monotonic() + seconds
    choice = improve(problem, program.choice(relaxed.shares), limit, unit, relaxed.prices, slack)
    best, bound = _solution(problem, choice, unit, bounds, relaxed.bound), relaxed.bound
    if start is not None:
        best = _better(best, _solution(problem, start, unit, bounds, bound), bound)
    for near in NEAR:  # if it fits, then mostly with options that the relaxation all but takes
        if best is None:
            columns = relaxed.reduced <= near * relaxed.bound
            found = program.search(unit, slack, columns, max(gap, near), FIRST_SHARE * seconds).choice
            best = None if found is None else _solution(problem, found, unit, bounds, bound)
    for share in (FIRST_SHARE, 1.0):
        if best is not None and best.gap <= gap:
            return best
        left = max(1.0, share * (deadline - time.monotonic()))
        result = program.search(unit, slack, _in_reach(relaxed, best), gap, left)
        if result.choice is None and best is None and result.bound == np.inf:
            return NoSolution(proved=True)
        bound = max(bound, result.bound)
        new = None if result.choice is None else _solution(problem, result.choice, unit, bounds, bound)
        best = _better(best, new, bound)
    return best or NoSolution(proved=False)


def need(problem: Problem, limit: int, bounds: Floats) -> Need:
    """What is lacking where nothing fits: the resource that binds, and how much of it would do.

    First the resource whose bound costs most of all that must grow alike; if more of it alone does not help,
    the next; if none alone does, how much all together must grow. Raises ValueError if a layer has no folding
    within `limit` cycles.
    """
    program = Program(problem, limit)
    usage, prices = program.least_growth(_slack(bounds))
    for resource in map(int, np.argsort(-prices, kind="stable")):
        amount = _least_use(problem, program, limit, bounds, resource) if prices[resource] > 0 else None
        if amount is not None and amount > bounds[resource]:
            return Need(resource, amount, (resource,))
    binds = int(np.argmax(usage / _slack(bounds)))
    together = {binds, *map(int, np.flatnonzero(usage > bounds))}
    return Need(binds, int(np.ceil(usage[binds])), tuple(sorted(together)))


def needs_alone(problem: Problem, limit: int, bounds: Floats) -> dict[int, int]:
    """Every resource of which more alone would do where nothing fits, and how much."""
    program = Program(problem, limit)
    needed = {r: _least_use(problem, program, limit, bounds, r) for r in range(len(bounds))}
    return {r: amount for r, amount in needed.items() if amount is not None and amount > bounds[r]}


def _least_use(problem: Problem, program: Program, limit: int, bounds: Floats, resource: int) -> int | None:
    """The least of one resource with the others within bounds, to 0.1 %; None if those do not allow any.

    If none is found in time, what it cannot be less than.
    """
    unit, lifted = np.zeros(len(bounds)), bounds.copy()
    unit[resource] = 1 / max(bounds[resource], 1.0)
    lifted[resource] = max(program.used.sum(), 1.0)
    result = _best(problem, program, limit, unit, lifted, NEED_GAP, NEED_SECONDS)
    if isinstance(result, Solution):
        return round(result.usage[resource])
    relaxed = None if result.proved else program.relax(unit, _slack(lifted))
    return None if relaxed is None else int(np.ceil(relaxed.bound / unit[resource]))


def _slack(bounds: Floats) -> Floats:
    """Half a unit more: the same whole numbers, and far from a solver's tolerance."""
    return np.floor(bounds + TINY) + 0.5


def _in_reach(relaxed: Relaxation, best: Solution | None) -> np.ndarray:
    """Columns that a better solution may have."""
    room = np.inf if best is None else best.cost - relaxed.bound
    return relaxed.reduced <= room + TINY


def _solution(
    problem: Problem, choice: Choice, unit: Floats, bounds: Floats, bound: float
) -> Solution | None:
    """None if it does not fit."""
    usage = problem.usage(choice)
    if (usage > bounds + TINY).any():
        return None
    cost = float(usage @ unit)
    return Solution(choice, usage, cost, min(bound, cost))


def _better(old: Solution | None, new: Solution | None, bound: float) -> Solution | None:
    """The cheaper of two, with the bound that is now proved for it."""
    best = min((s for s in (old, new) if s is not None), key=lambda s: s.cost, default=None)
    return best and Solution(best.choice, best.usage, best.cost, min(bound, best.cost))
