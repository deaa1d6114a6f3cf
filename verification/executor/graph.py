"""Reads an ONNX graph once into plain data: nodes, constants, shapes, data types, layouts.

Node attributes are read from the protobuf itself, so no custom op class (and no finn) is imported, and each
list of the graph is walked once, where ModelWrapper's accessors walk it at every call.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

from verification.errors import VerificationError


@dataclass(frozen=True)
class Node:
    """One ONNX node. `kind` is its op type without the backend; an unnamed node goes by its output."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        return self.op_type.removesuffix("_rtl").removesuffix("_hls").removesuffix("_sv").removesuffix("_int")

    def __str__(self) -> str:
        return f"{self.name} ({self.op_type})"

    def get(self, attribute: str, default: Any = None) -> Any:
        """The attribute's value; without a default, a missing one raises VerificationError."""
        value = self.attributes.get(attribute, default)
        if value is None:
            raise VerificationError(f"{self}: attribute {attribute!r} is missing")
        return value

    def datatype(self, attribute: str) -> BaseDataType:
        """The data type that the attribute names; raises VerificationError if there is none of that name."""
        name = self.get(attribute)
        try:
            return DataType[name]
        except (KeyError, ValueError) as error:
            raise VerificationError(f"{self}: {attribute} is {name!r}, which is no data type") from error

    def require(self, attribute: str, legal: Any) -> None:
        """Raise VerificationError if the attribute is set to anything but `legal`."""
        value = self.attributes.get(attribute, legal)
        if value != legal:
            raise VerificationError(f"{self}: {attribute} must be {legal!r}, not {value!r}")


@dataclass(frozen=True)
class Graph:
    """A graph as data; `shapes` with the batch dimension, `datatypes` and `layouts` as annotated."""

    nodes: tuple[Node, ...]
    input: str
    outputs: tuple[str, ...]
    constants: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    datatypes: dict[str, BaseDataType]
    layouts: dict[str, str]


def read_graph(model: ModelWrapper) -> Graph:
    """Raises VerificationError if the graph has not exactly one input."""
    proto = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer}
    inputs = [value.name for value in proto.input if value.name not in constants]
    if len(inputs) != 1:
        raise VerificationError(f"the graph must have one input, not {len(inputs)}: {', '.join(inputs)}")
    values = (*proto.input, *proto.value_info, *proto.output)
    annotations = _annotations(proto)
    return Graph(
        nodes=tuple(_node(node) for node in proto.node),
        input=inputs[0],
        outputs=tuple(value.name for value in proto.output),
        constants=constants,
        shapes={value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values},
        datatypes={name: DataType[text] for name, text in annotations["finn_datatype"].items()},
        layouts={
            name: "".join(ast.literal_eval(text)) for name, text in annotations["tensor_layout"].items()
        },
    )


def _annotations(proto: onnx.GraphProto) -> dict[str, dict[str, str]]:
    """QONNX's notes on tensors: {kind of note: {tensor: text}}."""
    found: dict[str, dict[str, str]] = {"finn_datatype": {}, "tensor_layout": {}}
    for annotation in proto.quantization_annotation:
        for entry in annotation.quant_parameter_tensor_names:
            if entry.key in found:
                found[entry.key][annotation.tensor_name] = entry.value
    return found


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {
        attribute.name: _plain(onnx.helper.get_attribute_value(attribute)) for attribute in proto.attribute
    }
    # ONNX marks an optional input that is left out by an empty name
    inputs = tuple(name for name in proto.input if name)
    return Node(proto.name or proto.output[0], proto.op_type, inputs, tuple(proto.output), attributes)


def _plain(value: Any) -> Any:
    """Attribute text as str, also in lists."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value
