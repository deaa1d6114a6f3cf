"""Integer Conv graph in NCHW -> Im2Col and MatMul in NHWC, the order in which FINN streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import GENERAL, Graph, GraphBuilder, attribute


@dataclass(frozen=True)
class Window:
    """A square convolution window, from a Conv node."""

    kernel: list[int]
    stride: list[int]
    pads: list[int]

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == [1, 1] and self.stride == [1, 1] and not any(self.pads)


class LowerConvsToMatMul(Transformation):
    """Each Conv becomes MatMul, after an Im2Col unless it is 1x1; all tensors become NHWC in the same walk.

    qonnx's pass of that name surrounds each MatMul with two Transposes, and moving the 100 of them to the
    ends takes FINN half a minute; here none arises. Depthwise weights become the sparse (k*k*C, C) matrix
    under the sparsity annotation that qonnx documents for `LowerConvsToMatMul`.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph, new = Graph(model), GraphBuilder()
        if all(node.op_type != "Conv" for node in graph.nodes):
            return model, False

        def declare(tensor: str) -> None:
            new.tensor(tensor, nhwc(graph.shape(tensor)), model.get_tensor_datatype(tensor), "NHWC")

        declare(graph.input)
        for node in graph.nodes:
            declare(node.output[0])
            if node.op_type == "Conv":
                self._conv(graph, new, node)
            else:
                self._keep(graph, new, node)
        return new.build(graph.input, graph.output), False

    def _conv(self, graph: Graph, new: GraphBuilder, node: NodeProto) -> None:
        x, weight, y = node.input[0], node.input[1], node.output[0]
        window = Window(*(list(attribute(node, name)) for name in ("kernel_shape", "strides", "pads")))
        weights = graph.constant(weight)
        depthwise = attribute(node, "group", 1) > 1
        matrix = depthwise_matrix(weights) if depthwise else dense_matrix(weights)
        sparsity = {"dw": {"kernel_shape": window.kernel}} if depthwise else None
        new.constant(weight, matrix, graph.model.get_tensor_datatype(weight), sparsity)
        if not window.is_pointwise:
            x = self._im2col(graph, new, x, y, window, depthwise)
        new.node("MatMul", [x, weight], y)

    @staticmethod
    def _im2col(graph: Graph, new: GraphBuilder, x: str, y: str, window: Window, depthwise: bool) -> str:
        _, height, width, channels = nhwc(graph.shape(x))
        _, out_h, out_w, _ = nhwc(graph.shape(y))
        name = f"{y.removesuffix('.acc')}.window"
        shape = [1, out_h, out_w, int(np.prod(window.kernel)) * channels]
        new.tensor(name, shape, graph.model.get_tensor_datatype(x), "NHWC")
        new.node(
            "Im2Col",
            [x],
            name,
            GENERAL,
            stride=window.stride,
            kernel_size=window.kernel,
            pad_amount=window.pads,
            input_shape=str((1, height, width, channels)),
            depthwise=int(depthwise),
        )
        return name

    @staticmethod
    def _keep(graph: Graph, new: GraphBuilder, node: NodeProto) -> None:
        attributes = {a.name: attribute(node, a.name) for a in node.attribute}
        if node.op_type == "MultiThreshold":
            attributes["data_layout"] = "NHWC"
        for tensor in node.input:
            if graph.is_constant(tensor):
                new.constant(tensor, graph.constant(tensor), graph.model.get_tensor_datatype(tensor))
        new.node(node.op_type, list(node.input), node.output[0], node.domain, **attributes)


def nhwc(shape: Sequence[int]) -> list[int]:
    """(N, C, H, W) -> (N, H, W, C)."""
    n, c, h, w = shape
    return [n, h, w, c]


def dense_matrix(weights: NDArray) -> NDArray:
    """(O, I, kh, kw) -> (kh*kw*I, O)."""
    return weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])


def depthwise_matrix(weights: NDArray) -> NDArray:
    """(C, 1, kh, kw) -> the sparse (kh*kw*C, C) whose column c holds channel c's kernel."""
    channels, _, kh, kw = weights.shape
    matrix = np.zeros((kh * kw, channels, channels), dtype=weights.dtype)
    index = np.arange(channels)
    matrix[:, index, index] = weights.reshape(channels, kh * kw).T
    return matrix.reshape(-1, channels)
