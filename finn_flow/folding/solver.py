"""The folding of a network for a board, a clock and a target.

With a target every layer keeps up with it and, if that fits, with what FINN's SetFolding would reach, at
the least cost; without one, the initiation interval (II, cycles from frame to frame) is the least whose
folding fits the board, and then the cost. Cost is the sum of each resource's share of the board. Both come
with a proof, or with what is left open when the time for it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import Board
from finn_flow.folding.exact import SECONDS, Need, Solution, least_cost, need
from finn_flow.folding.problem import Choice, Floats, Problem
from finn_flow.folding.set_folding import set_folding_interval
from finn_flow.resources import RESOURCE_LABELS, RESOURCE_NAMES, board_resources
from model.errors import UserError

UNLIMITED = 1e4  # a headroom under which everything fits
ANY = 1.0  # gap with which the first solution found will do


@dataclass(frozen=True)
class Folding:
    """Attributes to set on each layer, by node name: PE, SIMD, parallel_window, ram_style and the like.

    proof: a clause on how good it is, empty where nobody solved for it.
    """

    layers: Mapping[str, Mapping[str, Any]]
    proof: str = field(default="", compare=False)


@dataclass(frozen=True)
class Room:
    """A board to the solver. unit: cost of one unit, in boards; bounds: what may be used; (resource,)."""

    unit: Floats
    bounds: Floats

    @classmethod
    def on(cls, board: Board, headroom: float) -> Room:
        """headroom: share of each resource that may be used. One unit of what a board lacks costs a board."""
        offered = np.array(board_resources(board).counts, dtype=float)
        return cls(1 / np.maximum(offered, 1), headroom * offered)


@dataclass(frozen=True)
class Fastest:
    """The least II that fits. solution: the cheapest there, None if nothing fits; next: the II below it.

    proved: no smaller II fits.
    """

    interval: int
    solution: Solution | None
    next: int | None
    proved: bool


def solve(
    model: ModelWrapper,
    board: Board,
    clk_period_ns: float,
    target_fps: float | None,
    headroom: float = 0.8,
    seconds: float = SECONDS,
) -> Folding:
    """The cheapest folding that reaches `target_fps`, or for None the one of least II that fits the board.

    headroom: share of each resource that may be used; seconds: for each proof. Raises UserError where the
    target is out of reach, where its folding does not fit, or where nothing fits.
    """
    problem, room = Problem.of(model, board.dsp_block), Room.on(board, headroom)
    if target_fps is None:
        fastest = least_fitting_interval(problem, room, seconds)
        if fastest.solution is None:
            lacking = overflow(need(problem, fastest.interval, room.bounds), board, headroom)
            rule = f"{lacking} at any speed; take a larger board or fewer bits"
            raise UserError("board", board.name, rule)
        least = "" if fastest.proved else "not proved to be "
        return folding_of(problem, fastest.solution, f"{least}the least II that fits, at {{cost}}")
    limit = cycles_per_frame(clk_period_ns, target_fps)
    _check_reachable(problem, clk_period_ns, target_fps, limit)
    for cycles in sorted({min(limit, set_folding_interval(model, problem.groups, limit)), limit}):
        solution = least_cost(problem, cycles, room.unit, room.bounds, seconds=seconds)
        if isinstance(solution, Solution):
            return folding_of(problem, solution, f"II of at most {cycles:,} at {{cost}}")
    lacking = overflow(need(problem, limit, room.bounds), board, headroom)
    raise UserError("target_fps", target_fps, f"{lacking}; lower target_fps or take a larger board")


def least_fitting_interval(problem: Problem, room: Room, seconds: float = SECONDS) -> Fastest:
    """The least II whose folding is within bounds; where none is, the greatest II that there is."""
    candidates = problem.candidates()
    low, high, proved = 0, len(candidates), True
    found: Choice | None = None
    while low < high:  # candidates from `high` on fit, those before `low` do not
        middle = (low + high) // 2
        result = least_cost(problem, candidates[middle], room.unit, room.bounds, ANY, seconds)
        if isinstance(result, Solution):
            high, found = middle, result.choice
        else:
            low = middle + 1
            proved &= result.proved
    if high == len(candidates):
        return Fastest(candidates[-1], None, None, proved)
    interval = candidates[high]
    best = least_cost(problem, interval, room.unit, room.bounds, seconds=seconds, start=found)
    assert isinstance(best, Solution)
    return Fastest(interval, best, candidates[high - 1] if high else None, proved)


def folding_of(problem: Problem, solution: Solution, proof: str = "{cost}") -> Folding:
    """The folding of a solution. proof: a clause in which {cost} becomes what is proved of it."""
    layers: dict[str, Mapping[str, Any]] = {}
    for option in problem.options(solution.choice):
        layers.update(option.folding)
    cost = f"{solution.cost:.3f} boards, "
    cost += (
        f"at most {solution.gap:.3%} above the least cost" if solution.gap else "proved to be the least cost"
    )
    return Folding(layers, proof.format(cost=cost))


def least_interval(model: ModelWrapper, board: Board) -> int:
    """The least II in cycles that any folding has, whatever it takes."""
    return Problem.of(model, board.dsp_block).candidates()[0]


def cycles_per_frame(clk_period_ns: float, target_fps: float) -> int:
    """Clock cycles that a frame may take, as FINN counts them.

    >>> cycles_per_frame(5.0, 1000)
    200000
    """
    return int(1e9 / clk_period_ns / target_fps + 1e-6)  # a target computed from cycles gives them back


def overflow(lacking: Need, board: Board, headroom: float) -> str:
    """What does not fit: `does not fit ZCU104: 1,400 DSP needed, 1,382 available (80% of 1,728)`."""
    name = RESOURCE_NAMES[lacking.resource]
    total = getattr(board, name)
    return (
        f"does not fit {board.name}: {lacking.amount:,} {RESOURCE_LABELS[name]} needed, "
        f"{int(headroom * total):,} available ({headroom:.0%} of {total:,})"
    )


def _check_reachable(problem: Problem, clk_period_ns: float, target_fps: float, limit: int) -> None:
    least = problem.candidates()[0]
    if least > limit:
        fps, mhz = 1e9 / (clk_period_ns * least), 1e3 / clk_period_ns
        rule = (
            f"out of reach; the least II is {least:,} cycles (layer {problem.slowest_layer()}), "
            f"{fps:,.1f} fps at {mhz:g} MHz"
        )
        raise UserError("target_fps", target_fps, rule)
