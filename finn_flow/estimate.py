"""What the accelerator is estimated to do and cost: cycles, throughput, latency, resources, counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import FIFO, base_op, layer_instance
from finn_flow.boards import Board
from finn_flow.finn_counts import finn_counts
from finn_flow.hls.vitis import Synthesis
from finn_flow.performance import layer_cycles, network_performance
from finn_flow.resources import layer_resources
from finn_flow.synthesis.layers import extrapolation_rows, synthesised_resources
from verification.verilator.build import Progress, silent

Method = Literal["analytic", "yosys"]
NOTES: dict[Method, str] = {
    "analytic": "By the cost model: memories and DSPs are counted, LUTs and flip-flops by formulas "
    "fitted to Yosys' syntheses of small layers (python -m finn_flow.cost_model --check prints the errors).",
    "yosys": "Each layer, width converter and FIFO synthesised by Yosys, alone; nothing is placed or routed. "
    "A LUT counts as one however few inputs it has: Vivado packs small ones in pairs.",
}

HLS_NOTE = "Of HLS layers: what Vitis HLS's reports say, and the memories of their parameters."


def estimate_network(
    folded: ModelWrapper,
    built: ModelWrapper,
    board: Board,
    method: Method = "analytic",
    progress: Progress = silent,
    made: Mapping[str, Synthesis] | None = None,
) -> dict[str, Any]:
    """`performance` under FINN's keys; `layers`: per node cycles, resources, FINN's estimate and counts.

    folded: the graph after `fold`; built: the same specialised, with FIFOs, whose resources are in `fifos`;
    made: the layers that Vitis HLS made, which come from its reports.
    `extrapolated`: layers that were too large to synthesise, with the measured errors.
    """
    made = made or {}
    cycles = {name: max(count, _interval(made, name)) for name, count in layer_cycles(folded).items()}
    if method == "yosys":
        resources, extrapolated = synthesised_resources(built, board, progress)
    else:
        resources, extrapolated = layer_resources(built, board), {}
    resources |= {name: result.resources for name, result in made.items()}
    layers = {
        node.name: {
            "cycles": cycles[node.name],
            "resources": dict(vars(resources[node.name])),
            "finn": finn_counts(node, board.part),
            "counts": _counts(layer_instance(node)),
        }
        for node in folded.graph.node
    }
    fifos = [node for node in built.graph.node if base_op(node.op_type) == FIFO]
    return {
        "performance": network_performance(folded, board.clk_period_ns),
        "layers": layers,
        "fifos": {
            node.name: {"resources": dict(vars(resources[node.name])), "finn": finn_counts(node, board.part)}
            for node in fifos
        },
        "extrapolated": extrapolation_rows(extrapolated),
        "method": method,
        "resource_note": " ".join(
            [NOTES[method], *_sentences(extrapolation_rows(extrapolated)), *([HLS_NOTE] if made else [])]
        ),
    }


def _interval(made: Mapping[str, Synthesis], layer: str) -> int:
    return (made[layer].interval or 0) if layer in made else 0


def _sentences(rows: list[dict[str, Any]]) -> list[str]:
    """What was too large, and the errors on the folding that was held out."""
    return [
        f"{row['layer']} was too large: extrapolated from {len(row['foldings'])} smaller foldings, of which "
        "the largest is met within "
        + ", ".join(f"{error:.1%} ({name.upper()})" for name, error in row["error"].items())
        + "."
        for row in rows
    ]


def _counts(instance: Any) -> dict[str, int]:
    """Operations and parameters under FINN's keys, for the layers that count them."""
    if not hasattr(instance, "get_op_and_param_counts"):
        return {}
    return {key: int(count) for key, count in instance.get_op_and_param_counts().items()}
