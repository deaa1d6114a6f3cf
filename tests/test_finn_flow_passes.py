"""Each lowering pass on the smallest graph that shows it: structure, integers, and a second application."""

from __future__ import annotations

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.finn_env import prepare_finn
from finn_flow.graph import FINN, GENERAL, Graph, GraphBuilder, attribute, integer_type
from finn_flow.passes.accumulators import dot_product_range, output_range
from finn_flow.passes.infer_elementwise_add import InferElementwiseAdd
from finn_flow.passes.lower_convs_to_matmul import LowerConvsToMatMul, dense_matrix, depthwise_matrix
from finn_flow.passes.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn_flow.passes.name_tensors import NameTensors
from finn_flow.passes.replace_thresholds import ReplaceThresholdsByRequant
from verification.executor import Executor

INT4, INT8, UINT4 = DataType["INT4"], DataType["INT8"], DataType["UINT4"]
RNG = np.random.default_rng(0)


def conv_graph(kernel: int = 3, stride: int = 1, pad: int = 1, groups: int = 1) -> ModelWrapper:
    """pixels (1,4,6,6) INT4 -> Conv with 4 or 8 channels -> MultiThreshold `act` UINT4, in NCHW."""
    new = GraphBuilder()
    out, size = (4 if groups > 1 else 8), (6 + 2 * pad - kernel) // stride + 1
    new.tensor("pixels", (1, 4, 6, 6), INT4, "NCHW")
    new.tensor("act.acc", (1, out, size, size), DataType["INT16"], "NCHW")
    new.tensor("act", (1, out, size, size), UINT4, "NCHW")
    weights = RNG.integers(-7, 8, (out, 4 // groups, kernel, kernel))
    new.constant("act.weight", weights, INT4)
    new.constant("act.thresholds", np.sort(RNG.integers(-90, 90, (out, 15))), INT8)
    new.node(
        "Conv",
        ["pixels", "act.weight"],
        "act.acc",
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        group=groups,
    )
    new.node(
        "MultiThreshold",
        ["act.acc", "act.thresholds"],
        "act",
        GENERAL,
        out_dtype="UINT4",
        out_scale=1.0,
        out_bias=0.0,
        data_layout="NCHW",
    )
    return new.build("pixels", "act")


def apply(model: ModelWrapper, *passes: object) -> ModelWrapper:
    for transformation in passes:
        model = model.transform(transformation, make_deepcopy=True, cleanup=False)
    return model


def ops(model: ModelWrapper) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "groups"),
    [(3, 1, 1, 1), (3, 2, 1, 1), (1, 1, 0, 1), (3, 2, 1, 4), (6, 1, 0, 4)],
)
def test_lower_convs_to_matmul(kernel: int, stride: int, pad: int, groups: int) -> None:
    before = conv_graph(kernel, stride, pad, groups)
    after = apply(before, LowerConvsToMatMul())
    assert ops(after) == ["Im2Col"] * (kernel > 1) + ["MatMul", "MultiThreshold"]
    x = RNG.integers(-8, 8, (3, 4, 6, 6))
    expected = Executor(before).run(x)["act"]
    got = Executor(after).run(x.transpose(0, 2, 3, 1))["act"]
    assert (got.transpose(0, 3, 1, 2) == expected).all()
    assert after.get_tensor_layout("act") == ["N", "H", "W", "C"]
    assert after.get_tensor_datatype("act.weight") == INT4
    sparsity = {"dw": {"kernel_shape": [kernel, kernel]}} if groups > 1 else None
    assert after.get_tensor_sparsity("act.weight") == sparsity


def test_lowering_a_lowered_graph_changes_nothing() -> None:
    once = apply(conv_graph(), LowerConvsToMatMul())
    assert apply(once, LowerConvsToMatMul()).model == once.model


