from __future__ import annotations

import pytest

from finn_flow.backends import CLASSES, layer_instance
from finn_flow.graph import FINN
from finn_flow.graph_spec import HARDWARE_OPS
from tests.hw_graphs import HardwareGraph, residual_network


def test_every_hardware_op_has_an_rtl_class() -> None:
    assert set(CLASSES["rtl"]) == HARDWARE_OPS | {"StreamingFIFO"}


def test_instance_is_of_the_backends_class() -> None:
    names = {}
    for node in residual_network().graph.node:
        instance = layer_instance(node)
        names[node.op_type] = (type(instance).__name__, instance.onnx_node.domain)
    assert names == {
        "FMPadding": ("FMPadding_rtl", f"{FINN}.rtl"),
        "ConvolutionInputGenerator": ("ConvolutionInputGenerator_rtl", f"{FINN}.rtl"),
        **{
            op: (f"{op}_sv_rtl", f"{FINN}.rtl")
            for op in ("MVAU", "VVAU", "Thresholding", "Requant", "DuplicateStreams", "ElementwiseAdd")
        },
    }


@pytest.mark.parametrize("op_type", ["MVAU", "MVAU_rtl", "MVAU_hls", "MVAU_sv_rtl"])
def test_specialised_nodes_are_what_they_came_from(op_type: str) -> None:
    node = HardwareGraph(4, 8).mvau(4, 4).model().graph.node[0]
    node.op_type = op_type
    assert type(layer_instance(node)).__name__ == "MVAU_sv_rtl"
    assert node.op_type == op_type


def test_setting_an_attribute_does_not_reach_the_graph() -> None:
    node = HardwareGraph(4, 8).mvau(4, 4).model().graph.node[0]
    before = node.SerializeToString()
    layer_instance(node).set_nodeattr("PE", 4)
    assert node.SerializeToString() == before
