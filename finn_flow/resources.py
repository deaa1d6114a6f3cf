"""What a layer costs on the device at a folding: analytic, uncalibrated; replaced by synthesis later.

Pure functions of a layer's attributes, one per op, so that a folding can be priced without touching the
graph. DSPs follow from the structure of FINN's `mvu.sv` (4-bit 8x8: 16, 8-bit 8x8: 32, as synthesised), whose
packing our `dot_product.sv` still lacks (one a product: 64), and memories from their geometry. The LUTs and
flip-flops of logic are round constants that follow a handful of Yosys syntheses, not a fit: expect tens of
per cent a layer. FIFOs are not counted: their depths come from simulation, a later step. The clock does not
enter.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op
from finn_flow.boards import Board, DspBlock
from finn_flow.window_buffer import parallel_window, serial_window

Attributes = Mapping[str, Any]

LUT_DEPTH = 64  # words of one bit that a LUT6 holds
AUTO_LUT_DEPTH = 128  # deepest memory that ram_style "auto" leaves in LUTs (FINN's VVAU.bram_estimation)
BRAM18_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))  # (width, depth)
URAM_SHAPE = (72, 4096)
LUT_PRODUCT_BITS = 16  # VVAU: products up to 4 x 4 bit are made of LUTs, larger ones take a DSP each


@dataclass(frozen=True)
class Resources:
    """Counts of LUT, flip-flop, 18 Kbit block RAM, UltraRAM and DSP slice."""

    lut: int = 0
    ff: int = 0
    bram18: int = 0
    uram: int = 0
    dsp: int = 0

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """In the order of RESOURCE_NAMES."""
        return self.lut, self.ff, self.bram18, self.uram, self.dsp

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def times(self, number: int) -> Resources:
        """The cost of `number` copies."""
        return Resources(*(number * count for count in self.counts))

    def report(self) -> dict[str, int]:
        """Under the keys of FINN's estimate_layer_resources.json, with FF besides."""
        return {"BRAM_18K": self.bram18, "LUT": self.lut, "FF": self.ff, "URAM": self.uram, "DSP": self.dsp}


RESOURCE_NAMES = tuple(field.name for field in fields(Resources))
RESOURCE_LABELS = dict(zip(RESOURCE_NAMES, ("LUT", "FF", "BRAM18", "URAM", "DSP"), strict=True))


def board_resources(board: Board) -> Resources:
    """What a board offers."""
    return Resources(*(getattr(board, name) for name in RESOURCE_NAMES))


def layer_attributes(model: ModelWrapper, node: NodeProto) -> dict[str, Any]:
    """Attributes of a node, and the facts of its constants that its cost depends on.

    MVAU: narrow_weights, no weight is the least of its type. Requant: scale_bits, bias_bits, shift_bits.
    """
    values = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}
    op = base_op(node.op_type)
    if op == "MVAU":
        weights = model.get_initializer(node.input[1])
        attributes["narrow_weights"] = bool(weights.min() > DataType[attributes["weightDataType"]].min())
    elif op == "Requant":
        for name, tensor in zip(("scale", "bias", "shift"), node.input[1:], strict=True):
            attributes[f"{name}_bits"] = model.get_tensor_datatype(tensor).bitwidth()
    return attributes


def estimate(op: str, attributes: Attributes, dsp_block: DspBlock) -> Resources:
    """Cost of one layer. op: generic op type; attributes: see `layer_attributes`."""
    return _ESTIMATES[op](attributes, dsp_block)


def layer_resources(model: ModelWrapper, board: Board) -> dict[str, Resources]:
    """Cost of every layer at its present folding, by node name."""
    return {
        node.name: estimate(base_op(node.op_type), layer_attributes(model, node), board.dsp_block)
        for node in model.graph.node
    }


@functools.cache
def _bits(datatype: str) -> int:
    return int(DataType[datatype].bitwidth())


# --- memories ---


