"""A FIFO on every stream between two layers."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.backends import CLASSES, FIFO, layer_instance
from finn_flow.graph import Graph, set_nodes

LEAST_DEPTH = 2  # a word a cycle, and no combinational path between two layers


class InsertFifos(Transformation):
    """StreamingFIFO_0, _1, ... in topological order, each behind its producer's tensor, which keeps its name.

    depths: words by the name of that tensor; any other FIFO has LEAST_DEPTH.
    """

    def __init__(self, depths: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.depths = depths or {}

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        nodes: list[NodeProto] = []
        count = 0
        for node in graph.nodes:
            nodes.append(node)
            for index, tensor in enumerate(node.output):
                if tensor == graph.output:
                    continue
                (consumer,) = graph.consumers[tensor]
                fifo = self._fifo(graph, node, index, count)
                consumer.input[list(consumer.input).index(tensor)] = fifo.output[0]
                nodes.append(fifo)
                count += 1
        set_nodes(model, nodes)
        return model, False

    def _fifo(self, graph: Graph, producer: NodeProto, index: int, number: int) -> NodeProto:
        tensor = producer.output[index]
        output = f"{tensor}.fifo"
        graph.declare_like(tensor, output)
        op_type, domain = CLASSES["rtl"][FIFO]
        return helper.make_node(
            op_type,
            [tensor],
            [output],
            name=f"{FIFO}_{number}",
            domain=domain,
            backend="fpgadataflow",
            depth=max(LEAST_DEPTH, self.depths.get(tensor, 0)),
            folded_shape=[int(size) for size in layer_instance(producer).get_folded_output_shape(index)],
            normal_shape=graph.shape(tensor),
            dataType=graph.model.get_tensor_datatype(tensor).name,
            ram_style="auto",
        )
