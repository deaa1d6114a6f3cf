"""What a layer costs on the device at a folding, and what a board offers.

`estimate` is a pure function of a layer's attributes, so that a folding can be priced without touching the
graph: memories and DSPs are counted, LUTs and flip-flops follow formulas fitted to Yosys' syntheses of our
RTL (`finn_flow.cost_model`, where their errors are). FINN's own window generator and padding, which a
finished build does not hold, keep round constants. The clock does not enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op, layer_instance
from finn_flow.boards import Board, DspBlock
from finn_flow.cost_model.model import predict_layer
from finn_flow.cost_model.structure import bits_of, converter_structure, fifo_structure, structure
from finn_flow.memory import memory
from finn_flow.resource_counts import RESOURCE_LABELS, RESOURCE_NAMES, Resources, board_resources

__all__ = ["RESOURCE_LABELS", "RESOURCE_NAMES", "Resources", "board_resources", "memory"]

Attributes = Mapping[str, Any]
RTL_WIDTHS = {"Requant": ("SCALE_BITS", "BIAS_BITS", "SHIFT_BITS"), "Thresholding": ("THRESHOLD_BITS",)}


def layer_attributes(model: ModelWrapper, node: NodeProto) -> dict[str, Any]:
    """Attributes of a node, and the facts of its constants that its cost depends on.

    MVAU: narrow_weights, no weight is the least of its type. As in the RTL: of a Requant scale_bits,
    bias_bits and shift_bits, of a Thresholding threshold_bits.
    """
    values = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}
    op = base_op(node.op_type)
    if op == "MVAU":
        weights = model.get_initializer(node.input[1])
        attributes["narrow_weights"] = bool(weights.min() > DataType[attributes["weightDataType"]].min())
    elif op in RTL_WIDTHS:
        parameters = layer_instance(node).parameters(model)
        attributes |= {name.lower(): parameters[name] for name in RTL_WIDTHS[op]}
    return attributes


def estimate(op: str, attributes: Attributes, dsp_block: DspBlock) -> Resources:
    """Cost of one layer. op: generic op type; attributes: see `layer_attributes`."""
    if op in _FINN_LAYERS:
        return _FINN_LAYERS[op](attributes)
    return predict_layer(op, structure(op, attributes, dsp_block))


def layer_resources(model: ModelWrapper, board: Board) -> dict[str, Resources]:
    """Cost of every layer at its present folding, by node name."""
    return {
        node.name: estimate(base_op(node.op_type), layer_attributes(model, node), board.dsp_block)
        for node in model.graph.node
    }


def converter_resources(in_width: int, out_width: int) -> Resources:
    """A stream width converter; nothing between equal widths."""
    if in_width == out_width:
        return Resources()
    return predict_layer("StreamingDataWidthConverter", converter_structure(in_width, out_width))


def fifo_resources(width: int, depth: int, dsp_block: DspBlock, style: str = "auto") -> Resources:
    """A FIFO of `depth` words of `width` bits; style: FINN's ram_style."""
    return predict_layer("StreamingFIFO", fifo_structure(width, depth, style, dsp_block))


def _window_generator(a: Attributes) -> Resources:
    """FINN's sliding window: a cyclic buffer, or with parallel_window registers and line buffers."""
    simd, fold = a["SIMD"], a["IFMChannels"] // a["SIMD"]
    (rows, columns), width, style = a["ConvKernelDim"], a["IFMDim"][1], a.get("ram_style", "distributed")
    bits = simd * bits_of(a["inputDataType"])
    if not a.get("parallel_window", 0):
        depth = ((rows - 1) * width + columns + max(0, (a["Stride"][0] - 1) * width - rows * columns)) * fold
        return Resources(lut=250, ff=100 + bits) + memory(bits, depth, style, dual_port=True)
    taps = rows * columns
    registers = Resources(lut=220 + (taps - 1) * bits * -(-(fold - 1) // 32), ff=100 + taps * bits)
    line = memory(bits, (width - columns) * fold, style, dual_port=True)
    return registers + line.times(rows - 1)


def _padding(a: Attributes) -> Resources:
    bits = a.get("SIMD", 1) * bits_of(a["inputDataType"])
    return Resources(lut=60 + bits, ff=70 + 2 * bits)


_FINN_LAYERS: dict[str, Callable[[Attributes], Resources]] = {
    "ConvolutionInputGenerator": _window_generator,
    "FMPadding": _padding,
}