def memory(width: int, depth: int, style: str, dual_port: bool = False) -> Resources:
    """A memory of `depth` words; style: FINN's ram_style. dual_port: written and read in the same cycle."""
    if style == "auto":
        style = "distributed" if depth <= AUTO_LUT_DEPTH else "block"
    if style == "block":
        shapes = (-(-width // w) * -(-depth // d) for w, d in BRAM18_SHAPES)
        return Resources(bram18=min(shapes))
    if style == "ultra":
        return Resources(uram=-(-width // URAM_SHAPE[0]) * -(-depth // URAM_SHAPE[1]))
    blocks = -(-depth // LUT_DEPTH)
    # 4 LUTs with a shared write port hold 3 bits; words beyond the first blocks need a read multiplexer.
    columns = 4 * -(-width // 3) if dual_port else width
    return Resources(lut=blocks * columns + width * ((blocks - 1) // 4))


# --- ops ---


def dsp_lanes(weight_bits: int, input_bits: int, narrow_weights: bool, dsp_block: DspBlock) -> int:
    """Products that FINN's mvu.sv packs into one DSP: NUM_LANES there.

    >>> [dsp_lanes(bits, bits, True, "DSP48E2") for bits in (2, 3, 4, 5, 8)]
    [9, 5, 4, 3, 2]
    """
    if dsp_block == "MULT18X18D":
        return 1
    operand = 25 if dsp_block == "DSP48E1" else 27
    return 1 + (operand - (not narrow_weights) - weight_bits) // (weight_bits + input_bits - 1)


def _mvau(a: Attributes, dsp_block: DspBlock) -> Resources:
    pe, simd, mw, mh = a["PE"], a["SIMD"], a["MW"], a["MH"]
    w, x, acc = _bits(a["weightDataType"]), _bits(a["inputDataType"]), _bits(a["outputDataType"])
    lanes = dsp_lanes(w, x, a["narrow_weights"], dsp_block)
    weights = memory(pe * simd * w, mw * mh // (pe * simd), a.get("ram_style", "auto"))
    replay = memory(simd * x, mw // simd, "distributed", dual_port=True) if pe < mh else Resources()
    # Beside the DSPs, each product's low part and its carry are summed over SIMD, then accumulated.
    sums = pe * simd * (w + x + 8)
    logic = Resources(
        lut=200 + sums + 3 * pe * acc,
        ff=300 + sums + 4 * pe * acc + pe * simd * w,
        dsp=-(-pe // lanes) * simd,
    )
    return logic + weights + replay


def _vvau(a: Attributes, dsp_block: DspBlock) -> Resources:
    pe, simd, kernel, channels = a["PE"], a.get("SIMD", 1), math.prod(a["Kernel"]), a["Channels"]
    w, x, acc = _bits(a["weightDataType"]), _bits(a["inputDataType"]), _bits(a["outputDataType"])
    weights = memory(pe * simd * w, kernel * channels // (pe * simd), a.get("ram_style", "auto"))
    in_lut = w * x <= LUT_PRODUCT_BITS and dsp_block != "MULT18X18D"
    products = pe * simd * (w * x * 8 // 5 if in_lut else 0)
    sums = pe * (simd - 1) * (w + x)
    logic = Resources(
        lut=40 + products + sums + 2 * pe * acc,
        ff=40 + 2 * pe * acc,
        dsp=0 if in_lut else pe * simd,
    )
    return logic + weights


def _thresholding(a: Attributes, dsp_block: DspBlock) -> Resources:
    """Binary search: stage s of M holds 2^s thresholds a channel and has a comparator per PE."""
    pe, fold, bits = a["PE"], a["NumChannels"] // a["PE"], _bits(a["weightDataType"])
    stages, trigger = int(a["numSteps"]).bit_length(), a.get("depth_trigger_bram", 0)
    total = Resources(
        lut=30 * stages + pe * stages * bits * 3 // 5,
        ff=60 + 4 * pe * stages * bits,
    )
    for depth in (fold << stage for stage in range(stages)):
        bank = memory(bits, depth, "block" if 0 < trigger <= depth else "distributed")
        total += bank.times(pe)
    return total


def _requant(a: Attributes, dsp_block: DspBlock) -> Resources:
    pe = a.get("PE", 1)
    fold = a["NumChannels"] // pe
    x, y = _bits(a["inputDataType"]), _bits(a["outputDataType"])
    scale, bias, shift = a["scale_bits"], a["bias_bits"], a["shift_bits"]
    product = x + scale if scale > 1 else x
    parameters = memory(pe * (scale + bias + shift), fold, "distributed")
    # Adder, barrel shifter of `shift` stages (two to a LUT) and clamp.
    shifter = product * -(-shift // 2) if shift > 1 else 0
    logic = Resources(
        lut=30 + pe * (product + shifter + y + 4),
        ff=30 + pe * (2 * product + y),
        dsp=pe * multiplier_dsps(x, scale, dsp_block) if scale > 1 else 0,
    )
    return logic + parameters


def multiplier_dsps(a_bits: int, b_bits: int, dsp_block: DspBlock) -> int:
    """DSPs of a full multiplier of signed operands, on 25 x 18 (E1) or 27 x 18 bits.

    >>> multiplier_dsps(20, 12, "DSP48E2"), multiplier_dsps(20, 20, "DSP48E2")
    (1, 2)
    """
    wide, narrow = {"DSP48E1": 25, "DSP48E2": 27, "MULT18X18D": 18}[dsp_block], 18
    ways = ((wide, narrow), (narrow, wide))
    return min(-(-a_bits // u) * -(-b_bits // v) for u, v in ways)


def _window_generator(a: Attributes, dsp_block: DspBlock) -> Resources:
    """FINN's sliding window: a cyclic buffer, or with parallel_window registers and line buffers."""
    simd, fold = a["SIMD"], a["IFMChannels"] // a["SIMD"]
    (rows, columns), width, style = a["ConvKernelDim"], a["IFMDim"][1], a.get("ram_style", "distributed")
    bits = simd * _bits(a["inputDataType"])
    if not a.get("parallel_window", 0):
        depth = ((rows - 1) * width + columns + max(0, (a["Stride"][0] - 1) * width - rows * columns)) * fold
        return Resources(lut=250, ff=100 + bits) + memory(bits, depth, style, dual_port=True)
    taps = rows * columns
    registers = Resources(lut=220 + (taps - 1) * bits * -(-(fold - 1) // 32), ff=100 + taps * bits)
    line = memory(bits, (width - columns) * fold, style, dual_port=True)
    return registers + line.times(rows - 1)


def _padded_window(a: Attributes, dsp_block: DspBlock) -> Resources:
    """Our window generators: one cyclic buffer, or a bank a row and the columns before."""
    style, bits = a.get("ram_style", "distributed"), a["SIMD"] * _bits(a["inputDataType"])
    kernel = a["ConvKernelDim"][0]
    if not a.get("parallel_window", 0):
        words, _ = serial_window(a)
        return Resources(lut=170, ff=90 + 2 * bits) + memory(bits, words, style, dual_port=True)
    row, history, _ = parallel_window(a)
    columns = memory(kernel * (kernel - 1) * bits, history, "auto", dual_port=True)
    logic = Resources(lut=170 + kernel * kernel * bits, ff=110 + kernel * (kernel + 1) * bits)
    return logic + memory(bits, row, style, dual_port=True).times(kernel) + columns


def _padding(a: Attributes, dsp_block: DspBlock) -> Resources:
    bits = a.get("SIMD", 1) * _bits(a["inputDataType"])
    return Resources(lut=60 + bits, ff=70 + 2 * bits)


def _duplicate(a: Attributes, dsp_block: DspBlock) -> Resources:
    streams, bits = a["NumOutputStreams"], a["PE"] * _bits(a["inputDataType"])
    return Resources(lut=5 + streams, ff=streams * (bits + 1))


def _add(a: Attributes, dsp_block: DspBlock) -> Resources:
    bits = a.get("PE", 1) * _bits(a["out_dtype"])
    return Resources(lut=5 + bits, ff=1 + bits)


def _converter(a: Attributes, dsp_block: DspBlock) -> Resources:
    return converter_resources(a["inWidth"], a["outWidth"])


def converter_resources(in_width: int, out_width: int) -> Resources:
    """A stream width converter: shift registers as wide as the wider side, or as both if neither divides."""
    if in_width == out_width:
        return Resources()
    wide, narrow = max(in_width, out_width), min(in_width, out_width)
    bits = wide if wide % narrow == 0 else wide + narrow
    return Resources(lut=20 + 2 * bits, ff=20 + 2 * bits)


_ESTIMATES: dict[str, Callable[[Attributes, DspBlock], Resources]] = {
    "MVAU": _mvau,
    "VVAU": _vvau,
    "Thresholding": _thresholding,
    "Requant": _requant,
    "ConvolutionInputGenerator": _window_generator,
    "WindowGenerator": _padded_window,
    "FMPadding": _padding,
    "DuplicateStreams": _duplicate,
    "ElementwiseAdd": _add,
    "StreamingDataWidthConverter": _converter,
}
