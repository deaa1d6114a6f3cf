"""Small hardware graphs, layer by layer, for the tests of folding, performance and resources.

graph = HardwareGraph(16, 3, "INT8")
graph.pad().window(3, 2).mvau(8, 4).thresholding(4)
model = graph.model()
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from finn_flow.graph import FINN

ACC = "INT16"
BOTTLENECKS = ((64, 2, 5, 2), (128, 4, 1, 2), (128, 2, 6, 1), (128, 4, 1, 2), (128, 2, 2, 1))  # c, t, n, s


class HardwareGraph:
    """Methods append a layer to the open end: a square NHWC tensor of `size`, `channels`, `datatype`."""

    def __init__(self, size: int, channels: int, datatype: str = "INT8", seed: int = 0) -> None:
        self.size, self.channels, self.datatype = size, channels, datatype
        self.tensor = "pixels"
        self.nodes: list[NodeProto] = []
        self._random = np.random.default_rng(seed)
        self._constants: dict[str, tuple[NDArray, str]] = {}
        self._tensors: dict[str, tuple[list[int], str]] = {}
        self._declare(self.tensor, size, channels)
        self._window = (0, False)  # kernel size and depthwise of the last window generator

    def pad(self) -> HardwareGraph:
        attributes = {"ImgDim": [self.size] * 2, "Padding": [1] * 4, "NumChannels": self.channels, "SIMD": 1}
        self.size += 2
        return self._layer("FMPadding", inputDataType=self.datatype, **attributes)

    def window(self, kernel: int, stride: int = 1, depthwise: bool = False) -> HardwareGraph:
        size, channels = self.size, self.channels
        self.size, self.channels = (size - kernel) // stride + 1, kernel**2 * channels
        self._window = (kernel, depthwise)
        return self._layer(
            "ConvolutionInputGenerator",
            ConvKernelDim=[kernel] * 2,
            IFMChannels=channels,
            IFMDim=[size] * 2,
            OFMDim=[self.size] * 2,
            SIMD=channels,  # as FINN's conversion leaves it
            Stride=[stride] * 2,
            Dilation=[1, 1],
            inputDataType=self.datatype,
            outputDataType=self.datatype,
            depthwise=int(depthwise),
        )

    def mvau(self, outputs: int, bits: int, narrow: bool = True) -> HardwareGraph:
        weights = self._weights((self.channels, outputs), bits, narrow)
        attributes = {"MW": self.channels, "MH": outputs, "PE": 1, "SIMD": 1, "noActivation": 1}
        types = {"inputDataType": self.datatype, "weightDataType": f"INT{bits}", "outputDataType": ACC}
        self.channels, self.datatype = outputs, ACC
        vectors = [1, self.size, self.size]
        return self._layer("MVAU", weights, numInputVectors=vectors, **attributes, **types)

    def vvau(self, bits: int) -> HardwareGraph:
        kernel = self._window[0]
        self.channels //= kernel**2
        weights = self._weights((self.channels, 1, kernel, kernel), bits, narrow=True)
        attributes = {"Channels": self.channels, "Dim": [self.size] * 2, "Kernel": [kernel] * 2, "PE": 1}
        types = {"inputDataType": self.datatype, "weightDataType": f"INT{bits}", "outputDataType": ACC}
        self.datatype = ACC
        return self._layer("VVAU", weights, noActivation=1, **attributes, **types)

    def thresholding(self, bits: int) -> HardwareGraph:
        steps = self._random.integers(-1000, 1000, (self.channels, 2**bits - 1))
        thresholds = self._constant(np.sort(steps, axis=1), "INT12")
        types = {"inputDataType": self.datatype, "weightDataType": "INT12", "outputDataType": f"UINT{bits}"}
        self.datatype = f"UINT{bits}"
        return self._layer("Thresholding", thresholds, numSteps=2**bits - 1, **self._channelwise(), **types)

    def requant(self, bits: int, scale_bits: int = 10) -> HardwareGraph:
        types = {"inputDataType": self.datatype, "outputDataType": f"UINT{bits}"}
        names = [
            self._constant(np.full(self.channels, value), f"UINT{width}")
            for value, width in ((2**scale_bits - 1, scale_bits), (1, 18), (1, 4))
        ]  # scale, bias, shift: the cost depends on their widths only
        self.datatype = f"UINT{bits}"
        return self._layer("Requant", *names, domain="finn_flow.ops", **self._channelwise(), **types)

    def duplicate(self) -> str:
        """Fork; returns the other tensor, for `add`."""
        copies = [f"{self.tensor}.copy0", f"{self.tensor}.copy1"]
        for copy in copies:
            self._declare(copy, self.size, self.channels)
        types = {"inputDataType": self.datatype, "NumOutputStreams": 2}
        self._append("DuplicateStreams", [self.tensor], copies, FINN, {**self._channelwise(), **types})
        self.tensor = copies[0]
        return copies[1]

    def add(self, other: str) -> HardwareGraph:
        shape, datatype = self._tensors[other]
        types = {"lhs_dtype": datatype, "rhs_dtype": self.datatype, "out_dtype": "UINT5"}
        shapes = {"lhs_shape": shape, "rhs_shape": shape, "out_shape": shape}
        self.datatype = "UINT5"
        return self._layer("ElementwiseAdd", before=[other], **types, **shapes)

    def model(self) -> ModelWrapper:
        infos = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, (shape, _) in self._tensors.items()
        }
        graph = helper.make_graph(
            self.nodes,
            "hardware",
            [infos.pop("pixels")],
            [infos.pop(self.tensor)],
            [numpy_helper.from_array(v.astype(np.float32), name) for name, (v, _) in self._constants.items()],
            value_info=list(infos.values()),
        )
        model = ModelWrapper(qonnx_make_model(graph))
        for name, (_, datatype) in {**self._tensors, **self._constants}.items():
            model.set_tensor_datatype(name, DataType[datatype])
        return model

    def _channelwise(self) -> dict[str, Any]:
        return {"NumChannels": self.channels, "PE": 1, "numInputVectors": [1, self.size, self.size]}

    def _weights(self, shape: tuple[int, ...], bits: int, narrow: bool) -> str:
        values = self._random.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1), shape)
        values.flat[0] = -(2 ** (bits - 1)) + narrow
        return self._constant(values, f"INT{bits}")

    def _constant(self, values: NDArray, datatype: str) -> str:
        name = f"constant{len(self._constants)}"
        self._constants[name] = values, datatype
        return name

    def _declare(self, name: str, size: int, channels: int) -> None:
        self._tensors[name] = [1, size, size, channels], self.datatype

    def _layer(
        self, op: str, *constants: str, before: list[str] | None = None, domain: str = FINN, **attributes: Any
    ) -> HardwareGraph:
        output = f"{op.lower()}{len(self.nodes)}"
        self._declare(output, self.size, self.channels)
        self._append(op, [*(before or []), self.tensor, *constants], [output], domain, attributes)
        self.tensor = output
        return self

    def _append(
        self, op: str, inputs: list[str], outputs: list[str], domain: str, attributes: dict[str, Any]
    ) -> None:
        name = f"{op}_{sum(node.op_type == op for node in self.nodes)}"
        attributes = {"backend": "fpgadataflow", **attributes}
        self.nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes))


def residual_network() -> ModelWrapper:
    """Every op, a by-pass, strides 1 and 2, a depthwise window over the whole image; 23 layers, 16x16x3."""
    graph = HardwareGraph(16, 3)
    graph.pad().window(3, 2).mvau(8, 8).thresholding(4)
    graph.pad().window(3, 2, depthwise=True).vvau(4).thresholding(4).mvau(16, 4).requant(4)
    other = graph.duplicate()
    graph.pad().window(3, depthwise=True).vvau(4).thresholding(4).mvau(16, 4).thresholding(4)
    graph.add(other).thresholding(4)
    graph.window(4, depthwise=True).vvau(4).thresholding(4).mvau(12, 4)
    return graph.model()


def mobile_network() -> ModelWrapper:
    """The shape of the full network at 4 bits: 112x112, 170 layers."""
    graph = HardwareGraph(112, 3)
    graph.pad().window(3, 2).mvau(64, 4).thresholding(4)
    graph.pad().window(3, depthwise=True).vvau(4).thresholding(4)
    for channels, expansion, repeats, stride in BOTTLENECKS:
        for repeat in range(repeats):
            _bottleneck(graph, channels, expansion, stride if repeat == 0 else 1)
    graph.mvau(512, 4).thresholding(4)
    graph.window(7, depthwise=True).vvau(4).thresholding(4).mvau(128, 4)
    return graph.model()


def _bottleneck(graph: HardwareGraph, channels: int, expansion: int, stride: int) -> None:
    other = graph.duplicate() if stride == 1 and graph.channels == channels else None
    graph.mvau(graph.channels * expansion, 4).thresholding(4)
    graph.pad().window(3, stride, depthwise=True).vvau(4).requant(4).mvau(channels, 4).thresholding(4)
    if other is not None:
        graph.add(other).thresholding(4)
