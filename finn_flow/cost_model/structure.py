"""What a layer is made of: the quantities that its LUTs and flip-flops grow with, and what can be counted.

Read off the modules in finn_flow/rtl. Attributes are those of `finn_flow.resources.layer_attributes`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qonnx.core.datatype import DataType

from finn_flow.boards import DspBlock
from finn_flow.cost_model.memories import Memory, block, ram, rom
from finn_flow.resource_counts import Resources
from finn_flow.window_buffer import parallel_window, serial_window

Attributes = Mapping[str, Any]
Terms = dict[str, float]
NOTHING = Resources()
LUT_PRODUCT_BITS = {"MVAU": 8, "VVAU": 16}  # as in finn_flow/ops/mvau_rtl.py and vvau_rtl.py


@dataclass(frozen=True)
class Structure:
    """counted: memories and DSPs. lut, ff: by what they grow with, to be weighted with coefficients.

    variant: layers of one op that are built so differently that each kind has coefficients of its own.
    """

    lut: Terms
    ff: Terms
    counted: Resources = NOTHING
    variant: str = ""


def structure(op: str, attributes: Attributes, dsp_block: DspBlock) -> Structure:
    """The structure of a layer."""
    return _STRUCTURES[op](attributes, dsp_block)


@functools.cache
def bits_of(datatype: str) -> int:
    """Width of a data type."""
    return int(DataType[datatype].bitwidth())


def address_bits(words: int) -> int:
    """Of a counter over `words`.

    >>> [address_bits(n) for n in (1, 2, 3, 64, 65)]
    [0, 1, 2, 6, 7]
    """
    return (words - 1).bit_length()


def fifo_structure(width: int, depth: int, style: str, dsp_block: DspBlock) -> Structure:
    """fifo.sv: two words are registers, more a memory."""
    if depth == 2:
        bits: Terms = {"fixed": 1, "bits": width}
        return Structure(bits, bits, variant="registers")
    memory = ram(width, depth, style, dsp_block)
    counters = address_bits(depth)
    lut: Terms = {"fixed": 1, "bits": width, "counters": counters, "mux": memory.mux}
    lut["wrap"] = counters if depth & (depth - 1) else 0
    ff: Terms = {"fixed": 1, "bits": width * (1 if memory.is_block else 2), "counters": counters}
    return Structure(lut, ff, memory.resources, variant="block" if memory.is_block else "")


def _fifo(a: Attributes, dsp_block: DspBlock) -> Structure:
    width = a["folded_shape"][-1] * bits_of(a["dataType"])
    return fifo_structure(width, a["depth"], a.get("ram_style", "auto"), dsp_block)


def converter_structure(in_bits: int, out_bits: int) -> Structure:
    """width_converter.sv"""
    unit = math.gcd(in_bits, out_bits)
    ins, outs = in_bits // unit, out_bits // unit
    units = ins + outs - 1
    ff: Terms = {"bits": units * unit, "counter": units.bit_length()}
    lut: Terms = {"fixed": 1, "units": units}
    if ins > 1:
        lut |= {
            "bits": units * unit,
            "places": (outs - 1) * in_bits,
            "shift": units * unit * outs.bit_length(),
        }
    return Structure(lut, ff, variant="up" if ins == 1 else "down" if outs == 1 else "any")


def _converter(a: Attributes, dsp_block: DspBlock) -> Structure:
    return converter_structure(a["inWidth"], a["outWidth"])


def _duplicate(a: Attributes, dsp_block: DspBlock) -> Structure:
    return Structure({"fixed": 1}, {"fixed": 1})


def _add(a: Attributes, dsp_block: DspBlock) -> Structure:
    pe = a.get("PE", 1)
    bits = max(bits_of(a["lhs_dtype"]), bits_of(a["rhs_dtype"]))
    return Structure({"fixed": 1, "bits": pe * bits}, {"fixed": 1, "bits": pe * bits_of(a["out_dtype"])})


def _window(a: Attributes, dsp_block: DspBlock) -> Structure:
    """window.sv and window_parallel.sv"""
    style, bits = a.get("ram_style", "distributed"), a["SIMD"] * bits_of(a["inputDataType"])
    kernel, (height, width), groups = a["ConvKernelDim"][0], a["IFMDim"], a["IFMChannels"] // a["SIMD"]
    pixels = address_bits(width) + address_bits(height)
    if not a.get("parallel_window", 0):
        words, _ = serial_window(a)
        memory = ram(bits, words, style, dsp_block)
        counters = address_bits(words)
        terms = {"fixed": 1, "counters": counters, "pixels": pixels, "groups": address_bits(groups)}
        registers = bits * (1 if not memory.is_block else 0)
        lut = {**terms, "bits": bits, "mux": memory.mux}
        return Structure(lut, {**terms, "bits": registers}, memory.resources)
    row, history, _ = parallel_window(a)
    rows = ram(bits, row, style, dsp_block)
    columns = (
        ram(kernel * (kernel - 1) * bits, history, "auto", dsp_block) if groups > 1 else Memory(Resources())
    )
    terms = {"fixed": 1, "counters": address_bits(row), "pixels": pixels, "groups": address_bits(groups)}
    read = bits * kernel * (0 if rows.is_block else 1)
    before = kernel * (kernel - 1) * bits * (0 if columns.is_block else 1)
    lut = {
        **terms,
        "taps": kernel * kernel * bits,
        "row": kernel * bits,
        "mux": kernel * rows.mux + columns.mux,
    }
    ff = {**terms, "taps": kernel * bits + read + before}
    return Structure(lut, ff, rows.resources.times(kernel) + columns.resources, variant="parallel")


def _thresholding(a: Attributes, dsp_block: DspBlock) -> Structure:
    """thresholding.sv"""
    pe, fold, bits = a["PE"], a["NumChannels"] // a["PE"], a["threshold_bits"]
    x, stages = bits_of(a["inputDataType"]), int(a["numSteps"]).bit_length()
    compare = max(x, bits)
    banks = [
        block(bits, fold << s)
        if a.get("depth_trigger_bram", 0) and fold << s >= 256
        else rom(bits, fold << s)
        for s in range(stages)
    ]
    counted = sum((bank.resources for bank in banks), Resources()).times(pe)
    in_registers = sum(not bank.is_block and fold << s > 1 for s, bank in enumerate(banks))
    lut: Terms = {
        "fixed": 1,
        "stages": stages,
        "compare": pe * stages * compare,
        "count": pe * stages,
        "mux": pe * sum(bank.mux for bank in banks),
    }
    ff: Terms = {
        "fixed": 1,
        "control": stages * (1 + address_bits(fold)),
        "values": pe * (stages * x + stages * (stages - 1) // 2),
        "thresholds": pe * bits * in_registers,
        "out": pe * stages,
    }
    return Structure(lut, ff, counted)


def _requant(a: Attributes, dsp_block: DspBlock) -> Structure:
    """requant.sv"""
    pe = a.get("PE", 1)
    fold = a["NumChannels"] // pe
    x, y = bits_of(a["inputDataType"]), bits_of(a["outputDataType"])
    scale, bias, shift = a["scale_bits"], a["bias_bits"], a["shift_bits"]
    multiplies = scale > 1
    total = max(x + scale + 1 if multiplies else x, bias) + 1
    word = pe * (scale * multiplies + bias + shift) if multiplies else 0
    table = rom(word, fold)
    dsp = pe * multiplier_dsps(x, scale + 1, dsp_block) if multiplies else 0
    lut: Terms = {
        "fixed": 1,
        "sum": pe * total,
        "shifter": pe * total * shift,
        "clamp": pe * y,
        "address": address_bits(fold),
        "mux": table.mux,
    }
    ff: Terms = {
        "fixed": 1,
        "word": word if fold > 1 else 0,
        "sum": pe * total,
        "in": pe * x,
        "out": pe * y,
        "address": address_bits(fold),
    }
    counted = table.resources + Resources(dsp=dsp)
    return Structure(lut, ff, counted, variant="" if multiplies else "clamp")


def multiplier_dsps(a_bits: int, b_bits: int, dsp_block: DspBlock) -> int:
    """DSPs of a full multiplier of signed operands, on 25 x 18 (E1) or 27 x 18 bits.

    >>> multiplier_dsps(20, 12, "DSP48E2"), multiplier_dsps(20, 20, "DSP48E2")
    (1, 2)
    """
    wide, narrow = {"DSP48E1": 25, "DSP48E2": 27, "MULT18X18D": 18}[dsp_block], 18
    ways = ((wide, narrow), (narrow, wide))
    return min(-(-a_bits // u) * -(-b_bits // v) for u, v in ways)


@dataclass(frozen=True)
class Packing:
    """How dot_product.sv packs products into DSPs; the formulas are its own. columns: DSPs an activation."""

    columns: int
    packed: int
    field: int
    has_carries: bool


def packing(pe: int, simd: int, w: int, x: int, is_signed: bool, is_shared: bool) -> Packing:
    """w, x: bits of weights and activations; is_shared: all PE see the same activations, and there are DSPs.

    >>> [packing(8, 8, bits, bits, False, True).columns for bits in (3, 4, 8)]
    [2, 2, 4]
    """
    product, room = w + x, 25 - w
    least = max(product - 1, simd.bit_length())
    fit = min(1 + room // least, max(29 // least, min(31 // least, 2)))
    most = max(fit, 1) if is_shared else 1
    field = max(least, min(room // max(most - 1, 1), product))
    columns = -(-pe // most)
    return Packing(columns, -(-pe // columns), field, is_signed or field < product)


def _sums(
    pe: int,
    simd: int,
    words: int,
    replay: Memory | None,
    a: Attributes,
    dsp_block: DspBlock,
    is_shared: bool,
) -> Structure:
    """dot_product.sv and weighted_sums.sv. is_shared: all PE see the same activations (MVAU, not VVAU)."""
    lut_bits = LUT_PRODUCT_BITS["MVAU" if is_shared else "VVAU"]  # products up to that are of LUTs by default
    w, x, acc = (bits_of(a[name]) for name in ("weightDataType", "inputDataType", "outputDataType"))
    is_signed = a["inputDataType"].startswith("INT")
    choice = {"dsp": True, "lut": False, "auto": w * x > lut_bits}
    dsp = choice[a.get("resType", "auto")]
    p = packing(pe, simd, w, x, is_signed, is_shared and dsp)
    operand = (p.packed - 1) * p.field + w
    # Yosys makes a product of less than 9 bits of LUTs.
    each = multiplier_dsps(operand, x + (not is_signed), dsp_block)
    dsps = each * p.columns * simd if dsp and operand + x + (not is_signed) >= 9 else 0
    weights = (block if a.get("ram_style", "auto") == "block" else rom)(pe * simd * w, words)
    is_packed = p.packed > 1
    width = p.field if is_packed else w + x
    lut: Terms = {
        "fixed": 1 if dsps == 0 or not is_shared else 0,
        "adders": pe * (simd - 1) * width,
        "sums": pe * acc,
        "mux": weights.mux + (replay.mux if replay else 0),
    }
    ff: Terms = {
        "fields": pe * -(-simd // 4) * width if is_shared else 0,
        "sums": pe * acc,
        "weights": 0 if weights.is_block else pe * simd * w,
        "activations": simd * x * (1 if is_shared else pe),
        "address": address_bits(words),
    }
    if dsps and is_shared:
        carries = pe * simd if is_packed and p.has_carries else 0
        lut |= {"carries": carries, "corrections": pe * width if is_packed else 0}
        ff["carries"] = carries
        if not is_packed:  # DSPs with one product each add, and keep the sums
            ff |= {"fields": 0, "sums": 0}
    else:  # products of two bits go into the LUTs of the adders
        lut["products"] = pe * simd * w * x if dsps == 0 and (is_shared or min(w, x) > 2) else 0
        ff["products"] = pe * simd * (w + x) if dsps == 0 else 0
    # A DSP of a VVAU adds to its product what another one gives; alone, it leaves that to LUTs.
    if dsps and not is_shared:
        lut["alone"] = pe * acc if simd == 1 else 0
    kinds = {(True, False): "lut", (False, True): "dsp"}
    variant = kinds.get((is_shared, dsps > 0), "")
    counted = weights.resources + (replay.resources if replay else NOTHING) + Resources(dsp=dsps)
    return Structure(lut, ff, counted, variant)


def _mvau(a: Attributes, dsp_block: DspBlock) -> Structure:
    pe, simd, mw, mh = a["PE"], a["SIMD"], a["MW"], a["MH"]
    replay = (
        ram(simd * bits_of(a["inputDataType"]), mw // simd, "distributed", dsp_block) if pe < mh else None
    )
    return _sums(pe, simd, mw * mh // (pe * simd), replay, a, dsp_block, is_shared=True)


def _vvau(a: Attributes, dsp_block: DspBlock) -> Structure:
    pe, simd = a["PE"], a.get("SIMD", 1)
    words = math.prod(a["Kernel"]) * a["Channels"] // (pe * simd)
    return _sums(pe, simd, words, None, a, dsp_block, is_shared=False)


_STRUCTURES: dict[str, Callable[[Attributes, DspBlock], Structure]] = {
    "StreamingFIFO": _fifo,
    "StreamingDataWidthConverter": _converter,
    "DuplicateStreams": _duplicate,
    "ElementwiseAdd": _add,
    "WindowGenerator": _window,
    "Thresholding": _thresholding,
    "Requant": _requant,
    "MVAU": _mvau,
    "VVAU": _vvau,
}
