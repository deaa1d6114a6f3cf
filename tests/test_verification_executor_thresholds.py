"""Thresholds of the executor: each way of counting against a naive gold and FINN's own execution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import (
    QONNX,
    build,
    execute,
    finn,
    gold_thresholds,
    node,
    random_integers,
)
from verification.errors import VerificationError
from verification.executor import Executor, thresholds

SHAPE = (1, 3, 2, 4)  # NHWC
INPUT_TYPES = ["INT4", "UINT7", "INT12", "INT20", "UINT24"]  # as wide as FINN's float32 is exact


def hardware(
    levels: np.ndarray, input_type: str, bias: int = 0, output_type: str = "INT16", parameters: str = "INT32"
) -> ModelWrapper:
    """One Thresholding on SHAPE."""
    kinds = {"inputDataType": input_type, "weightDataType": parameters, "outputDataType": output_type}
    shape = {
        "NumChannels": SHAPE[-1],
        "PE": 1,
        "numSteps": levels.shape[1],
        "numInputVectors": list(SHAPE[:-1]),
    }
    layer = finn("Thresholding", ["x", "t"], "y", ActVal=bias, **shape, **kinds)
    return build([layer], {"x": (SHAPE, input_type), "y": (SHAPE, output_type)}, {"t": (levels, parameters)})


def frames_at(levels: np.ndarray, input_type: str, generator: np.random.Generator) -> np.ndarray:
    """Frames of SHAPE, half of their values at or next to a threshold."""
    values = random_integers(generator, input_type, (4, *SHAPE[1:]))
    least, greatest = values.min(), values.max()
    near = generator.choice(levels.ravel(), values.shape) + generator.integers(-1, 2, values.shape)
    return np.where(generator.random(values.shape) < 0.5, near.clip(least, greatest), values)


@st.composite
def banks(draw: st.DrawFn) -> tuple[np.ndarray, str, np.random.Generator]:
    """Sorted thresholds (C or 1, T), evenly spread or crowded, some beyond the range of the input."""
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    input_type = draw(st.sampled_from(INPUT_TYPES))
    rows, steps = draw(st.sampled_from([1, SHAPE[-1]])), draw(st.integers(1, 20))
    centre, spread = draw(st.sampled_from([0, 100, 30_000])), draw(st.sampled_from([2, 40, 3000, 2**19]))
    levels = centre + generator.integers(-spread, spread + 1, (rows, steps))
    return np.sort(levels, axis=1), input_type, generator


@given(bank=banks(), limit=st.sampled_from([0, 16, 256, 2**20]), bias=st.integers(-8, 8))
def test_every_way_of_counting_gives_the_gold(bank: Any, limit: int, bias: int) -> None:
    """A table of single values, of buckets and a search: which, depends on how large a table may be."""
    levels, input_type, generator = bank
    x = frames_at(levels, input_type, generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds, "TABLE_LIMIT", limit)
        executor = Executor(hardware(levels, input_type, bias))
    assert (executor.run(x)["y"] == gold_thresholds(x, levels, bias)).all()


@pytest.mark.parametrize(
    ("levels", "limit", "way"),
    [
        ([[-3, 0, 5]], 2**20, "_lookup_values"),
        ([[-4000, 0, 5000]], 100, "_lookup_buckets"),
        ([[-4000, 0, 1]], 100, "_search"),
    ],
)
def test_the_cheapest_way_that_can_tell_the_thresholds_apart(
    levels: list[list[int]], limit: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thresholds, "TABLE_LIMIT", limit)
    executor = Executor(hardware(np.array(levels), "INT16"))
    assert executor.steps[0].kernel.__qualname__.startswith(f"{way}.")
    x = frames_at(np.array(levels), "INT16", np.random.default_rng(0))
    assert (executor.run(x)["y"] == gold_thresholds(x, np.array(levels))).all()


@settings(max_examples=25)
@given(bank=banks(), bias=st.integers(-8, 0))
def test_thresholding_is_as_finn_computes_it(bank: Any, bias: int) -> None:
    levels, input_type, generator = bank
    x = frames_at(levels, input_type, generator)
    model = hardware(levels, input_type, bias)
    assert (Executor(model).run(x)["y"] == execute(model, x)["y"]).all()


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NCHW", (1, 4, 3, 2)), ("NHWC", SHAPE), ("NC", (1, 4)), ("", (1, 4, 3, 2)), ("", (1, 4))],
)
def test_multithreshold_in_every_layout_is_as_qonnx_computes_it(layout: str, shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    levels = np.sort(random_integers(generator, "INT8", (4, 15)), axis=1)
    attributes = {"out_dtype": "INT4", "out_bias": -8.0, "data_layout": layout}
    layer = node("MultiThreshold", ["x", "t"], "y", QONNX, **attributes)
    model = build([layer], {"x": (shape, "INT8"), "y": (shape, "INT4")}, {"t": (levels, None)})
    x = random_integers(generator, "INT8", (3, *shape[1:]))
    assert (Executor(model).run(x)["y"] == execute(model, x)["y"]).all()


@pytest.mark.parametrize("limit", [16, 2**20])
def test_values_beyond_32_bits_are_counted_too(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "TABLE_LIMIT", limit)
    levels = np.array([[-3, 0, 2**34], [-(2**36), 5, 6], [1, 2, 3], [0, 2**38, 2**38 + 1]])
    x = frames_at(levels, "INT40", np.random.default_rng(0))
    model = hardware(levels, "INT40", parameters="INT40")
    model.set_initializer("t", levels.astype(np.float64))
    assert (Executor(model).run(x)["y"] == gold_thresholds(x, levels)).all()


def test_a_threshold_between_two_integers_counts_from_the_next_one() -> None:
    attributes = {"out_dtype": "UINT2", "data_layout": "NC"}
    layer = node("MultiThreshold", ["x", "t"], "y", QONNX, **attributes)
    levels = np.array([[-1.5, 0.25]])
    model = build([layer], {"x": ((1, 1), "INT4"), "y": ((1, 1), "UINT2")}, {"t": (levels, None)})
    assert Executor(model).run(np.array([[-2], [-1], [0], [1]]))["y"].ravel().tolist() == [0, 1, 1, 2]


def test_the_range_behind_thresholds_is_what_the_input_can_reach() -> None:
    executor = Executor(hardware(np.array([[-999, -8, -7, 7, 8, 999]]), "INT4", bias=-1))
    values = executor.streams["y"].range
    assert values is not None
    assert (values.least, values.greatest) == (1, 3)


def multithreshold(**attributes: Any) -> ModelWrapper:
    layer = node("MultiThreshold", ["x", "t"], "y", QONNX, out_dtype="UINT2", **attributes)
    constants = {"t": (np.zeros((3, 1)), None)}
    return build([layer], {"x": ((1, 4, 2, 2), "INT4"), "y": ((1, 4, 2, 2), "UINT2")}, constants)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            multithreshold(),
            "MultiThreshold_0 (MultiThreshold): thresholds for 3 channels on 'x' with 4 channels",
        ),
        (
            multithreshold(out_scale=0.5),
            "MultiThreshold_0 (MultiThreshold): out_scale must be 1.0, not 0.5",
        ),
        (
            multithreshold(out_bias=0.5),
            "MultiThreshold_0 (MultiThreshold): out_bias must be an integer, not 0.5",
        ),
        (
            hardware(np.zeros((1, 1)), "INT4", output_type="BIPOLAR"),
            "Thresholding_0 (Thresholding): outputDataType BIPOLAR is not supported",
        ),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(model: ModelWrapper, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == message
