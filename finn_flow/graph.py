"""Reading an ONNX graph in constant time and writing a new one.

qonnx's `find_producer` walks all nodes and its passes rescan after each edit, which is what makes them slow.
Our passes read an index that is built once and write a new node list once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

GENERAL = "qonnx.custom_op.general"
FINN = "finn.custom_op.fpgadataflow"


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute, `default` where the node has none; strings come as str."""
    for entry in node.attribute:
        if entry.name == name:
            value = helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


class Graph:
    """Index of a model: who writes and who reads each tensor, and the constants as arrays."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.input: str = model.graph.input[0].name
        self.output: str = model.graph.output[0].name
        self.producer = {tensor: node for node in self.nodes for tensor in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for tensor in node.input:
                self.consumers[tensor].append(node)
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        infos = (*model.graph.input, *model.graph.output, *model.graph.value_info)
        self._shapes = {info.name: _dims(info) for info in infos}

    def is_constant(self, tensor: str) -> bool:
        return tensor in self._initializers

    def constant(self, tensor: str) -> NDArray:
        return numpy_helper.to_array(self._initializers[tensor])

    def shape(self, tensor: str) -> list[int]:
        return self._shapes[tensor]

    def declare_like(self, tensor: str, name: str) -> None:
        """Declare `name` in the model as a tensor of the shape, data type and layout of `tensor`."""
        self.model.set_tensor_shape(name, self.shape(tensor))
        self.model.set_tensor_datatype(name, self.model.get_tensor_datatype(tensor))
        if (layout := self.model.get_tensor_layout(tensor)) is not None:
            self.model.set_tensor_layout(name, layout)

    def dynamic_inputs(self, node: NodeProto) -> list[str]:
        """The inputs of a node that are not constants."""
        return [tensor for tensor in node.input if tensor and not self.is_constant(tensor)]


def set_nodes(model: ModelWrapper, nodes: Iterable[NodeProto]) -> None:
    """Make these the nodes of a model. Its own may be among them: protobuf clears those with the old list."""
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def integer_type(lo: int, hi: int) -> BaseDataType:
    """The least integer type that holds lo..hi; signed ones have at least 2 bits.

    >>> integer_type(0, 15).name, integer_type(-1, 15).name, integer_type(-8, 7).name, integer_type(0, 1).name
    ('UINT4', 'INT5', 'INT4', 'BINARY')
    """
    lo, hi = int(lo), int(hi)
    if lo >= 0:
        return DataType[f"UINT{max(1, hi.bit_length())}"]
    return DataType[f"INT{max(2, 1 + max((-lo - 1).bit_length(), hi.bit_length()))}"]


def _dims(info: ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in info.type.tensor_type.shape.dim]


def describe(nodes: Iterable[NodeProto]) -> str:
    """Nodes and the tensors between them, for messages: `Sigmoid /a/Sigmoid (x -> y)`."""
    return "; ".join(
        f"{node.op_type} {node.name} ({', '.join(node.input)} -> {', '.join(node.output)})" for node in nodes
    )


class GraphBuilder:
    """Writes a graph node by node. Tensors hold integers in float32, as everywhere in FINN."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray] = {}
        self._types: dict[str, BaseDataType] = {}
        self._shapes: dict[str, Sequence[int]] = {}
        self._layouts: dict[str, list[str]] = {}
        self._sparsity: dict[str, dict[str, Any]] = {}

    def tensor(
        self, name: str, shape: Sequence[int], datatype: BaseDataType, layout: str | None = None
    ) -> str:
        """Declare a tensor; `layout` as in "NHWC". Returns its name."""
        self._shapes[name], self._types[name] = list(shape), datatype
        if layout is not None:
            self._layouts[name] = list(layout)
        return name

    def constant(
        self,
        name: str,
        value: NDArray,
        datatype: BaseDataType,
        sparsity: dict[str, Any] | None = None,
    ) -> str:
        """Add an initialiser of integers; returns its name."""
        self.constants[name] = value
        self._types[name] = datatype
        if sparsity is not None:
            self._sparsity[name] = sparsity
        return name

    def node(
        self, op_type: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any
    ) -> NodeProto:
        node = helper.make_node(
            op_type, list(inputs), [output], name=f"{op_type}_{output}", domain=domain, **attributes
        )
        self.nodes.append(node)
        return node

    def rename(self, old: str, new: str) -> None:
        """Give a tensor or constant another name, wherever it stands."""
        if old == new:
            return
        tables: list[dict[str, Any]] = [
            self.constants,
            self._types,
            self._shapes,
            self._layouts,
            self._sparsity,
        ]
        for table in tables:
            if old in table:
                table[new] = table.pop(old)
        for node in reversed(self.nodes):  # its reader, if any, then its writer, are at the end
            node.input[:] = [new if tensor == old else tensor for tensor in node.input]
            if old in node.output:
                node.output[0] = new
                break

    def build(self, graph_input: str, graph_output: str) -> ModelWrapper:
        """The model, with shapes, data types, layouts and sparsity set."""

        def info(name: str) -> ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self._shapes[name])

        inner = [name for name in self._shapes if name not in (graph_input, graph_output)]
        graph = helper.make_graph(
            self.nodes,
            "qmobilefacenet",
            [info(graph_input)],
            [info(graph_output)],
            [numpy_helper.from_array(value.astype(np.float32), k) for k, value in self.constants.items()],
            value_info=[info(name) for name in inner],
        )
        model = ModelWrapper(qonnx_make_model(graph))
        for name, datatype in self._types.items():
            model.set_tensor_datatype(name, datatype)
        for name, layout in self._layouts.items():
            model.set_tensor_layout(name, layout)
        for name, sparsity in self._sparsity.items():
            model.set_tensor_sparsity(name, sparsity)
        return model
