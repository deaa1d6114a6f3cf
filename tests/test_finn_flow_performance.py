from __future__ import annotations

import pytest
from onnx import NodeProto, helper

from finn_flow.backends import layer_instance
from finn_flow.folding import Folding, apply_folding, insert_width_converters
from finn_flow.graph import FINN
from finn_flow.performance import instance_cycles, layer_cycles, network_performance
from tests.hw_graphs import HardwareGraph, residual_network


def cycles(node: NodeProto, **folding: int) -> int:
    instance = layer_instance(node)
    for name, value in folding.items():
        instance.set_nodeattr(name, value)
    return instance_cycles(instance)


def test_matrix_unit_takes_a_cycle_per_tile() -> None:
    node = HardwareGraph(6, 12).mvau(8, 4).model().graph.node[0]
    assert cycles(node, PE=2, SIMD=3) == 36 * (8 // 2) * (12 // 3)


def test_depthwise_unit() -> None:
    node = HardwareGraph(6, 12).window(3, depthwise=True).vvau(4).model().graph.node[1]
    assert cycles(node, PE=4, SIMD=3) == 16 * (12 // 4) * (9 // 3)


@pytest.mark.parametrize("op", ["thresholding", "requant"])
def test_channelwise_ops(op: str) -> None:
    node = getattr(HardwareGraph(6, 12), op)(4).model().graph.node[0]
    assert cycles(node, PE=3) == 36 * 4


def test_fork_and_join() -> None:
    graph = HardwareGraph(6, 12, "UINT4")
    other = graph.duplicate()
    fork, join = graph.add(other).model().graph.node
    assert cycles(fork, PE=6) == cycles(join, PE=6) == 36 * 2


def test_padding_counts_what_it_emits() -> None:
    node = HardwareGraph(6, 12).pad().model().graph.node[0]
    assert cycles(node, SIMD=4) == 8 * 8 * 3


@pytest.mark.parametrize(
    ("stride", "simd", "parallel", "expected", "simulated"),
    [
        (1, 2, 0, 2396, 7158),  # simulated: the generated RTL, three frames at full rate
        (1, 2, 1, 402, 1203),
        (2, 2, 0, 756, 2300),
    ],
)
def test_window_generator_is_close_to_simulation(
    stride: int, simd: int, parallel: int, expected: int, simulated: int
) -> None:
    node = HardwareGraph(10, 8, "UINT4").window(3, stride, depthwise=True).model().graph.node[0]
    assert cycles(node, SIMD=simd, parallel_window=parallel) == expected
    assert abs(3 * expected / simulated - 1) < 0.02


@pytest.mark.parametrize(("in_width", "out_width", "expected"), [(8, 32, 96), (32, 8, 96), (24, 16, 48)])
def test_converter_moves_a_word_a_cycle(in_width: int, out_width: int, expected: int) -> None:
    shape, widths = [1, 4, 4, 12], {"inWidth": in_width, "outWidth": out_width}
    node = helper.make_node(
        "StreamingDataWidthConverter",
        ["x"],
        ["y"],
        domain=FINN,
        backend="fpgadataflow",
        inShape=shape,
        outShape=shape,
        dataType="INT4",
        **widths,
    )
    assert cycles(node) == expected


def test_network_performance() -> None:
    model = residual_network()
    each = layer_cycles(model)
    assert list(each) == [node.name for node in model.graph.node]
    performance = network_performance(model, 5.0)
    # One branch is a wire, so that every layer is on the longest path.
    assert performance == {
        "critical_path_cycles": sum(each.values()),
        "max_cycles": 8 * 8 * 8 * 27,
        "max_cycles_node_name": "MVAU_0",
        "estimated_throughput_fps": 1e9 / 5 / 13824,
        "estimated_latency_ns": 5.0 * sum(each.values()),
    }


def test_longest_branch_counts() -> None:
    graph = HardwareGraph(4, 4, "UINT4")
    graph.tensor, other = graph.duplicate(), graph.tensor
    graph.thresholding(4)
    model = graph.add(other).model()
    total = sum(layer_cycles(model).values())
    assert network_performance(model, 1.0)["critical_path_cycles"] == total == 3 * 64


def test_cycles_are_those_of_the_present_folding() -> None:
    model = HardwareGraph(6, 12).mvau(8, 4).model()
    apply_folding(model, Folding({"MVAU_0": {"PE": 8, "SIMD": 12}}))
    assert layer_cycles(model) == {"MVAU_0": 36}


def test_layer_is_named_rather_than_the_converter_that_is_as_slow() -> None:
    model = HardwareGraph(4, 8, "UINT4").thresholding(4).requant(4).model()
    layers = {"Thresholding_0": {"PE": 8}, "Requant_0": {"PE": 1}}
    insert_width_converters(apply_folding(model, Folding(layers)))
    performance = network_performance(model, 5.0)
    assert layer_cycles(model)["StreamingDataWidthConverter_0"] == performance["max_cycles"] == 128
    assert performance["max_cycles_node_name"] == "Requant_0"
