"""Our folding against FINN's SetFolding at the same targets, on four boards, under one cycle and cost model.

    python -m benchmarks.folding --model build/w4a4/lower/model.onnx

Prints a Markdown table of the initiation intervals (II), frames per second and costs (sum of the shares of
the board's resources). Neither has to fit: SetFolding knows no board. A target that no folding reaches stands
for the least II. Exits with 1 if our II is ever the larger.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_flow.backends import CLASSES
from finn_flow.boards import BOARDS, Board
from finn_flow.finn_env import prepare_finn
from finn_flow.folding import (
    UNLIMITED,
    Folding,
    apply_folding,
    cycles_per_frame,
    insert_width_converters,
    least_interval,
    solve,
)
from finn_flow.graph import FINN
from finn_flow.performance import layer_cycles
from finn_flow.resources import Resources, board_resources, layer_resources

BOARD_NAMES = ("ZCU104", "KV260", "Ultra96-V2", "Pynq-Z2")
TARGETS = (50, 100, 250, 500, 1000, 2000)  # frames per second
FOLDS = ("PE", "SIMD", "parallel_window")


@dataclass(frozen=True)
class Row:
    """II and cost of both foldings at one target."""

    board: Board
    target_fps: float
    ours: tuple[int, float]
    finns: tuple[int, float]


def compare(model: ModelWrapper, board: Board, target_fps: float) -> Row:
    """Fold a hardware graph both ways; `model` is left alone."""
    period = board.clk_period_ns
    target = min(target_fps, 1e9 / period / least_interval(model, board))
    ours = solve(model, board, period, target, headroom=UNLIMITED)
    finns = finn_folding(model, board, cycles_per_frame(period, target))
    return Row(board, target, evaluate(model, board, ours), evaluate(model, board, finns))


def finn_folding(model: ModelWrapper, board: Board, cycles: int) -> Folding:
    """What SetFolding makes of the graph for `cycles` a frame."""
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


def evaluate(model: ModelWrapper, board: Board, folding: Folding) -> tuple[int, float]:
    """II in cycles, and cost in boards, of a folding."""
    folded = insert_width_converters(apply_folding(ModelWrapper(model.model, make_deepcopy=True), folding))
    total = sum(layer_resources(folded, board).values(), Resources())
    offered = board_resources(board).counts
    cost = sum(used / all_ for used, all_ in zip(total.counts, offered, strict=True) if all_)
    return max(layer_cycles(folded).values()), cost


def table(rows: list[Row]) -> Iterator[str]:
    yield "| board | target fps | II | fps | cost | SetFolding's II | fps | cost |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        cells = [row.board.name, f"{row.target_fps:,.0f}"]
        for interval, cost in (row.ours, row.finns):
            fps = 1e9 / row.board.clk_period_ns / interval
            cells += [f"{interval:,}", f"{fps:,.0f}", f"{cost:.2f}"]
        yield f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="hardware graph before folding (ONNX)")
    model = ModelWrapper(str(parser.parse_args().model))
    rows = [compare(model, BOARDS[name], target) for name in BOARD_NAMES for target in TARGETS]
    print("\n".join(table(rows)))
    return int(any(row.ours[0] > row.finns[0] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
