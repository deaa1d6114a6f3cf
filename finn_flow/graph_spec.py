"""What a graph may hold after each step, as a table that is checked."""

from __future__ import annotations

from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import Graph, attribute, describe
from model.errors import UserError

HARDWARE_OPS = frozenset(
    {
        "FMPadding",
        "ConvolutionInputGenerator",
        "WindowGenerator",
        "MVAU",
        "VVAU",
        "Thresholding",
        "Requant",
        "DuplicateStreams",
        "ElementwiseAdd",
        "StreamingDataWidthConverter",
    }
)


@dataclass(frozen=True)
class GraphSpec:
    """Ops that a form of the graph consists of."""

    form: str
    ops: frozenset[str]
    hardware: bool = False


STREAMLINED = GraphSpec("streamlined", frozenset({"Conv", "MultiThreshold", "Add"}))
LOWERED = GraphSpec("lowered", frozenset({"Im2Col", "MatMul", "MultiThreshold", "Add"}))
HARDWARE = GraphSpec("hardware", HARDWARE_OPS, hardware=True)


def check_graph(model: ModelWrapper, spec: GraphSpec) -> None:
    """Raise UserError naming every node that the form does not allow, and every tensor that is no integer."""
    graph = Graph(model)
    stuck = [
        node
        for node in graph.nodes
        if node.op_type not in spec.ops or (spec.hardware and attribute(node, "backend") != "fpgadataflow")
    ]
    if stuck:
        allowed = ", ".join(sorted(spec.ops))
        raise UserError("graph", describe(stuck), f"no {spec.form} form; that graph consists of {allowed}")
    for tensor in (graph.input, *(name for node in graph.nodes for name in node.output)):
        datatype = model.get_tensor_datatype(tensor)
        if not datatype.is_integer():
            raise UserError("graph", tensor, f"{datatype.name} in a {spec.form} graph, which is of integers")
