"""Layers alone: a graph of one layer with made-up constants, to synthesise a folding without a network.

Each function names a layer by what its hardware depends on. Constants are random and fill their types,
weights bell-shaped as trained ones are: LUTs that hold them cannot be saved by luck.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from finn_flow.backends import CLASSES

Constants = Sequence[tuple[NDArray[np.int64], str]]
IMAGE = [1, 8, 8]  # that the hardware of a layer other than a window generator does not depend on


def layer_graph(
    op: str, attributes: dict[str, Any], constants: Constants = (), inputs: int = 1
) -> ModelWrapper:
    """A graph of one layer of the RTL backend, named `layer`. constants: values and type of each."""
    op_type, domain = CLASSES["rtl"][op]
    streams, names = [f"x{i}" for i in range(inputs)], [f"constant{i}" for i in range(len(constants))]
    outputs = [f"y{i}" for i in range(int(attributes.get("NumOutputStreams", 1)))]
    node = helper.make_node(
        op_type,
        [*streams, *names],
        outputs,
        name="layer",
        domain=domain,
        backend="fpgadataflow",
        **attributes,
    )
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in (*streams, *outputs)
    }
    values = [
        numpy_helper.from_array(array.astype(np.float32), name)
        for name, (array, _) in zip(names, constants, strict=True)
    ]
    graph = helper.make_graph(
        [node], "layer", [infos[name] for name in streams], [infos[name] for name in outputs], values
    )
    model = ModelWrapper(qonnx_make_model(graph))
    for name, (_, datatype) in zip(names, constants, strict=True):
        model.set_tensor_datatype(name, DataType[datatype])
    return model


def _random(*parts: Any) -> np.random.Generator:
    """Reproducible, different for each layer."""
    return np.random.default_rng(crc32(json.dumps(parts, sort_keys=True).encode()))


def _weights(random: np.random.Generator, shape: tuple[int, ...], bits: int) -> NDArray[np.int64]:
    most = 2 ** (bits - 1) - 1
    return np.clip(np.rint(random.normal(0, most / 2.5, shape)), -most, most).astype(np.int64)


def mvau(mw: int, mh: int, pe: int, simd: int, w: int, x: str, style: str) -> ModelWrapper:
    """A matrix (mw, mh) of w-bit weights on activations of type x; style: FINN's ram_style."""
    acc = f"INT{w + DataType[x].bitwidth() + math.ceil(math.log2(mw)) - 1}"
    weights = _weights(_random("mvau", mw, mh, pe, simd, w), (mw, mh), w)
    folding = {"PE": pe, "SIMD": simd, "ram_style": style}
    types = {"inputDataType": x, "weightDataType": f"INT{w}", "outputDataType": acc, "accDataType": acc}
    sizes = {"MW": mw, "MH": mh, "noActivation": 1, "numInputVectors": IMAGE}
    return layer_graph("MVAU", {**sizes, **folding, **types}, [(weights, f"INT{w}")])


def vvau(channels: int, kernel: int, pe: int, simd: int, w: int, x: str, style: str) -> ModelWrapper:
    """A depthwise kernel x kernel convolution."""
    acc = f"INT{w + DataType[x].bitwidth() + math.ceil(math.log2(kernel**2)) - 1}"
    weights = _weights(_random("vvau", channels, kernel, pe, simd, w), (channels, 1, kernel, kernel), w)
    folding = {"PE": pe, "SIMD": simd, "ram_style": style}
    types = {"inputDataType": x, "weightDataType": f"INT{w}", "outputDataType": acc, "accDataType": acc}
    sizes = {"Channels": channels, "Kernel": [kernel, kernel], "Dim": IMAGE[1:], "noActivation": 1}
    return layer_graph("VVAU", {**sizes, **folding, **types}, [(weights, f"INT{w}")])


