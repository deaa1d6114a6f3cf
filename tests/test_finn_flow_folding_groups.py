from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.folding import Folding, apply_folding, insert_width_converters
from finn_flow.folding.fifos import network_resources
from finn_flow.folding.groups import folding_groups
from finn_flow.performance import layer_cycles
from tests.hw_graphs import HardwareGraph, residual_network


def test_depthwise_unit_and_its_window_generator_are_one_group() -> None:
    model = residual_network()
    groups = folding_groups(model, "DSP48E2")
    pairs = [group.layers for group in groups if len(group.layers) == 2]
    assert pairs == [(f"ConvolutionInputGenerator_{i + 1}", f"VVAU_{i}") for i in range(3)]
    layers = [layer for group in groups for layer in group.layers]
    assert sorted(layers) == sorted(node.name for node in model.graph.node)


def test_options_of_a_pair() -> None:
    model = HardwareGraph(6, 4, "UINT4").window(3, depthwise=True).vvau(4).model()
    (group,) = folding_groups(model, "DSP48E2")
    window, vvau = group.layers
    pairs = {
        (
            option.folding[window]["SIMD"],
            option.folding[window]["parallel_window"],
            option.folding[vvau]["SIMD"],
        )
        for option in group.options
    }
    assert pairs == {(pe, int(simd > 1), simd) for pe in (1, 2, 4) for simd in (1, 3, 9)}
    assert all(option.folding[window]["SIMD"] == option.folding[vvau]["PE"] for option in group.options)


def test_an_option_is_what_the_folded_graph_has() -> None:
    model = HardwareGraph(6, 4, "UINT4").window(3, depthwise=True).vvau(4).model()
    for option in folding_groups(model, "DSP48E2")[0].options:
        folded = insert_width_converters(
            apply_folding(ModelWrapper(model.model, make_deepcopy=True), Folding(option.folding))
        )
        cycles = layer_cycles(folded)
        assert option.cycles == {name: cycles[name] for name in option.cycles}
        assert option.interval == max(option.cycles.values())
        unconverted = apply_folding(ModelWrapper(model.model, make_deepcopy=True), Folding(option.folding))
        assert option.resources == network_resources(unconverted, "DSP48E2")


def test_stream_widths_in_bits() -> None:
    model = HardwareGraph(4, 8, "UINT4").mvau(6, 4).model()
    (group,) = folding_groups(model, "DSP48E2")
    option = next(
        o for o in group.options if (o.folding["MVAU_0"]["PE"], o.folding["MVAU_0"]["SIMD"]) == (3, 2)
    )
    assert option.widths_in == {"pixels": 2 * 4}
    assert option.widths_out == {model.graph.output[0].name: 3 * 16}


def test_equal_layers_are_priced_alike() -> None:
    graph = HardwareGraph(4, 8, "UINT4")
    first, _, third, _ = folding_groups(
        graph.mvau(8, 4).thresholding(4).mvau(8, 4).requant(4).model(), "DSP48E2"
    )
    assert [o.resources for o in first.options] == [o.resources for o in third.options]
    assert [*first.options[0].folding] == ["MVAU_0"]
    assert [*third.options[0].folding] == ["MVAU_1"]
