"""The folding solver: against FINN's SetFolding, against its own first guess, and how fast each board can be.

    python -m benchmarks.folding --model build/w4a4/lower/model.onnx             # against SetFolding
    python -m benchmarks.folding --model build/w4a4/lower/model.onnx --proof     # first guess and optimum
    python -m benchmarks.folding --model build/w4a4/lower/model.onnx --fastest   # the least II of each board

Each prints a Markdown table. All foldings are those of the same hardware graph, priced by the same model:
layers, width converters and FIFOs (`finn_flow.folding.fifos`). II: initiation interval in cycles; cost:
sum of the shares of the board's resources. In the first table neither has to fit, as SetFolding knows no
board; a target that no folding reaches stands for the least II, and the exit code is 1 unless ours always
has the smaller II, or the same at less cost.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from benchmarks.markdown import header, line
from finn_flow.backends import CLASSES, base_op
from finn_flow.boards import BOARDS, Board
from finn_flow.finn_env import prepare_finn
from finn_flow.folding import UNLIMITED, Folding, apply_folding, cycles_per_frame
from finn_flow.folding.exact import Need, Solution, least_cost, need, needs_alone
from finn_flow.folding.fifos import network_resources
from finn_flow.folding.problem import Problem
from finn_flow.folding.program import Program
from finn_flow.folding.search import improve
from finn_flow.folding.solver import Fastest, Room, folding_of, least_fitting_interval
from finn_flow.graph import FINN
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.performance import layer_cycles
from finn_flow.resources import RESOURCE_LABELS, Resources, board_resources, layer_resources

BOARD_NAMES = ("ZCU104", "KV260", "Ultra96-V2", "Pynq-Z2")
FASTEST_NAMES = ("ZCU104", "KV260", "Ultra96-V2", "AUP-ZU3", "Pynq-Z2")
TARGETS = (50, 100, 250, 500, 1000)  # frames per second
FOLDS = ("PE", "SIMD", "parallel_window")
LABELS = tuple(RESOURCE_LABELS.values())
HEADROOM = 0.8


class Network:
    """A hardware graph after lowering: as SetFolding takes it, and as it is built."""

    def __init__(self, model: ModelWrapper) -> None:
        self.lowered = model
        self.built = ModelWrapper(model.model, make_deepcopy=True).transform(FuseWindowPadding())
        self._problems: dict[str, Problem] = {}

    def problem(self, board: Board) -> Problem:
        """Priced once for all boards of the same DSP slice."""
        if board.dsp_block not in self._problems:
            self._problems[board.dsp_block] = Problem.of(self.built, board.dsp_block)
        return self._problems[board.dsp_block]

    def folded(self, folding: Folding) -> ModelWrapper:
        return apply_folding(ModelWrapper(self.built.model, make_deepcopy=True), folding)


@dataclass(frozen=True)
class Measured:
    """II and resources of a folding. cost: in boards."""

    interval: int
    resources: Resources
    cost: float


@dataclass(frozen=True)
class Row:
    """Both foldings at one target."""

    board: Board
    target_fps: float
    ours: Measured
    finns: Measured

    @property
    def is_as_good(self) -> bool:
        """Ours has the smaller II, or the same at no more cost."""
        return (self.ours.interval, self.ours.cost) <= (self.finns.interval, self.finns.cost)


def compare(network: Network, board: Board, target_fps: float) -> Row:
    """Fold a network both ways; ours for the II that SetFolding reaches, where that keeps the target."""
    period, problem = board.clk_period_ns, network.problem(board)
    target = min(target_fps, 1e9 / period / problem.candidates()[0])
    cycles = cycles_per_frame(period, target)
    finns = measure(network, board, finn_folding(network.lowered, board, cycles))
    room = Room.on(board, UNLIMITED)
    ours = least_cost(problem, min(cycles, finns.interval), room.unit, room.bounds)
    assert isinstance(ours, Solution)
    return Row(board, target, measure(network, board, folding_of(problem, ours)), finns)


def finn_folding(model: ModelWrapper, board: Board, cycles: int) -> Folding:
    """What SetFolding makes of a lowered graph for `cycles` a frame."""
    prepare_finn()
    from finn.transformation.fpgadataflow.set_folding import SetFolding
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    copy = ModelWrapper(model.model, make_deepcopy=True)
    for node in copy.graph.node:
        if node.op_type == "Requant":
            _disguise(node)
        if node.op_type in CLASSES["rtl"]:
            getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    copy = copy.transform(SpecializeLayers(board.part)).transform(SetFolding(cycles))
    layers = {}
    for node, theirs in zip(model.graph.node, copy.graph.node, strict=True):
        instance = getCustomOp(theirs)
        known = [fold for fold in FOLDS if fold in instance.get_nodeattr_types()]
        layers[node.name] = {fold: instance.get_nodeattr(fold) for fold in known}
    return Folding(layers)


def _disguise(requant: NodeProto) -> None:
    """Make a Requant, which SetFolding does not know, a Thresholding, which folds the same way."""
    requant.op_type, requant.domain = "Thresholding", FINN
    requant.attribute.append(helper.make_attribute("numSteps", 1))
    requant.attribute.append(helper.make_attribute("weightDataType", "INT8"))


def measure(network: Network, board: Board, folding: Folding) -> Measured:
    """What a folding of the network takes; entries of layers that are not built are passed over."""
    folded = network.folded(folding)
    resources = network_resources(folded, board.dsp_block)
    cost = float(np.array(resources.counts) @ Room.on(board, 1.0).unit)
    return Measured(max(layer_cycles(folded).values()), resources, cost)


def comparison(network: Network) -> tuple[list[str], int]:
    """The table against SetFolding, and the exit code."""
    rows = [compare(network, BOARDS[name], target) for name in BOARD_NAMES for target in TARGETS]
    lines = list(header("board", "target fps", "by", "II", "fps", *LABELS, "cost"))
    for row in rows:
        for name, measured in (("ours", row.ours), ("SetFolding", row.finns)):
            fps = 1e9 / row.board.clk_period_ns / measured.interval
            used = [f"{count:,}" for count in measured.resources.counts]
            start = [row.board.name, f"{row.target_fps:,.0f}", name]
            numbers = [f"{measured.interval:,}", f"{fps:,.0f}", *used, f"{measured.cost:.2f}"]
            lines.append(line(*start, *numbers))
    return lines, int(any(not row.is_as_good for row in rows))


def proofs(network: Network) -> Iterator[str]:
    """The table of first guesses and optima within the headroom; targets that do not fit are left out."""
    yield from header("board", "target fps", "guess", "CPU s", "optimum", "proved within", "CPU s")
    for board in (BOARDS[name] for name in BOARD_NAMES):
        problem, room = network.problem(board), Room.on(board, HEADROOM)
        for target in TARGETS:
            limit = max(cycles_per_frame(board.clk_period_ns, target), problem.candidates()[0])
            start = time.process_time()
            guess = _first_guess(problem, limit, room)
            middle = time.process_time()
            best = least_cost(problem, limit, room.unit, room.bounds)
            seconds = (middle - start, time.process_time() - middle)
            if isinstance(best, Solution):
                costs = ("none" if guess is None else f"{guess:.5f}", f"{best.cost:.5f}")
                numbers = (costs[0], f"{seconds[0]:.1f}", costs[1], f"{best.gap:.3%}", f"{seconds[1]:.1f}")
                yield line(board.name, f"{target:,}", *numbers)


def _first_guess(problem: Problem, limit: int, room: Room) -> float | None:
    """Cost of the rounded relaxation after its sweeps, None where that does not fit."""
    program = Program(problem, limit)
    relaxed = program.relax(room.unit, room.bounds + 0.5)
    if relaxed is None:
        return None
    rounded = program.choice(relaxed.shares)
    choice = improve(problem, rounded, limit, room.unit, relaxed.prices, room.bounds + 0.5)
    usage = problem.usage(choice)
    return float(usage @ room.unit) if (usage <= room.bounds).all() else None


def fastest_table(network: Network) -> Iterator[str]:
    """The table of the least II of each board within the headroom, and what keeps it from the next."""
    yield from header("board", "least II", "fps", "use", "next II", "needs of the board", "that goes to")
    for board in (BOARDS[name] for name in FASTEST_NAMES):
        problem, room = network.problem(board), Room.on(board, HEADROOM)
        best = least_fitting_interval(problem, room)
        numbers, beyond = ["none", "", ""], best.interval
        if best.solution is not None:
            fps = 1e9 / board.clk_period_ns / best.interval
            numbers = [f"{best.interval:,}", f"{fps:,.0f}", _shares(best.solution.usage, board)]
            beyond = best.next or 0
        lacking = need(problem, beyond, room.bounds) if beyond else None
        lifts = "" if lacking is None else _lifts(problem, beyond, room, board, lacking)
        lifts += "" if best.proved else " (that a smaller II does not fit is not proved)"
        takers = "" if lacking is None else _takers(network, board, best, lacking)
        yield line(board.name, *numbers, f"{beyond:,}", lifts, takers)


def _shares(usage: np.ndarray, board: Board) -> str:
    offered = board_resources(board).counts
    parts = zip(LABELS, usage, offered, strict=True)
    return ", ".join(f"{label} {used / total:.0%}" for label, used, total in parts if total)


def _lifts(problem: Problem, limit: int, room: Room, board: Board, lacking: Need) -> str:
    """Every resource of which more alone would do, and how much; else those that must all grow."""
    offered = board_resources(board).counts
    alone = needs_alone(problem, limit, room.bounds)
    if alone:
        ways = (f"{amount / offered[r]:.0%} of its {LABELS[r]}" for r, amount in alone.items() if offered[r])
        return " or ".join(ways)
    first = f"{lacking.amount / offered[lacking.resource]:.0%} of its {LABELS[lacking.resource]}"
    others = [LABELS[r] for r in lacking.together if r != lacking.resource]
    return f"{first}, with more {' and '.join(others)} too"


def _takers(network: Network, board: Board, best: Fastest, lacking: Need) -> str:
    """The kinds of layer that take most of what is lacking, at the least II."""
    if best.solution is None:
        return ""
    folded = network.folded(folding_of(network.problem(board), best.solution))
    taken: Counter[str] = Counter()
    for name, resources in layer_resources(folded, board).items():
        taken[base_op(name.rsplit("_", 1)[0])] += resources.counts[lacking.resource]
    total = int(best.solution.usage[lacking.resource])
    taken["streams"] = total - taken.total()
    most = ", ".join(f"{op} {count / total:.0%}" for op, count in taken.most_common(3) if count)
    return f"{LABELS[lacking.resource]}: {most}"


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="hardware graph before folding (ONNX)")
    table = parser.add_mutually_exclusive_group()
    table.add_argument("--proof", action="store_true", help="first guess and optimum")
    table.add_argument("--fastest", action="store_true", help="least II of each board")
    options = parser.parse_args()
    network = Network(ModelWrapper(str(options.model)))
    if options.proof or options.fastest:
        for row in proofs(network) if options.proof else fastest_table(network):
            print(row, flush=True)
        return 0
    lines, code = comparison(network)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
