"""Every layer of a built netlist by synthesis: layers, width converters and FIFOs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import is_hls
from finn_flow.boards import Board
from finn_flow.resource_counts import Resources
from finn_flow.synthesis.extrapolate import Extrapolation, extrapolate
from finn_flow.synthesis.yosys import FAMILIES, TooLarge, layer_module, synthesise
from verification.verilator.build import Progress, silent


def synthesised_resources(
    model: ModelWrapper, board: Board, progress: Progress = silent
) -> tuple[dict[str, Resources], dict[str, Extrapolation]]:
    """Cost by node name, and how it was found where a layer was too large. model: specialised, with FIFOs."""
    costs: dict[str, Resources] = {}
    extrapolated: dict[str, Extrapolation] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nodes = [node for node in model.graph.node if not is_hls(node)]  # of those, Vitis HLS has reports
        modules = [layer_module(model, node, folder) for node in nodes]
        outcomes = synthesise(modules, FAMILIES[board.dsp_block], progress)
        for node, outcome in zip(nodes, outcomes, strict=True):
            if isinstance(outcome, TooLarge):
                extrapolated[node.name] = extrapolate(model, node, board.dsp_block, folder, progress)
                outcome = extrapolated[node.name].resources
            costs[node.name] = outcome
    return costs, extrapolated


def extrapolation_rows(extrapolated: dict[str, Extrapolation]) -> list[dict[str, Any]]:
    """For the report: layer, foldings, errors."""
    return [
        {"layer": name, "foldings": result.foldings, "error": result.error}
        for name, result in extrapolated.items()
    ]
