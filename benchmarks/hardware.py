"""What layers cost by synthesis: as FINN makes them, and as this repository does.

    python -m benchmarks.hardware

Prints a Markdown table: LUT, FF, BRAM18 and DSP of layers of a 4-bit network on an UltraScale+ device, before
(finn-rtllib by FINN's own code generation, where nothing else is said) and after (finn_flow/rtl), each by
Yosys (`finn_flow.synthesis`). Weights of MVAU and VVAU are in block RAM on our side; FINN's MVU gets them as
a stream, so that its memory is not in the table. Of FINN's files, what checks a simulation is left out
(`benchmarks.synthesisable`). Yosys' front end still refuses its thresholding.sv: ours, which searches as that
does, stands in its place. FINN has no VVAU in RTL below Versal: ours with a product a DSP does. Yosys makes
registers of the shift registers of FINN's small FIFOs, for which Vivado has a LUT a bit.

That the pairs compute the same is shown by tests: test_finn_flow_rtl_<module>.py compares each module with
integers of numpy, test_finn_flow_requant_parameters.py a Requant with the thresholds that it replaces,
test_finn_flow_lowering.py whole graphs; benchmarks.rtl_simulation runs FINN's MVU and ours side by side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from benchmarks.markdown import header, line
from benchmarks.synthesisable import synthesisable
from finn_flow.cost_model import single
from finn_flow.finn_env import prepare_finn
from finn_flow.graph import FINN, integer_type
from finn_flow.passes.integer_thresholds import Quantiser, integer_thresholds
from finn_flow.passes.requant_parameters import find_requant_parameters
from finn_flow.resource_counts import RESOURCE_LABELS, Resources
from finn_flow.synthesis.yosys import Family, Module, TooLarge, layer_module, synthesise

PART, CLOCK = "xczu7ev-ffvc1156-2-e", 5.0
FAMILY: Family = "xcup"
THRESHOLDS = "ours, thresholds"
COUNTS = ("lut", "ff", "bram18", "dsp")
Layers = Sequence[ModelWrapper]  # each a graph of one layer


@dataclass(frozen=True)
class Pair:
    """The same function twice. note: what the first is, if it is not FINN's."""

    name: str
    before: Layers
    after: Layers
    note: str = ""


def finns(model: ModelWrapper) -> ModelWrapper:
    """A layer of `single` as FINN's RTL class of the same op."""
    node = model.graph.node[0]
    node.op_type, node.domain = f"{node.op_type.split('_')[0]}_rtl", f"{FINN}.rtl"
    return model


def with_products(model: ModelWrapper, kind: str) -> ModelWrapper:
    """The layer with its resType set: dsp, lut."""
    model.graph.node[0].attribute.append(helper.make_attribute("resType", kind))
    return model


def thresholding(bank: NDArray[np.int64], pe: int, x: str, y: str) -> ModelWrapper:
    """A bank (C, N); x, y: types of input and output."""
    low = int(DataType[y].min())
    types = {"inputDataType": x, "weightDataType": x, "outputDataType": y}
    sizes = {"NumChannels": len(bank), "PE": pe, "numSteps": bank.shape[1], "ActVal": low}
    attributes = {**sizes, **types, "numInputVectors": single.IMAGE}
    return single.layer_graph("Thresholding", attributes, [(bank, x)])


def requant(bank: NDArray[np.int64], pe: int, x_bits: int, y: str) -> ModelWrapper:
    """The Requant that equals a bank on every input of x_bits. It must exist."""
    channels, reach = len(bank), 2 ** (x_bits - 1)
    low = int(DataType[y].min())
    found = find_requant_parameters(bank, low, np.full(channels, -reach), np.full(channels, reach - 1))
    assert found is not None
    types = {"inputDataType": f"INT{x_bits}", "outputDataType": y}
    attributes = {"NumChannels": channels, "PE": pe, "numInputVectors": single.IMAGE, **types}
    constants = [(v, integer_type(v.min(), v.max()).name) for v in vars(found).values()]
    return single.layer_graph("Requant", attributes, constants)


def activation(channels: int, pe: int, bits: int, x_bits: int) -> Pair:
    """A ReLU after a batch norm, different in each channel."""
    random, reach = np.random.default_rng(channels + bits), 2 ** (x_bits - 1)
    scale = random.uniform(2.5, 8, channels) * 2.0 ** (bits - x_bits)
    lo, hi = np.full(channels, -reach), np.full(channels, reach - 1)
    quantiser = Quantiser(1.0, 0, 2**bits - 1)
    bank = integer_thresholds(quantiser, scale, random.uniform(-2, 2, channels), lo, hi)
    assert bank.max() < reach  # no level is out of reach, which FINN's type would not hold
    name = f"activation, {channels} channels of {bits} bits, PE {pe}"
    x, y = f"INT{x_bits}", f"UINT{bits}"
    return Pair(name, [thresholding(bank, pe, x, y)], [requant(bank, pe, x_bits, y)], THRESHOLDS)


def clamp(channels: int, pe: int) -> Pair:
    """The activation after a sum of two INT4 of the same scale: thresholds -7, -6, ..., 7."""
    bank = np.broadcast_to(np.arange(-7, 8), (channels, 15))
    name = f"clamp after an add, {channels} channels of 4 bits, PE {pe}"
    return Pair(name, [thresholding(bank, pe, "INT5", "INT4")], [requant(bank, pe, 5, "INT4")], THRESHOLDS)


