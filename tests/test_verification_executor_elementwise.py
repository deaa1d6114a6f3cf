"""Additions, re-quantisation, duplication and the like: against numpy golds and FINN's own execution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import QONNX, build, execute, finn, node, random_integers
from verification.errors import VerificationError
from verification.executor import Executor

SHAPE = (1, 2, 3, 4)  # NHWC
LEVELS = np.array([[-3, 0, 2]])


def residual(add: str, output_type: str = "INT7") -> ModelWrapper:
    """x -> two streams, one through thresholds and a width converter -> their sum."""
    kinds = {"inputDataType": "INT5", "NumChannels": 4, "PE": 1, "numInputVectors": [1, 2, 3]}
    shapes = {"lhs_shape": SHAPE, "rhs_shape": SHAPE, "out_shape": SHAPE}
    types = {"lhs_dtype": "INT5", "rhs_dtype": "UINT2", "out_dtype": output_type}
    converter = {"inShape": SHAPE, "outShape": SHAPE, "inWidth": 2, "outWidth": 8, "dataType": "UINT2"}
    nodes = [
        finn("DuplicateStreams", ["x"], ["a", "b"], NumOutputStreams=2, **kinds),
        finn(
            "Thresholding",
            ["b", "t"],
            "c",
            outputDataType="UINT2",
            weightDataType="INT3",
            numSteps=3,
            **kinds,
        ),
        finn("StreamingDataWidthConverter", ["c"], "d", **converter),
        finn(add, ["a", "d"], "y", **shapes, **types),
    ]
    types = {"x": "INT5", "a": "INT5", "b": "INT5", "c": "UINT2", "d": "UINT2", "y": output_type}
    return build(nodes, {name: (SHAPE, kind) for name, kind in types.items()}, {"t": (LEVELS, "INT3")})


def test_a_residual_block_is_as_finn_computes_it() -> None:
    x = random_integers(np.random.default_rng(0), "INT5", (3, *SHAPE[1:]))
    model = residual("ElementwiseAdd")
    expected = execute(model, x)
    executor = Executor(model)
    for name, values in executor.run(x, list(executor.streams)).items():
        assert (values == expected[name]).all(), name


@pytest.mark.parametrize("suffix", ["_rtl", "_hls"])
def test_specialised_ops_are_the_generic_ones(suffix: str) -> None:
    x = random_integers(np.random.default_rng(1), "INT5", (2, *SHAPE[1:]))
    generic, special = residual("ElementwiseAdd"), residual("ElementwiseAdd")
    for layer in special.graph.node:
        layer.op_type += suffix
        layer.domain += f".{suffix[1:]}"
    assert (Executor(special).run(x)["y"] == Executor(generic).run(x)["y"]).all()


def test_the_sum_of_two_integer_streams_in_onnx_terms() -> None:
    thresholds = node(
        "MultiThreshold", ["x", "t"], "b", QONNX, out_dtype="INT4", data_layout="NHWC", out_bias=-1.0
    )
    model = build(
        [thresholds, node("Add", ["x", "b"], "y")],
        {"x": (SHAPE, "INT5"), "b": (SHAPE, "INT4"), "y": (SHAPE, "INT6")},
        {"t": (LEVELS, None)},
    )
    x = random_integers(np.random.default_rng(2), "INT5", (3, *SHAPE[1:]))
    assert (Executor(model).run(x)["y"] == x + (x[..., None] >= LEVELS).sum(-1) - 1).all()


def add_constant(constant: np.ndarray, shape: tuple[int, ...] = SHAPE) -> ModelWrapper:
    values = {"x": (SHAPE, "INT5"), "y": (shape, None)}
    return build([node("Add", ["x", "c"], "y")], values, {"c": (constant.astype(np.float64), None)})


def test_an_integer_constant_adds_to_integers_and_a_real_one_makes_them_real() -> None:
    x = random_integers(np.random.default_rng(3), "INT5", (3, *SHAPE[1:]))
    for constant, kind in (([1, -7, 3, 100], np.int64), ([0.5, 0, 0, -0.25], np.float64)):
        executor = Executor(add_constant(np.array(constant)))
        y = executor.run(x)["y"]
        assert y.dtype == kind
        assert (y == x + np.array(constant)).all()
    assert executor.streams["y"].range is None


def test_a_sum_beyond_float32_is_exact() -> None:
    model = add_constant(np.array([2**24]))
    model.set_tensor_datatype("x", DataType["INT25"])
    x = np.full(SHAPE, 2**24 - 1) - np.arange(4)
    assert (Executor(model).run(x)["y"] == x + 2**24).all()


def requant(
    scale: np.ndarray,
    bias: np.ndarray,
    shift: np.ndarray,
    input_type: str = "INT16",
    output_type: str = "UINT4",
) -> ModelWrapper:
    """Our own op: y = clamp((x * scale + bias) >> shift)."""
    kinds = {"inputDataType": input_type, "outputDataType": output_type}
    shape = {"NumChannels": SHAPE[-1], "PE": 1, "numInputVectors": list(SHAPE[:-1])}
    names = ("x", "scale", "bias", "shift")
    layer = node("Requant", names, "y", "finn_flow.ops", backend="fpgadataflow", **kinds, **shape)
    constants = {
        name: (values.astype(np.float64), None)
        for name, values in zip(names[1:], (scale, bias, shift), strict=True)
    }
    return build([layer], {"x": (SHAPE, input_type), "y": (SHAPE, None)}, constants)


parameters = st.lists(
    st.tuples(st.integers(-(2**20), 2**20), st.integers(-(2**36), 2**36), st.integers(0, 30)),
    min_size=4,
    max_size=4,
)


@given(
    rows=parameters,
    input_type=st.sampled_from(["INT4", "UINT8", "INT16", "INT24"]),
    output_type=st.sampled_from(["UINT2", "INT4", "UINT8", "INT8"]),
    seed=st.integers(0, 2**16),
)
def test_requant_is_the_formula_in_unbounded_integers(
    rows: list, input_type: str, output_type: str, seed: int
) -> None:
    x = random_integers(np.random.default_rng(seed), input_type, (3, *SHAPE[1:]))
    model = requant(*np.array(rows).T, input_type, output_type)
    executor = Executor(model)
    y = executor.run(x)["y"]
    least, greatest = DataType[output_type].min(), DataType[output_type].max()
    for index, value in np.ndenumerate(x):
        scale, bias, shift = rows[index[-1]]
        assert y[index] == min(max((int(value) * scale + bias) // 2**shift, least), greatest)
    values = executor.streams["y"].range
    assert values is not None
    assert (values.low <= y.min((0, 1, 2))).all()
    assert (y.max((0, 1, 2)) <= values.high).all()


FOUR = np.array([1, 2, 3, 4])


def test_requant_is_as_our_custom_op_computes_it() -> None:
    model = requant(FOUR * 300, FOUR * -5000, FOUR + 8)
    x = random_integers(np.random.default_rng(4), "INT16", (3, *SHAPE[1:]))
    assert (Executor(model).run(x)["y"] == execute(model, x)["y"]).all()


def picture_of_windows() -> ModelWrapper:
    """A window generator on the windows of another one."""
    windows = {"kernel_size": (2, 2), "stride": (1, 1), "input_shape": "(1,2,3,4)"}
    nodes = [
        node("Im2Col", ["x"], "w", QONNX, **windows),
        node("Im2Col", ["w"], "y", QONNX, **windows, name="Im2Col_1"),
    ]
    return build(nodes, {"x": (SHAPE, "INT4"), "w": ((1, 1, 2, 16), "INT4"), "y": ((1, 1, 1, 16), "INT4")})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            requant(FOUR * 2**47, FOUR, FOUR),
            "Requant_0 (Requant): x * scale + bias may reach 18446744073709551620, beyond int64",
        ),
        (
            requant(FOUR, FOUR, -FOUR),
            "Requant_0 (Requant): shift must be 0..62, not -4..-1",
        ),
        (
            requant(FOUR[:1], FOUR, FOUR),
            "Requant_0 (Requant): scale must have shape (4,), not (1,)",
        ),
        (
            requant(FOUR / 2, FOUR, FOUR),
            "Requant_0 (Requant): initialiser 'scale' must hold integers, not 0.5",
        ),
        (
            requant(FOUR, FOUR, FOUR, output_type="UINT4X"),
            "Requant_0 (Requant): outputDataType is 'UINT4X', which is no data type",
        ),
        (
            picture_of_windows(),
            "Im2Col_1 (Im2Col): its input 'w' is a stream of windows, not a picture",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused(model: ModelWrapper, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == message


def test_streams_of_different_shapes_cannot_be_added() -> None:
    windows = node("Im2Col", ["x"], "w", QONNX, kernel_size=(1, 1), stride=(2, 1), input_shape="(1,2,3,4)")
    values = {"x": (SHAPE, "INT4"), "w": ((1, 1, 3, 4), "INT4"), "y": (SHAPE, None)}
    with pytest.raises(VerificationError) as error:
        Executor(build([windows, node("Add", ["x", "w"], "y")], values))
    assert str(error.value) == "Add_0 (Add): cannot add shapes (1, 2, 3, 4) and (1, 1, 3, 4)"
