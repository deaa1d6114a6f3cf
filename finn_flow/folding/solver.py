"""The folding of a network for a board, a clock and a target.

With a target every layer gets the cheapest folding that keeps up with it and, if that fits, with what FINN's
SetFolding would reach; without one, the least initiation interval (II, cycles from frame to frame) whose
folding fits the board. Cost is the sum of each resource's share of the board. What does not fit is proved by
a linear relaxation; what fits, the search can miss by a hair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import Board
from finn_flow.folding.groups import folding_groups
from finn_flow.folding.problem import Problem
from finn_flow.folding.search import Solution, least_cost
from finn_flow.folding.set_folding import set_folding_interval
from finn_flow.resources import RESOURCE_LABELS, RESOURCE_NAMES, board_resources
from model.errors import UserError

UNLIMITED = 1e4  # a headroom under which everything fits


@dataclass(frozen=True)
class Folding:
    """Attributes to set on each layer, by node name: PE, SIMD, parallel_window, ram_style and the like."""

    layers: Mapping[str, Mapping[str, Any]]


def solve(
    model: ModelWrapper, board: Board, clk_period_ns: float, target_fps: float | None, headroom: float = 0.8
) -> Folding:
    """The cheapest folding that reaches `target_fps`, or for None the one of least II that fits the board.

    headroom: share of each resource that may be used. Raises UserError where the target is out of reach,
    where its folding does not fit, or where nothing fits.
    """
    problem = Problem(folding_groups(model, board.dsp_block))
    if target_fps is None:
        solution = _fastest(problem, board, headroom)
        if not solution.fits:
            rule = f"{_overflow(solution, board, headroom)} at any speed; take a larger board or fewer bits"
            raise UserError("board", board.name, rule)
    else:
        limit = cycles_per_frame(clk_period_ns, target_fps)
        _check_reachable(problem, clk_period_ns, target_fps, limit)
        tighter = min(limit, set_folding_interval(model, problem.groups, limit))
        solution = _fit(problem, tighter, board, headroom)
        if not solution.fits and tighter < limit:
            solution = _fit(problem, limit, board, headroom)
        if not solution.fits:
            rule = f"{_overflow(solution, board, headroom)}; lower target_fps or take a larger board"
            raise UserError("target_fps", target_fps, rule)
    layers: dict[str, Mapping[str, Any]] = {}
    for option in problem.options(solution.choice):
        layers.update(option.folding)
    return Folding({node.name: layers[node.name] for node in model.graph.node})


def least_interval(model: ModelWrapper, board: Board) -> int:
    """The least II in cycles that any folding has, whatever it takes."""
    return Problem(folding_groups(model, board.dsp_block)).candidates()[0]


def cycles_per_frame(clk_period_ns: float, target_fps: float) -> int:
    """Clock cycles that a frame may take, as FINN counts them.

    >>> cycles_per_frame(5.0, 1000)
    200000
    """
    return int(1e9 / clk_period_ns / target_fps + 1e-6)  # a target computed from cycles gives them back


def _fit(problem: Problem, limit: int, board: Board, headroom: float) -> Solution:
    offered = np.array(board_resources(board).counts, dtype=float)
    # A resource that the board lacks has a bound that one unit exceeds, rather than 0: shares divide by it.
    return least_cost(problem, limit, np.maximum(offered, 1), np.maximum(headroom * offered, 0.5))


def _fastest(problem: Problem, board: Board, headroom: float) -> Solution:
    """The solution of least interval that fits; where none does, that of the greatest interval."""
    candidates = problem.candidates()
    best = _fit(problem, candidates[-1], board, headroom)
    low, high = 0, len(candidates) - 1
    while best.fits and low < high:
        middle = (low + high) // 2
        solution = _fit(problem, candidates[middle], board, headroom)
        if solution.fits:
            best, high = solution, middle
        else:
            low = middle + 1
    return best


def _check_reachable(problem: Problem, clk_period_ns: float, target_fps: float, limit: int) -> None:
    least = problem.candidates()[0]
    if least > limit:
        fps, mhz = 1e9 / (clk_period_ns * least), 1e3 / clk_period_ns
        rule = (
            f"out of reach; the least II is {least:,} cycles (layer {problem.slowest_layer()}), "
            f"{fps:,.1f} fps at {mhz:g} MHz"
        )
        raise UserError("target_fps", target_fps, rule)


def _overflow(solution: Solution, board: Board, headroom: float) -> str:
    name = RESOURCE_NAMES[solution.binds]
    needed, total = solution.usage[solution.binds], getattr(board, name)
    return (
        f"does not fit {board.name}: {math.ceil(needed):,} {RESOURCE_LABELS[name]} needed, "
        f"{int(headroom * total):,} available ({headroom:.0%} of {total:,})"
    )
