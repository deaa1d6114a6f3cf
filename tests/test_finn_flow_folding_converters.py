from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_flow.backends import CLASSES
from finn_flow.boards import BOARDS
from finn_flow.finn_env import prepare_finn
from finn_flow.folding import Folding, apply_folding, insert_width_converters, mismatches, solve
from finn_flow.graph import Graph, attribute
from tests.hw_graphs import HardwareGraph, residual_network


def folded_network() -> ModelWrapper:
    model = residual_network()
    return apply_folding(model, solve(model, BOARDS["ZCU104"], 5.0, 1e9 / 5 / 700))


def test_folding_replaces_attributes_and_keeps_the_others() -> None:
    model = HardwareGraph(4, 8, "UINT4").mvau(6, 4).model()
    before = {entry.name for entry in model.graph.node[0].attribute}
    same = apply_folding(model, Folding({"MVAU_0": {"PE": 3, "SIMD": 4, "ram_style": "block"}}))
    assert same is model
    node = model.graph.node[0]
    assert [attribute(node, name) for name in ("PE", "SIMD", "ram_style", "MW")] == [3, 4, "block", 8]
    assert sorted(entry.name for entry in node.attribute) == sorted({*before, "ram_style"})


def test_converter_between_neighbours_that_differ() -> None:
    model = HardwareGraph(4, 8, "UINT4").thresholding(4).requant(2).model()
    apply_folding(model, Folding({"Thresholding_0": {"PE": 2}, "Requant_0": {"PE": 8}}))
    insert_width_converters(model)
    threshold, converter, requant = model.graph.node
    assert converter.name == "StreamingDataWidthConverter_0"
    assert (threshold.output[0], converter.input[0]) == ("thresholding0", "thresholding0")
    assert (converter.output[0], requant.input[0]) == ("thresholding0.resized", "thresholding0.resized")
    values = {
        name: attribute(converter, name)
        for name in ("inWidth", "outWidth", "inShape", "outShape", "dataType")
    }
    assert values == {
        "inWidth": 8,
        "outWidth": 32,
        "inShape": [1, 4, 4, 8],
        "outShape": [1, 4, 4, 8],
        "dataType": "UINT4",
    }
    assert model.get_tensor_shape("thresholding0.resized") == [1, 4, 4, 8]
    assert model.get_tensor_datatype("thresholding0.resized").name == "UINT4"


def test_no_converter_where_widths_agree() -> None:
    model = HardwareGraph(4, 8, "UINT4").thresholding(4).requant(2).model()
    insert_width_converters(
        apply_folding(model, Folding({"Thresholding_0": {"PE": 4}, "Requant_0": {"PE": 4}}))
    )
    assert [node.op_type for node in model.graph.node] == ["Thresholding", "Requant"]


def test_all_widths_agree_afterwards_and_names_stay() -> None:
    model = folded_network()
    names = {tensor for node in model.graph.node for tensor in node.output}
    differing = {mismatch.tensor for mismatch in mismatches(model)}
    assert differing
    insert_width_converters(model)
    assert list(mismatches(model)) == []
    graph = Graph(model)
    for tensor in names - {graph.output}:
        (consumer,) = graph.consumers[tensor]
        assert (consumer.op_type == "StreamingDataWidthConverter") == (tensor in differing)
    position = {tensor: i for i, node in enumerate(graph.nodes) for tensor in node.output}
    for i, node in enumerate(graph.nodes):
        assert all(position[tensor] < i for tensor in graph.dynamic_inputs(node) if tensor != "pixels")


def test_second_application_changes_nothing() -> None:
    model = insert_width_converters(folded_network())
    before = model.model.SerializeToString()
    assert insert_width_converters(model).model.SerializeToString() == before


def test_converters_are_where_finns_pass_puts_them() -> None:
    prepare_finn()
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC

    theirs = folded_network()
    for node in theirs.graph.node:  # FINN's pass needs the RTL class to see parallel windows
        node.op_type, node.domain = CLASSES["rtl"].get(node.op_type, (node.op_type, node.domain))
    theirs = theirs.transform(InsertDWC())
    ours = insert_width_converters(folded_network())

    def converters(model: ModelWrapper) -> list[tuple[str, int, int]]:
        nodes = [node for node in model.graph.node if node.op_type == "StreamingDataWidthConverter"]
        return sorted(
            (node.input[0], getCustomOp(node).get_instream_width(), getCustomOp(node).get_outstream_width())
            for node in nodes
        )

    assert converters(ours) == converters(theirs) != []
