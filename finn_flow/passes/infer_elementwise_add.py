"""Add of two streams -> FINN's ElementwiseAdd."""

from __future__ import annotations

from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import FINN, Graph


class InferElementwiseAdd(Transformation):
    """Convert residual adds, all in one walk.

    FINN's InferElementwiseBinaryOperation infers shapes and data types of the whole graph after each node: it
    takes half the time of the lowering for twelve adds.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        adds = [node for node in graph.nodes if node.op_type == "Add"]
        for node in adds:
            lhs, rhs = node.input
            shape = graph.shape(node.output[0])
            new = helper.make_node(
                "ElementwiseAdd",
                [lhs, rhs],
                list(node.output),
                name=f"ElementwiseAdd_{node.name}",
                domain=FINN,
                backend="fpgadataflow",
                lhs_dtype=model.get_tensor_datatype(lhs).name,
                rhs_dtype=model.get_tensor_datatype(rhs).name,
                out_dtype=model.get_tensor_datatype(node.output[0]).name,
                lhs_shape=shape,
                rhs_shape=shape,
                out_shape=shape,
                lhs_style="input",
                rhs_style="input",
            )
            node.CopyFrom(new)
        return model, False