def test_matrices_hold_each_weight_where_im2col_has_its_pixel() -> None:
    weights = np.arange(24).reshape(2, 3, 2, 2)
    assert dense_matrix(weights)[:, 1].tolist() == weights[1].transpose(1, 2, 0).reshape(-1).tolist()
    depthwise = depthwise_matrix(np.arange(1, 13).reshape(3, 1, 2, 2))
    assert depthwise.shape == (12, 3)
    assert depthwise[:, 2].tolist() == [0, 0, 9, 0, 0, 10, 0, 0, 11, 0, 0, 12]


def add_graph() -> ModelWrapper:
    """pixels -> Add of pixels with itself."""
    new = GraphBuilder()
    new.tensor("pixels", (1, 2, 2, 4), INT4, "NHWC")
    new.tensor("sum", (1, 2, 2, 4), DataType["INT32"], "NHWC")
    new.node("Add", ["pixels", "pixels"], "sum")
    return new.build("pixels", "sum")


def test_infer_elementwise_add() -> None:
    after = apply(add_graph(), InferElementwiseAdd())
    (node,) = after.graph.node
    assert (node.op_type, node.domain) == ("ElementwiseAdd", FINN)
    assert list(attribute(node, "lhs_shape")) == list(attribute(node, "out_shape")) == [1, 2, 2, 4]
    x = RNG.integers(-8, 8, (2, 2, 2, 4))
    assert (Executor(after).run(x)["sum"] == 2 * x).all()
    assert apply(after, InferElementwiseAdd()).model == after.model


def test_minimize_accumulator_width_of_an_add() -> None:
    after = apply(add_graph(), InferElementwiseAdd(), MinimizeAccumulatorWidth())
    node = after.graph.node[0]
    assert after.get_tensor_datatype("sum") == DataType["INT5"]
    assert [attribute(node, name) for name in ("lhs_dtype", "rhs_dtype", "out_dtype")] == [
        "INT4",
        "INT4",
        "INT5",
    ]


def test_name_tensors() -> None:
    new = GraphBuilder()
    for name in ("pixels", "rand1", "rand2", "rand3", "act.window"):
        new.tensor(name, (1, 2, 2, 4), INT4, "NHWC")
    new.node("DuplicateStreams", ["pixels"], "rand1", FINN, backend="fpgadataflow").output.append("rand2")
    new.node("FMPadding", ["rand1"], "rand3", FINN, backend="fpgadataflow")
    new.node("ConvolutionInputGenerator", ["rand3"], "act.window", FINN, backend="fpgadataflow")
    new.node("Add", ["rand2", "act.window"], "sum")
    new.tensor("sum", (1, 2, 2, 4), DataType["INT5"], "NHWC")
    after = apply(new.build("pixels", "sum"), NameTensors())
    assert [list(node.output) for node in after.graph.node] == [
        ["pixels.copy0", "pixels.copy1"],
        ["act.padded"],
        ["act.window"],
        ["sum"],
    ]
    assert list(after.graph.node[3].input) == ["pixels.copy1", "act.window"]
    assert after.get_tensor_datatype("act.padded") == INT4
    assert apply(after, NameTensors()).model == after.model


def hardware_mvau(levels: int, spread: int, datatype: str) -> ModelWrapper:
    """pixels (1,2,2,4) -> MVAU with 8 channels -> Thresholding `act` with evenly spaced thresholds."""
    prepare_finn()
    new = GraphBuilder()
    new.tensor("pixels", (1, 2, 2, 4), INT4, "NHWC")
    new.tensor("acc", (1, 2, 2, 8), DataType["INT32"], "NHWC")
    new.tensor("act", (1, 2, 2, 8), DataType[datatype], "NHWC")
    new.constant("weight", RNG.integers(-7, 8, (4, 8)), INT4)
    thresholds = np.arange(levels)[None] * spread + RNG.integers(-200, 0, (8, 1))
    new.constant("thresholds", thresholds, DataType["INT32"])
    common = {"backend": "fpgadataflow", "numInputVectors": [1, 2, 2], "PE": 1, "ActVal": 0}
    types = {"inputDataType": "INT4", "weightDataType": "INT4", "outputDataType": "INT32"}
    new.node("MVAU", ["pixels", "weight"], "acc", FINN, MW=4, MH=8, SIMD=1, noActivation=1, **common, **types)
    types = {"inputDataType": "INT32", "weightDataType": "INT32", "outputDataType": datatype}
    new.node(
        "Thresholding", ["acc", "thresholds"], "act", FINN, NumChannels=8, numSteps=levels, **common, **types
    )
    return new.build("pixels", "act")


