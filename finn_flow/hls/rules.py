"""What a layer's folding may say for the layer to be HLS in our netlist."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op, layer_instance
from finn_flow.boards import Board
from model.errors import UserError

if TYPE_CHECKING:
    from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp

# FINN's mem_mode: beside the layer, inside of it
STREAMED, EMBEDDED = "internal_decoupled", "internal_embedded"
WITH_PARAMETERS = ("MVAU", "VVAU", "Thresholding")  # the other ops' parameters are always inside


def _with_parameters(model: ModelWrapper, names: Collection[str]) -> Iterator[HWCustomOp]:
    """The named layers whose parameters may be inside, beside or elsewhere, as FINN's HLS ops."""
    for node in model.graph.node:
        if node.name in names and base_op(node.op_type) in WITH_PARAMETERS:
            yield layer_instance(node, "hls")


def check_mem_modes(model: ModelWrapper, names: Collection[str]) -> None:
    """Raises UserError for the first of the named layers whose parameters come from outside."""
    for layer in _with_parameters(model, names):
        mode = layer.get_nodeattr("mem_mode")
        if mode not in (STREAMED, EMBEDDED):
            rule = f"no such stream enters the accelerator; legal values: {STREAMED}, {EMBEDDED}"
            raise UserError(f"{layer.onnx_node.name}.mem_mode", mode, rule)


def check_hls_layers(model: ModelWrapper, names: Collection[str], board: Board) -> None:
    """Raises UserError as `check_mem_modes`, for a part that is not Xilinx's, and for streamed UltraRAMs."""
    if names and not board.part.startswith("xc"):
        raise UserError("backend", "hls", f"Vitis HLS has no part {board.part}; use rtl on this board")
    check_mem_modes(model, names)
    for layer in _with_parameters(model, names):
        if layer.get_nodeattr("mem_mode") == STREAMED and layer.get_nodeattr("ram_style") == "ultra":
            _, _, _, styles = layer.get_nodeattr_types()["ram_style"]
            legal = ", ".join(sorted(set(styles) - {"ultra"}))
            rule = f"an UltraRAM cannot be initialised; legal values: {legal}"
            raise UserError(f"{layer.onnx_node.name}.ram_style", "ultra", rule)
