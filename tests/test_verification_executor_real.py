"""A QONNX graph in float64: each op against numpy and qonnx's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.quant import quant

from tests.verification_graphs import QONNX, build, gold_windows, node, random_integers
from verification.errors import VerificationError
from verification.executor import Executor

SHAPE = (1, 3, 4, 4)  # NCHW


def double(value: Any) -> tuple[np.ndarray, None]:
    return np.asarray(value, np.float64), None


def quantiser(source: str, output: str, bits: str, **attributes: Any) -> NodeProto:
    options = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
    return node(
        "Quant", [source, f"{bits}.scale", "zero", bits], output, QONNX, name=f"Quant_{output}", **options
    )


def network() -> ModelWrapper:
    """Mul, quantised weights, Conv, batch norm, ReLU, Quant, Add, Flatten: all that our export contains."""
    generator = np.random.default_rng(0)
    nodes = [
        node("Mul", ["x", "step"], "scaled"),
        quantiser("weights", "w", "weight_bits", narrow=1),
        node("Conv", ["scaled", "w"], "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3], strides=[2, 2]),
        node("BatchNormalization", ["c", "gain", "shift", "mean", "variance"], "n", epsilon=1e-3),
        node("Relu", ["n"], "r"),
        quantiser("r", "block1", "bits", signed=0),
        node("Add", ["block1", "block1"], "sum"),
        node("Flatten", ["sum"], "embedding"),
    ]
    shapes = {name: (1, 2, 2, 2) for name in ("c", "n", "r", "block1", "sum")}
    values = {"x": SHAPE, "scaled": SHAPE, **shapes, "embedding": (1, 8)}
    constants = {
        "step": 1 / 128,
        "weights": generator.normal(size=(2, 3, 3, 3)),
        "weight_bits.scale": np.array([0.3, 0.2]).reshape(2, 1, 1, 1),
        "weight_bits": 4,
        "zero": 0,
        "bits": 3,
        "bits.scale": 0.17,
        "gain": [1.5, -0.7],
        "shift": [0.1, 0.4],
        "mean": [0.2, -0.1],
        "variance": [0.5, 2.0],
    }
    types = {name: (shape, "INT8" if name == "x" else None) for name, shape in values.items()}
    return build(nodes, types, {name: double(value) for name, value in constants.items()})


def test_a_small_qonnx_graph_is_as_numpy_computes_it() -> None:
    x = random_integers(np.random.default_rng(1), "INT8", (3, *SHAPE[1:]))
    executor = Executor(network())
    got = executor.run(x, ["block1"])
    model = network()
    scale = np.array([0.3, 0.2]).reshape(2, 1, 1, 1)
    weights = np.clip(np.rint(model.get_initializer("weights") / scale), -7, 7) * scale
    windows = gold_windows(x.transpose(0, 2, 3, 1) / 128, (1, 1, 1, 1), (3, 3), (2, 2))
    sums = np.einsum("nhwklc,fckl->nfhw", windows, weights)
    gain, shift, mean, variance = (
        model.get_initializer(name).reshape(1, 2, 1, 1) for name in ("gain", "shift", "mean", "variance")
    )
    rectified = np.maximum((sums - mean) / np.sqrt(variance + 1e-3) * gain + shift, 0)
    integers = np.clip(np.rint(rectified / 0.17), 0, 7)
    assert len(np.unique(integers)) > 4
    assert (np.rint(got["block1"] / 0.17) == integers).all()
    np.testing.assert_allclose(got["embedding"], (integers * 0.34).reshape(3, 8), rtol=1e-14)
    assert got["embedding"].dtype == np.float64
    assert executor.streams["block1"].scale == 0.17


@given(
    signed=st.integers(0, 1),
    narrow=st.integers(0, 1),
    bits=st.integers(2, 8),
    scale=st.floats(0.01, 10),
    zero=st.integers(-3, 3),
)
def test_quant_is_as_qonnx_computes_it(signed: int, narrow: int, bits: int, scale: float, zero: int) -> None:
    x = random_integers(np.random.default_rng(bits), "INT8", (2, *SHAPE[1:]))
    model = build(
        [node("Mul", ["x", "step"], "m"), quantiser("m", "y", "bits", signed=signed, narrow=narrow)],
        {"x": (SHAPE, "INT8"), "m": (SHAPE, None), "y": (SHAPE, None)},
        {"step": double(0.37), "bits": double(bits), "bits.scale": double(scale), "zero": double(zero)},
    )
    double_scale, double_zero, double_bits = (np.array(value, np.float64) for value in (scale, zero, bits))
    expected = quant(x * np.float64(0.37), double_scale, double_zero, double_bits, signed, narrow, "ROUND")
    assert (Executor(model).run(x)["y"] == expected).all()


def test_halves_round_to_even() -> None:
    model = build(
        [node("Mul", ["x", "step"], "m"), quantiser("m", "y", "bits")],
        {"x": ((1, 4), "INT8"), "m": ((1, 4), None), "y": ((1, 4), None)},
        {"step": double(0.5), "bits": double(8), "bits.scale": double(1), "zero": double(0)},
    )
    assert Executor(model).run(np.array([[1, 3, -1, -3]]))["y"].tolist() == [[0, 2, 0, -2]]


def single(layer: NodeProto, **constants: Any) -> ModelWrapper:
    shapes = {"x": (SHAPE, "INT8"), "y": (SHAPE, None)}
    return build([layer], shapes, {name: double(value) for name, value in constants.items()})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            single(node("Flatten", ["x"], "y", axis=2)),
            "Flatten_0 (Flatten): axis must be 1, not 2",
        ),
        (
            single(quantiser("x", "y", "b", rounding_mode="FLOOR"), b=4, zero=0, **{"b.scale": 1}),
            "Quant_y (Quant): rounding_mode must be 'ROUND', not 'FLOOR'",
        ),
        (
            single(node("Conv", ["x", "w"], "y", pads=[0, 1, 1, 1]), w=np.full((3, 3, 2, 3), 0.5)),
            "Conv_0 (Conv): pads must be equal on opposite sides, not [0, 1, 1, 1]",
        ),
        (
            single(node("Conv", ["x", "w", "b"], "y"), w=np.full((3, 3, 1, 1), 0.5), b=[1, 2, 3]),
            "Conv_0 (Conv): a bias is not supported",
        ),
        (
            single(node("Mul", ["x", "x"], "y")),
            "Mul_0 (Mul): input 1 must be an initialiser",
        ),
        (
            single(node("Mul", ["c", "x"], "y"), c=2),
            "Mul_0 (Mul): input 0 must depend on the graph's input",
        ),
    ],
)
def test_what_a_qonnx_graph_must_not_hold_is_refused(model: ModelWrapper, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == message