def test_minimize_accumulator_width_covers_what_the_weights_reach_and_no_more() -> None:
    after = apply(hardware_mvau(15, 10, "UINT4"), MinimizeAccumulatorWidth())
    weights = after.get_initializer("weight")
    bound = np.abs(weights).sum(0).max() * 8
    accumulator = after.get_tensor_datatype("acc")
    assert accumulator.max() < 2 * bound
    lo, hi = dot_product_range(weights, -8, 7)
    assert accumulator.min() <= lo.min()
    assert hi.max() <= accumulator.max()
    mvau, bank = after.graph.node
    assert attribute(mvau, "accDataType") == attribute(mvau, "outputDataType") == accumulator.name
    assert attribute(bank, "inputDataType") == accumulator.name
    assert attribute(bank, "weightDataType") == after.get_tensor_datatype("thresholds").name == "INT9"
    assert apply(after, MinimizeAccumulatorWidth()).model == after.model


def test_replace_thresholds_where_the_bank_is_dearer() -> None:
    before = apply(hardware_mvau(255, 2, "UINT8"), MinimizeAccumulatorWidth())
    after = apply(before, ReplaceThresholdsByRequant())
    assert ops(after) == ["MVAU", "Requant"]
    x = RNG.integers(-8, 8, (50, 2, 2, 4))
    assert (Executor(after).run(x)["act"] == Executor(before).run(x)["act"]).all()
    assert "thresholds" not in {tensor.name for tensor in after.graph.initializer}
    assert apply(after, ReplaceThresholdsByRequant()).model == after.model


def test_thresholds_stay_where_they_are_cheaper() -> None:
    before = apply(hardware_mvau(3, 60, "UINT2"), MinimizeAccumulatorWidth())
    assert ops(apply(before, ReplaceThresholdsByRequant())) == ["MVAU", "Thresholding"]


def test_thresholds_stay_where_nothing_equals_them() -> None:
    before = hardware_mvau(255, 1, "UINT8")
    thresholds = before.get_initializer("thresholds").copy()
    thresholds[3, 100:] += 50  # one channel is no longer evenly spaced
    before.set_initializer("thresholds", thresholds)
    before = apply(before, MinimizeAccumulatorWidth())
    assert ops(apply(before, ReplaceThresholdsByRequant())) == ["MVAU", "Thresholding"]


def test_output_range_is_that_of_each_channel() -> None:
    model = apply(hardware_mvau(3, 60, "UINT2"), MinimizeAccumulatorWidth())
    graph = Graph(model)
    lo, hi = output_range(graph, graph.nodes[0], 8)
    corners = np.array(np.meshgrid(*[[-8, 7]] * 4)).reshape(4, -1).T @ model.get_initializer("weight")
    assert lo.tolist() == corners.min(0).tolist()
    assert hi.tolist() == corners.max(0).tolist()


@pytest.mark.parametrize(
    ("lo", "hi", "name"),
    [(0, 0, "BINARY"), (0, 255, "UINT8"), (-1, 0, "INT2"), (-129, 0, "INT9"), (-8, 8, "INT5")],
)
def test_integer_type(lo: int, hi: int, name: str) -> None:
    assert integer_type(lo, hi).name == name
