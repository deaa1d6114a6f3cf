"""What a folded graph is estimated to do and cost: cycles, throughput, latency, resources, counts."""

from __future__ import annotations

from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import layer_instance
from finn_flow.boards import Board
from finn_flow.performance import layer_cycles, network_performance
from finn_flow.resources import layer_resources

RESOURCE_NOTE = (
    "Analytic, per layer, from its attributes; no synthesis has checked it. MVAUs are priced with several "
    "products a DSP, as FINN's packs them; the RTL takes one DSP a product so far. FIFOs are not counted: "
    "their depths come from simulation."
)


def estimate_network(model: ModelWrapper, board: Board) -> dict[str, Any]:
    """`performance` under FINN's keys, and `layers`: per node cycles, resources and FINN's counts."""
    cycles, resources = layer_cycles(model), layer_resources(model, board)
    layers = {
        node.name: {
            "cycles": cycles[node.name],
            "resources": dict(vars(resources[node.name])),
            "counts": _counts(layer_instance(node)),
        }
        for node in model.graph.node
    }
    return {
        "performance": network_performance(model, board.clk_period_ns),
        "layers": layers,
        "resource_note": RESOURCE_NOTE,
    }


def _counts(instance: Any) -> dict[str, int]:
    """Operations and parameters under FINN's keys, for the layers that count them."""
    if not hasattr(instance, "get_op_and_param_counts"):
        return {}
    return {key: int(count) for key, count in instance.get_op_and_param_counts().items()}