def thresholding(channels: int, pe: int, bits: int, x: int, trigger: int) -> ModelWrapper:
    """Thresholds of `bits` output bits on x-bit accumulators; trigger: FINN's depth_trigger_bram."""
    steps = 2**bits - 1
    most = 2 ** (x - 1) - 1
    values = _random("thresholding", channels, pe, bits, x).integers(-most - 1, most + 1, (channels, steps))
    attributes = {"NumChannels": channels, "PE": pe, "numSteps": steps, "depth_trigger_bram": trigger}
    types = {"inputDataType": f"INT{x}", "weightDataType": f"INT{x}", "outputDataType": f"UINT{bits}"}
    constants = [(np.sort(values, axis=1), f"INT{x}")]
    return layer_graph("Thresholding", {**attributes, "numInputVectors": IMAGE, **types}, constants)


def requant(channels: int, pe: int, bits: int, x: int, scale: int, bias: int, shift: int) -> ModelWrapper:
    """Widths of input x, scale, bias, and shift beyond what all channels share (0: none).

    With a scale of one bit it only clamps, as after a residual add: the scale is 1, the bias 0.
    """
    random = _random("requant", channels, pe, bits, x, scale, bias, shift)
    scales = random.integers(2 ** (scale - 1), 2**scale, channels)
    biases = random.integers(-(2 ** (bias - 1)), 2 ** (bias - 1), channels)
    shifts = random.integers(0, 2**shift, channels)
    scales[0], biases[0], shifts[0], shifts[-1] = 2**scale - 1, -(2 ** (bias - 1)), 0, 2**shift - 1
    if scale == 1:
        biases[:] = 0
    names = (f"UINT{scale}", f"INT{bias}", f"UINT{max(shift, 1)}")
    types = {"inputDataType": f"INT{x}", "outputDataType": f"UINT{bits}"}
    attributes = {"NumChannels": channels, "PE": pe, "numInputVectors": IMAGE, **types}
    return layer_graph("Requant", attributes, list(zip((scales, biases, shifts), names, strict=True)))


def window(
    size: int, channels: int, simd: int, bits: int, kernel: int, stride: int, parallel: int, style: str
) -> ModelWrapper:
    """A depthwise window over size x size pixels, padded by kernel // 2 unless it covers the picture."""
    pad = 0 if kernel == size else kernel // 2
    out = (size + 2 * pad - kernel) // stride + 1
    shapes = {"IFMDim": [size] * 2, "OFMDim": [out] * 2, "Padding": [pad] * 4, "IFMChannels": channels}
    kernels = {"ConvKernelDim": [kernel] * 2, "Stride": [stride] * 2, "Dilation": [1, 1], "depthwise": 1}
    folding = {"SIMD": simd, "parallel_window": parallel, "ram_style": style}
    types = {"inputDataType": f"UINT{bits}", "outputDataType": f"UINT{bits}"}
    return layer_graph("WindowGenerator", {**shapes, **kernels, **folding, **types})


def add(pe: int, left: str, right: str, out: str) -> ModelWrapper:
    """Two streams of pe elements a word."""
    shape = [*IMAGE, pe]
    shapes = {"lhs_shape": shape, "rhs_shape": shape, "out_shape": shape, "PE": pe}
    types = {"lhs_dtype": left, "rhs_dtype": right, "out_dtype": out}
    styles = {"lhs_style": "input", "rhs_style": "input"}
    return layer_graph("ElementwiseAdd", {**shapes, **types, **styles}, inputs=2)


def duplicate(pe: int, bits: int) -> ModelWrapper:
    """Two copies of a stream."""
    types = {"inputDataType": f"UINT{bits}", "NumOutputStreams": 2, "numInputVectors": IMAGE}
    return layer_graph("DuplicateStreams", {"NumChannels": pe, "PE": pe, **types})


def converter(in_bits: int, out_bits: int) -> ModelWrapper:
    """Words of in_bits to words of out_bits."""
    shape = [*IMAGE, in_bits * out_bits]
    widths = {"inWidth": in_bits, "outWidth": out_bits, "inShape": shape, "outShape": shape}
    return layer_graph("StreamingDataWidthConverter", {**widths, "dataType": "BINARY"})


def fifo(width: int, depth: int, style: str = "auto") -> ModelWrapper:
    """`depth` words of `width` bits."""
    shapes = {"folded_shape": [*IMAGE, width], "normal_shape": [*IMAGE, width], "dataType": "BINARY"}
    return layer_graph("StreamingFIFO", {"depth": depth, "ram_style": style, **shapes})
