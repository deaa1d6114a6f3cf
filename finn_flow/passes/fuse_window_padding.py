"""FMPadding and ConvolutionInputGenerator -> one WindowGenerator."""

from __future__ import annotations

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import Graph, attribute, set_nodes

KEPT = (
    *("ConvKernelDim", "IFMChannels", "OFMDim", "Stride", "Dilation", "depthwise"),
    *("inputDataType", "outputDataType"),
)


class FuseWindowPadding(Transformation):
    """Every ConvolutionInputGenerator, with the FMPadding before it if any, becomes a WindowGenerator."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        windows = [node for node in graph.nodes if node.op_type == "ConvolutionInputGenerator"]
        paddings = {node.name: _padding(graph, node) for node in windows}
        gone = {padding.name for padding in paddings.values() if padding is not None}
        nodes = [
            _fused(graph, node, paddings[node.name]) if node.name in paddings else node
            for node in graph.nodes
            if node.name not in gone
        ]
        set_nodes(model, nodes)
        return model, False


def _padding(graph: Graph, window: NodeProto) -> NodeProto | None:
    """The FMPadding that feeds this window generator alone, if there is one."""
    producer = graph.producer.get(window.input[0])
    if producer is None or producer.op_type != "FMPadding" or len(graph.consumers[window.input[0]]) > 1:
        return None
    return producer


def _fused(graph: Graph, window: NodeProto, padding: NodeProto | None) -> NodeProto:
    source = window.input[0] if padding is None else padding.input[0]
    pads = [0, 0, 0, 0] if padding is None else attribute(padding, "Padding")
    return helper.make_node(
        "WindowGenerator",
        [source],
        [window.output[0]],
        name=window.name,
        domain="finn_flow.ops",
        backend="fpgadataflow",
        IFMDim=graph.shape(source)[1:3],
        Padding=pads,
        SIMD=1,
        **{name: attribute(window, name) for name in KEPT},
    )
