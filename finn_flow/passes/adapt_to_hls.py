"""What FINN's HLS code takes otherwise than our RTL, changed in a graph that code is generated from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.util.basic import get_by_name

from finn_flow.backends import base_op
from finn_flow.graph import attribute, integer_type


class AdaptToHls(Transformation):
    """Threshold types and the order of depthwise weights. For code generation only: the integers change.

    Thresholding_hls casts its input to the type of the thresholds, which must hold both.
    VVAU_hls takes the taps of a word from the highest down (finn-hlslib's vvau.hpp), our windows send the
    first lowest: the weights of every SIMD taps are reversed.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        for node in model.graph.node:
            op = base_op(node.op_type)
            if op == "Thresholding":
                _widen_thresholds(model, node)
            elif op == "VVAU" and attribute(node, "SIMD", 1) > 1:
                model.set_initializer(node.input[1], _reversed_taps(model, node))
        return model, False


def _widen_thresholds(model: ModelWrapper, node: NodeProto) -> None:
    given, bank = DataType[attribute(node, "inputDataType")], model.get_initializer(node.input[1])
    type_ = integer_type(min(given.min(), bank.min()), max(given.max(), bank.max()))
    get_by_name(node.attribute, "weightDataType").s = type_.name.encode()


def _reversed_taps(model: ModelWrapper, node: NodeProto) -> NDArray:
    weights = model.get_initializer(node.input[1])  # (C, 1, K, K)
    groups = weights.reshape(len(weights), -1, attribute(node, "SIMD"))
    return np.flip(groups, axis=-1).reshape(weights.shape).copy()
