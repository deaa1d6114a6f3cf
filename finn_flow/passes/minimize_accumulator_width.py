"""The least data type that each stream of a hardware graph needs."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import NDArray
from qonnx.core.datatype import BaseDataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation

from finn_flow.graph import Graph, integer_type
from finn_flow.passes.accumulators import columns, dot_product_range


class MinimizeAccumulatorWidth(Transformation):
    """Set data types from input to output, accumulators as narrow as weights and inputs allow.

    FINN's pass of that name infers the types of the whole graph again after each node; this one walks once.
    FINN rounds the last layer up to bytes; ours stays minimal, since the netlist widens it to int32.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        for node in graph.nodes:
            inputs = [model.get_tensor_datatype(tensor) for tensor in graph.dynamic_inputs(node)]
            constants = [graph.constant(tensor) for tensor in node.input if graph.is_constant(tensor)]
            types = _TYPES.get(node.op_type, _same)(inputs, constants)
            output = _set(getCustomOp(node), inputs, types)
            for tensor in node.output:
                model.set_tensor_datatype(tensor, output)
            if "weightDataType" in types:
                model.set_tensor_datatype(node.input[1], types["weightDataType"])
        return model, False


Types = dict[str, BaseDataType]


def _dot_product(inputs: list[BaseDataType], constants: list[NDArray]) -> Types:
    w = columns(constants[0])
    lo, hi = dot_product_range(w, int(inputs[0].min()), int(inputs[0].max()))
    accumulator = integer_type(lo.min(), hi.max())
    weight = integer_type(min(w.min(), -1), w.max())
    return {"accDataType": accumulator, "outputDataType": accumulator, "weightDataType": weight}


def _add(inputs: list[BaseDataType], constants: list[NDArray]) -> Types:
    lo, hi = (int(sum(bound)) for bound in zip(*((t.min(), t.max()) for t in inputs), strict=True))
    return {"lhs_dtype": inputs[0], "rhs_dtype": inputs[1], "out_dtype": integer_type(lo, hi)}


def _thresholds(inputs: list[BaseDataType], constants: list[NDArray]) -> Types:
    """Thresholds are signed where the input is, as finn-rtllib compares them as one type."""
    lowest = min(int(constants[0].min()), -int(inputs[0].signed()))
    return {"weightDataType": integer_type(lowest, int(constants[0].max()))}


def _same(inputs: list[BaseDataType], constants: list[NDArray]) -> Types:
    """Padding, windows and copies hand on what they read."""
    return {"outputDataType": inputs[0]}


_TYPES: dict[str, Callable[[list[BaseDataType], list[NDArray]], Types]] = {
    "MVAU": _dot_product,
    "VVAU": _dot_product,
    "ElementwiseAdd": _add,
    "Thresholding": _thresholds,
    "Requant": lambda inputs, constants: {},
}


def _set(op: CustomOp, inputs: list[BaseDataType], types: Types) -> BaseDataType:
    """Write the attributes that the op has; returns its output type."""
    for name, datatype in {"inputDataType": inputs[0], **types}.items():
        if name in op.get_nodeattr_types():
            op.set_nodeattr(name, datatype.name)
    return op.get_output_datatype()
