"""A whole accelerator by synthesis: every layer, converter and FIFO through Yosys, the cost model beside.

    python -m benchmarks.resources --model build/w4a4/lower/model.onnx [--boards KV260 Pynq-Z2]
    python -m benchmarks.resources --config hw_configs/w4a4.json

The first folds a hardware graph for each board as the solver does, at the II and within the share of it that
AIMS says; its FIFOs are as deep as the solver assumes. The second takes a build finished up to the step
`fifos` (build.py --config FILE --to fifos): its FIFOs are those that its simulation asked for. For each
network Markdown tables: the whole, each kind of layer, and the layers whose cost was extrapolated. What was
synthesised before comes from the cache.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.folding import Network
from benchmarks.markdown import header, line
from finn_flow.backends import base_op
from finn_flow.boards import BOARDS, Board
from finn_flow.config import load_config
from finn_flow.console import Console
from finn_flow.folding import insert_width_converters
from finn_flow.folding.exact import Solution, least_cost
from finn_flow.folding.fifos import assumed_depths, held_bits
from finn_flow.folding.solver import Room, folding_of
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.performance import layer_cycles
from finn_flow.resource_counts import RESOURCE_LABELS, RESOURCE_NAMES, Resources, board_resources
from finn_flow.resources import layer_resources
from finn_flow.synthesis.extrapolate import Extrapolation
from finn_flow.synthesis.layers import synthesised_resources

# II in cycles, and what the solver may use of the board for Yosys to find at most 80 % of it used.
AIMS = {
    "ZCU104": (50_176, 0.8),
    "KV260": (100_352, 0.78),
    "Ultra96-V2": (200_704, 0.78),
    "Pynq-Z2": (3_211_264, 0.8),
}
Costs = dict[str, Resources]  # by layer


def folded(network: Network, board: Board, interval: int, headroom: float) -> ModelWrapper:
    """The network folded for a board at an II, with converters and FIFOs; SystemExit if it does not fit."""
    problem, room = network.problem(board), Room.on(board, headroom)
    solution = least_cost(problem, interval, room.unit, room.bounds)
    if not isinstance(solution, Solution):
        raise SystemExit(f"{board.name}: II {interval:,} does not fit by the cost model")
    model = insert_width_converters(network.folded(folding_of(problem, solution)))
    return model.transform(InsertFifos(assumed_depths(model, held_bits(network.built))))


def tables(model: ModelWrapper, board: Board) -> Iterator[str]:
    """The lines of a network's report. model: with converters and FIFOs."""
    interval = max(layer_cycles(model).values())
    priced = layer_resources(model, board)
    before = _cpu_seconds()
    found, extrapolated = synthesised_resources(model, board, Console().progress)
    minutes = (_cpu_seconds() - before) / 60
    yield f"{board.name}, II {interval:,}, {len(found)} layers, {minutes:.1f} CPU minutes of synthesis:"
    yield ""
    yield from _totals(sum(priced.values(), Resources()), sum(found.values(), Resources()), board)
    yield ""
    yield from _kinds(model, priced, found)
    yield ""
    yield from _extrapolations(extrapolated)


def _cpu_seconds() -> float:
    """Of finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


def _totals(priced: Resources, found: Resources, board: Board) -> Iterator[str]:
    """Counts with their shares of the board, and how far the model is from synthesis."""
    yield from header("by", *RESOURCE_LABELS.values())
    for name, total in (("cost model", priced), ("Yosys", found)):
        pairs = zip(total.counts, board_resources(board).counts, strict=True)
        yield line(name, *(f"{used:,} ({used / has:.0%})" if has else f"{used:,}" for used, has in pairs))
    yield line("deviation", *map(_deviation, priced.counts, found.counts))


def _kinds(model: ModelWrapper, priced: Costs, found: Costs) -> Iterator[str]:
    """By op: Yosys' counts, and the model's deviation from them."""
    yield from header("op", "layers", *RESOURCE_LABELS.values())
    ops = {node.name: base_op(node.op_type) for node in model.graph.node}
    for op in sorted(set(ops.values())):
        names = [name for name in ops if ops[name] == op]
        model_sum, yosys_sum = (sum((c[n] for n in names), Resources()) for c in (priced, found))
        pairs = zip(model_sum.counts, yosys_sum.counts, strict=True)
        yield line(op, str(len(names)), *(f"{y:,} ({_deviation(m, y)})" if m or y else "0" for m, y in pairs))


def _extrapolations(extrapolated: dict[str, Extrapolation]) -> Iterator[str]:
    if extrapolated:
        yield from header("too large", "from foldings", *(RESOURCE_LABELS[r] for r in RESOURCE_NAMES))
    for name, result in extrapolated.items():
        errors = (f"{result.error[r]:.1%}" if r in result.error else "" for r in RESOURCE_NAMES)
        yield line(name, str(len(result.foldings)), *errors)


def _deviation(guess: int, truth: int) -> str:
    """Of the model from synthesis."""
    return f"{guess / truth - 1:+.1%}" if truth else "–" if guess else "0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resources", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", type=Path, help="hardware graph before folding (ONNX)")
    what.add_argument("--config", type=Path, metavar="FILE", help="of a finished build")
    parser.add_argument("--boards", nargs="+", choices=AIMS, default=list(AIMS), help="with --model")
    options = parser.parse_args()
    if options.config is not None:
        config = load_config(options.config)
        models = [(ModelWrapper(str(config.build_folder / "fifos" / "model.onnx")), config.device)]
    else:
        network = Network(ModelWrapper(str(options.model)))
        models = [(folded(network, BOARDS[name], *AIMS[name]), BOARDS[name]) for name in options.boards]
    for model, board in models:
        for text in tables(model, board):
            print(text, flush=True)


if __name__ == "__main__":
    main()
