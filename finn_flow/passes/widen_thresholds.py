"""Thresholds in a type that holds what they are compared with, for FINN's HLS code."""

from __future__ import annotations

from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.util.basic import get_by_name

from finn_flow.backends import base_op
from finn_flow.graph import attribute, integer_type


class WidenThresholds(Transformation):
    """Set weightDataType of every Thresholding so that it holds the thresholds and every input.

    Thresholding_hls casts its input to that type (finn-hlslib's activations.hpp), in which a large input
    would come out as a small one. Our RTL compares in the wider of both.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for node in model.graph.node:
            if base_op(node.op_type) == "Thresholding":
                given = DataType[attribute(node, "inputDataType")]
                bank = model.get_initializer(node.input[1])
                both = integer_type(min(given.min(), bank.min()), max(given.max(), bank.max()))
                get_by_name(node.attribute, "weightDataType").s = both.name.encode()
        return model, False
