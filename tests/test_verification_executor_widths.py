"""Declared widths: a type that is one bit too narrow is found wherever it stands, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import build, finn, node
from verification.errors import VerificationError
from verification.executor import Executor
from verification.executor.widths import Declaration, smallest_type

SHAPE = (1, 2, 2, 3)
WEIGHTS = np.array([[7, -7], [7, -7], [7, -7]])  # of INT4 pixels: -168..147 and -147..168


def unit(
    declared: str = "INT9", annotated: str | None = None, consumer: str = "INT9", weight: str = "INT4"
) -> ModelWrapper:
    """An MVAU and the Thresholding behind it; types are of its accumulators."""
    vectors = {"numInputVectors": [1, 2, 2]}
    types = {"inputDataType": "INT4", "weightDataType": weight, "outputDataType": declared}
    kinds = {"inputDataType": consumer, "weightDataType": "INT9", "outputDataType": "UINT2"}
    nodes = [
        finn("MVAU", ["pixels", "w"], "sums", MW=3, MH=2, SIMD=1, PE=1, noActivation=1, **vectors, **types),
        finn("Thresholding", ["sums", "t"], "y", NumChannels=2, PE=1, numSteps=3, **vectors, **kinds),
    ]
    shape = (1, 2, 2, 2)
    values = {"pixels": (SHAPE, "INT4"), "sums": (shape, annotated), "y": (shape, "UINT2")}
    return build(nodes, values, {"w": (WEIGHTS, None), "t": (np.array([[-9, 0, 9]]), None)})


def message_of(model: ModelWrapper) -> str:
    with pytest.raises(VerificationError) as error:
        Executor(model)
    return str(error.value)


def test_the_least_type_that_holds_every_sum_is_accepted() -> None:
    values = Executor(unit()).streams["sums"].range
    assert values is not None
    assert (values.low.tolist(), values.high.tolist()) == ([-168, -147], [147, 168])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            unit(declared="INT8"),
            "MVAU_0 (MVAU): 'sums' can reach 168, but outputDataType of MVAU_0 is INT8 (-128..127); "
            "INT9 would do",
        ),
        (
            unit(annotated="INT8"),
            "MVAU_0 (MVAU): 'sums' can reach 168, but its annotation is INT8 (-128..127); INT9 would do",
        ),
        (
            unit(consumer="UINT8"),
            "MVAU_0 (MVAU): 'sums' can reach -168, but inputDataType of Thresholding_0 is UINT8 (0..255); "
            "INT9 would do",
        ),
        (
            unit(weight="INT3"),
            "MVAU_0 (MVAU): initialiser 'w' holds 7, but weightDataType of MVAU_0 is INT3 (-4..3); "
            "INT4 would do",
        ),
    ],
)
def test_a_type_one_bit_too_narrow_is_named_before_any_run(model: ModelWrapper, message: str) -> None:
    assert message_of(model) == message


def test_thresholds_that_count_beyond_their_output_type_are_named() -> None:
    model = unit()
    model.set_tensor_datatype("y", DataType["BINARY"])
    assert message_of(model) == (
        "Thresholding_0 (Thresholding): 'y' can reach 3, but its annotation is BINARY (0..1); UINT2 would do"
    )


def test_a_residual_sum_one_bit_too_narrow_is_named() -> None:
    kinds = {"NumChannels": 3, "PE": 1, "inputDataType": "INT4", "numInputVectors": [1, 2, 2]}
    shapes = {"lhs_shape": SHAPE, "rhs_shape": SHAPE, "out_shape": SHAPE}
    types = {"lhs_dtype": "INT4", "rhs_dtype": "INT4", "out_dtype": "INT4"}
    nodes = [
        finn("DuplicateStreams", ["x"], ["a", "b"], NumOutputStreams=2, **kinds),
        finn("ElementwiseAdd", ["a", "b"], "y", **shapes, **types),
    ]
    model = build(
        nodes, {"x": (SHAPE, "INT4"), "a": (SHAPE, "INT4"), "b": (SHAPE, "INT4"), "y": (SHAPE, None)}
    )
    assert message_of(model) == (
        "ElementwiseAdd_0 (ElementwiseAdd): 'y' can reach -16, but out_dtype of ElementwiseAdd_0 is INT4 "
        "(-8..7); INT5 would do"
    )


@pytest.mark.parametrize("value", [7, -8])
def test_every_run_measures_the_accumulators_too(value: int) -> None:
    """As a check on the proof: a run with the type narrowed behind its back."""
    executor = Executor(unit())
    first, *rest = executor.steps
    narrow = Declaration(DataType["INT8"], "outputDataType of MVAU_0")
    executor.steps = (replace(first, declared=narrow), *rest)
    assert executor.run(np.full(SHAPE, 6))["y"].tolist() == [[[[3, 0]] * 2] * 2]
    with pytest.raises(VerificationError) as error:
        executor.run(np.stack([np.zeros(SHAPE[1:]), np.full(SHAPE[1:], value)]))
    reached = 147 if value == 7 else 168
    assert str(error.value) == (
        f"MVAU_0 (MVAU): 'sums' reaches {reached}, but outputDataType of MVAU_0 is INT8 (-128..127); "
        "INT9 would do"
    )


def test_pixels_that_a_consumer_declares_narrower_are_named() -> None:
    model = unit()
    model.set_tensor_datatype("pixels", DataType["INT5"])
    assert message_of(model) == (
        "graph input: 'pixels' can reach -16, but inputDataType of MVAU_0 is INT4 (-8..7); INT5 would do"
    )


def test_real_numbers_have_no_width() -> None:
    """A QONNX graph notes the integer type behind a Quant at a tensor that holds integer * scale."""
    shapes = {"x": ((1, 2), "INT8"), "y": ((1, 2), "INT2")}
    executor = Executor(build([node("Mul", ["x", "s"], "y")], shapes, {"s": (np.array(0.5), None)}))
    assert executor.run(np.array([[100, -3]]))["y"].tolist() == [[50, -1.5]]


@given(low=st.integers(-(2**40), 2**40), length=st.integers(0, 2**40), signed=st.booleans())
def test_the_type_that_would_do_is_the_least(low: int, length: int, signed: bool) -> None:
    fit = smallest_type(low, low + length, signed=signed)
    assert fit.min() <= low
    assert low + length <= fit.max()
    if fit.bitwidth() > 2:
        less = DataType[f"{'INT' if fit.signed() else 'UINT'}{fit.bitwidth() - 1}"]
        assert not (less.min() <= low and low + length <= less.max())
