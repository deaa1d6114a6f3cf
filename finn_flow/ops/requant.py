"""Re-quantisation by multiply, add, shift and clamp: what replaces a bank of thresholds that is too large.

    y = clamp((x * scale[c] + bias[c]) >> shift[c], min, max of outputDataType)

All integers, `>>` an arithmetic shift (floor). FINN's op of this name works in float32; this one is exact.

Tensor shapes (NHWC): x, y (N, H, W, C); scale, bias, shift (C,) as initialisers. Stream order: C fastest, PE
channels a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from numpy.typing import NDArray
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper


def requantise(
    x: NDArray, scale: NDArray, bias: NDArray, shift: NDArray, low: int, high: int
) -> NDArray[np.int64]:
    """The formula of the op on integers; the last axis of `x` is the channel.

    >>> x, scale, bias, shift = np.array([[-3, 100]]), np.array([1, 3]), np.array([0, 2]), np.array([0, 4])
    >>> requantise(x, scale, bias, shift, -2, 15).tolist()
    [[-2, 15]]
    """
    x, scale, bias, shift = (np.asarray(v).astype(np.int64) for v in (x, scale, bias, shift))
    return np.clip((x * scale + bias) >> shift, low, high)


class Requant(HWCustomOp):
    """See the module. PE channels are computed a cycle."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        return {
            **super().get_nodeattr_types(),
            "NumChannels": ("i", True, 0),
            "PE": ("i", False, 1),
            "inputDataType": ("s", True, ""),
            "outputDataType": ("s", True, ""),
            "numInputVectors": ("ints", False, [1]),
        }

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        if ind:
            return (self.get_nodeattr("NumChannels"),)
        return (*self.get_nodeattr("numInputVectors"), self.get_nodeattr("NumChannels"))

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        return self.get_normal_input_shape()

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        *vectors, channels = self.get_normal_input_shape()
        pe = self.get_nodeattr("PE")
        return (*vectors, channels // pe, pe)

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        return self.get_folded_input_shape()

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        return DataType[self.get_nodeattr("inputDataType")] if ind == 0 else DataType["INT32"]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        return DataType[self.get_nodeattr("outputDataType")]

    def get_instream_width(self, ind: int = 0) -> int:
        return self.get_nodeattr("PE") * self.get_input_datatype().bitwidth() if ind == 0 else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        return self.get_nodeattr("PE") * self.get_output_datatype().bitwidth()

    def get_exp_cycles(self) -> int:
        return int(np.prod(self.get_folded_output_shape()[:-1]))

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        node = self.onnx_node
        self.set_nodeattr("inputDataType", model.get_tensor_datatype(node.input[0]).name)
        model.set_tensor_datatype(node.output[0], self.get_output_datatype())

    def verify_node(self) -> list[str]:
        return []

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        node, datatype = self.onnx_node, self.get_output_datatype()
        x, scale, bias, shift = (context[name] for name in node.input)
        y = requantise(x, scale, bias, shift, int(datatype.min()), int(datatype.max()))
        context[node.output[0]] = y.astype(np.float32)
