"""Cycles per layer, and from them the throughput and latency of the accelerator.

Every number is the formula of the class that the backend makes of a layer (`finn_flow.backends`): FINN's, or
that in the header of our own module, which its bench holds to the cycle. For FINN's window generator it is an
estimate: against simulation up to 15 % high (a window over the whole image) and up to 4 % low (stride 2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import CONVERTER, base_op, layer_instance

if TYPE_CHECKING:
    from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp


def instance_cycles(layer: HWCustomOp) -> int:
    """Clock cycles that a layer takes for one frame at its present folding."""
    if base_op(layer.onnx_node.op_type) == CONVERTER:
        # FINN says 0. A converter moves one word a cycle on each side, the two overlapping.
        shapes = (layer.get_folded_input_shape(), layer.get_folded_output_shape())
        return max(math.prod(int(size) for size in shape[:-1]) for shape in shapes)
    return int(layer.get_exp_cycles())


def layer_cycles(model: ModelWrapper) -> dict[str, int]:
    """Clock cycles a frame of every layer at its present folding, by node name."""
    return {node.name: instance_cycles(layer_instance(node)) for node in model.graph.node}


def network_performance(model: ModelWrapper, clk_period_ns: float) -> dict[str, Any]:
    """Throughput and latency of the folded graph, under the keys of FINN's network performance report.

    max_cycles is the initiation interval: a new frame leaves that often once the pipeline is full.
    critical_path_cycles adds up the cycles of all layers on the longest way from input to output, as FINN
    does: pessimistic, since a layer starts long before the one before it has ended.
    """
    cycles = layer_cycles(model)
    # A converter is as slow as a neighbour at most, which then is the one to name.
    slowest = max(cycles, key=lambda name: (cycles[name], not name.startswith(CONVERTER)))
    critical = _critical_path(model, cycles)
    return {
        "critical_path_cycles": critical,
        "max_cycles": cycles[slowest],
        "max_cycles_node_name": slowest,
        "estimated_throughput_fps": 1e9 / (clk_period_ns * cycles[slowest]),
        "estimated_latency_ns": critical * clk_period_ns,
    }


def _critical_path(model: ModelWrapper, cycles: Mapping[str, int]) -> int:
    """Greatest sum of cycles along a path; nodes are in topological order."""
    done: dict[str, int] = {}
    for node in model.graph.node:
        start = max((done.get(tensor, 0) for tensor in node.input), default=0)
        done.update(dict.fromkeys(node.output, start + cycles[node.name]))
    return max(done.values())
