"""Setting a folding on a graph, and the width converters that it then needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import CONVERTER, layer_instance
from finn_flow.folding.solver import Folding
from finn_flow.graph import FINN, Graph, set_nodes


@dataclass(frozen=True)
class Mismatch:
    """A stream whose ends differ in width, in bits."""

    tensor: str
    consumer: NodeProto
    input_index: int
    out_width: int
    in_width: int


def apply_folding(model: ModelWrapper, folding: Folding) -> ModelWrapper:
    """Set the attributes of every layer; returns the same model."""
    for node in model.graph.node:
        values = folding.layers[node.name]
        kept = [entry for entry in node.attribute if entry.name not in values]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in values.items())])
    return model


def mismatches(model: ModelWrapper) -> Iterator[Mismatch]:
    """Every stream between two layers whose width differs at its ends, in the order of the graph."""
    graph = Graph(model)
    instances = {node.name: layer_instance(node) for node in graph.nodes}
    for node in graph.nodes:
        for index, tensor in enumerate(node.output):
            out_width = int(instances[node.name].get_outstream_width(index))
            for consumer in graph.consumers[tensor]:
                position = list(consumer.input).index(tensor)
                in_width = int(instances[consumer.name].get_instream_width(position))
                if in_width != out_width:
                    yield Mismatch(tensor, consumer, position, out_width, in_width)


def insert_width_converters(model: ModelWrapper) -> ModelWrapper:
    """Put a StreamingDataWidthConverter into every stream whose width differs at its ends (FINN's InsertDWC).

    A producer's output keeps its name, so that activations stay where they are. Returns the same model.
    """
    graph = Graph(model)
    converters: dict[str, NodeProto] = {}
    for mismatch in list(mismatches(model)):
        converter = _converter(graph, mismatch, len(converters))
        mismatch.consumer.input[mismatch.input_index] = converter.output[0]
        converters[mismatch.tensor] = converter
    nodes = []
    for node in graph.nodes:
        nodes += [node, *(converters[tensor] for tensor in node.output if tensor in converters)]
    set_nodes(model, nodes)
    return model


def _converter(graph: Graph, mismatch: Mismatch, number: int) -> NodeProto:
    """The converter for a stream; its output tensor is declared in the model."""
    tensor, output = mismatch.tensor, f"{mismatch.tensor}.resized"
    graph.declare_like(tensor, output)
    shape, datatype = graph.shape(tensor), graph.model.get_tensor_datatype(tensor)
    return helper.make_node(
        CONVERTER,
        [tensor],
        [output],
        name=f"{CONVERTER}_{number}",
        domain=FINN,
        backend="fpgadataflow",
        inShape=shape,
        outShape=shape,
        inWidth=mismatch.out_width,
        outWidth=mismatch.in_width,
        dataType=datatype.name,
    )