def window(size: int, channels: int, simd: int, parallel: int) -> Pair:
    """A padded 3 x 3 window, depthwise."""
    types = {"inputDataType": "UINT4", "outputDataType": "UINT4"}
    padded = {"ImgDim": [size] * 2, "Padding": [1] * 4, "NumChannels": channels, "SIMD": simd}
    pad = single.layer_graph("FMPadding", {**padded, **types, "numInputVectors": 1})
    shapes = {"IFMDim": [size + 2] * 2, "OFMDim": [size] * 2, "IFMChannels": channels, "SIMD": simd}
    kernel = {"ConvKernelDim": [3, 3], "Stride": [1, 1], "Dilation": [1, 1], "depthwise": 1, "M": 1}
    folding = {"parallel_window": parallel, "ram_style": "block"}
    generator = single.layer_graph("ConvolutionInputGenerator", {**shapes, **kernel, **folding, **types})
    shape = f"{size} x {size} x {channels}, SIMD {simd}"
    name = f"padding and {'parallel ' if parallel else ''}window, {shape}"
    return Pair(name, [pad, generator], [single.window(size, channels, simd, 4, 3, 1, parallel, "block")])


def pairs() -> list[Pair]:
    """Of every kind of layer one or two."""
    mvaus = {b: (64, 64, 8, 8, b, f"UINT{b}", "block") for b in (2, 4, 8)}
    depthwise = (64, 3, 4, 9, 4, "UINT4", "block")
    return [
        activation(128, 2, 4, 12),
        activation(32, 1, 8, 16),
        clamp(64, 2),
        window(14, 256, 2, 0),
        window(112, 64, 4, 1),
        *(
            Pair(
                f"MVAU 64 x 64 of {b} bits, 8 x 8", [finns(single.mvau(*mvaus[b]))], [single.mvau(*mvaus[b])]
            )
            for b in mvaus
        ),
        Pair(
            "MVAU 64 x 64 of 4 bits, 8 x 8",
            [with_products(single.mvau(*mvaus[4]), "lut")],
            [single.mvau(*mvaus[4])],
            "ours, products of LUTs",
        ),
        Pair(
            "VVAU 3 x 3 of 4 bits, 4 x 9",
            [with_products(single.vvau(*depthwise), "dsp")],
            [single.vvau(*depthwise)],
            "ours, a product a DSP",
        ),
        *converters_and_fifos(),
    ]


def converters_and_fifos() -> list[Pair]:
    """What is between the layers."""
    return [
        *(
            Pair(
                f"width converter, {i} to {o} bits", [finns(single.converter(i, o))], [single.converter(i, o)]
            )
            for i, o in ((24, 32), (64, 8))
        ),
        *(
            Pair(
                f"FIFO, {depth} words of {bits} bits",
                [finns(single.fifo(bits, depth))],
                [single.fifo(bits, depth)],
            )
            for bits, depth in ((32, 2), (32, 512))
        ),
    ]


def module(model: ModelWrapper, name: str, folder: Path) -> Module:
    """Write a layer's files under a name of its own; FINN's by FINN's code generation."""
    node = model.graph.node[0]
    node.name = name
    if node.op_type.endswith("_sv_rtl"):
        return layer_module(model, node, folder)
    own = folder / name
    own.mkdir()
    layer = getCustomOp(node)
    layer.set_nodeattr("code_gen_dir_ipgen", str(own))
    layer.generate_hdl(model, PART, CLOCK)
    files = sorted(map(Path, layer.get_rtl_file_list(abspath=True)), key=lambda path: path.parent == own)
    sources = tuple(own / path.name for path in files)  # the generated ones last
    for path, copy in zip(files, sources, strict=True):
        copy.write_text(synthesisable(path.read_text()))
    return Module(layer.get_nodeattr("gen_top_module"), sources, tuple(own.glob("*.dat")))


def measure(table: Sequence[Pair]) -> list[tuple[Resources, Resources]]:
    """Before and after of each pair."""
    prepare_finn()
    sides = [side for pair in table for side in (pair.before, pair.after)]
    with tempfile.TemporaryDirectory() as name:
        layers = [
            (number, module(model, f"layer_{number}_{i}", Path(name)))
            for number, side in enumerate(sides)
            for i, model in enumerate(side)
        ]
        outcomes = synthesise([layer for _, layer in layers], FAMILY)
    totals = [Resources()] * len(sides)
    for (number, layer), outcome in zip(layers, outcomes, strict=True):
        if isinstance(outcome, TooLarge):
            raise SystemExit(f"error: {layer.top}: {outcome.reason}")
        totals[number] += outcome
    return list(zip(totals[::2], totals[1::2], strict=True))


def markdown(table: Sequence[Pair]) -> list[str]:
    """A line per pair: before, after, and how many times fewer LUTs."""
    lines = list(header("layer", *(RESOURCE_LABELS[name] for name in COUNTS), "LUTs"))
    for pair, (before, after) in zip(table, measure(table), strict=True):
        cells = [f"{getattr(before, n):,} → {getattr(after, n):,}" for n in COUNTS]
        ratio = f"{before.lut / max(after.lut, 1):.1f}x"
        name = f"{pair.name} (before: {pair.note})" if pair.note else pair.name
        lines.append(line(name, *cells, ratio))
    return lines


if __name__ == "__main__":
    print("\n".join(markdown(pairs())))
