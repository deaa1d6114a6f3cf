"""The comparer: equal forms compare equal, and a difference is named by node, tensor and element."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import QONNX, build, finn, gold_thresholds, node, random_integers
from verification.compare import Comparer, Comparison, reference_accumulators
from verification.errors import MismatchError, VerificationError
from verification.executor import Executor

NCHW, NHWC = (1, 2, 3, 4), (1, 3, 4, 2)
FIRST = np.array([[3, -2], [-1, 5]])  # (in, out)
SECOND = np.array([[2, 1, 0], [-3, 0, 1]])
LEVELS = np.array([[-5, 0, 6], [-20, -3, 16]])
SCALE = 0.125  # of the activation in the QONNX graph


def streamlined() -> ModelWrapper:
    """Conv, MultiThreshold, Conv in NCHW."""
    nodes = [
        node("Conv", ["pixels", "w0"], "sums", name="Conv_0"),
        node("MultiThreshold", ["sums", "t"], "block1", QONNX, out_dtype="UINT2", data_layout="NCHW"),
        node("Conv", ["block1", "w1"], "accumulators", name="Conv_1"),
    ]
    shapes = {"pixels": NCHW, "sums": NCHW, "block1": NCHW, "accumulators": (1, 3, 3, 4)}
    constants = {"w0": FIRST.T[:, :, None, None], "w1": SECOND.T[:, :, None, None], "t": LEVELS}
    values = {name: (shape, "INT4" if name == "pixels" else None) for name, shape in shapes.items()}
    return build(nodes, values, {name: (array, None) for name, array in constants.items()})


def hardware() -> ModelWrapper:
    """MVAU, Thresholding, MVAU in NHWC."""
    unit = {
        "noActivation": 1,
        "numInputVectors": [1, 3, 4],
        "outputDataType": "INT8",
        "weightDataType": "INT4",
    }
    bank = {"numInputVectors": [1, 3, 4], "NumChannels": 2, "inputDataType": "INT8", "weightDataType": "INT8"}
    nodes = [
        finn("MVAU", ["pixels", "w0"], "sums", MW=2, MH=2, inputDataType="INT4", **unit),
        finn("Thresholding", ["sums", "t"], "block1", outputDataType="UINT2", **bank),
        finn(
            "MVAU", ["block1", "w1"], "accumulators", name="MVAU_1", MW=2, MH=3, inputDataType="UINT2", **unit
        ),
    ]
    shapes = {"pixels": NHWC, "sums": NHWC, "block1": NHWC, "accumulators": (1, 3, 4, 3)}
    values = {name: (shape, "INT4" if name == "pixels" else None) for name, shape in shapes.items()}
    return build(nodes, values, {"w0": (FIRST, None), "w1": (SECOND, None), "t": (LEVELS, None)})


def qonnx() -> ModelWrapper:
    """Conv and Quant, on real numbers."""
    nodes = [
        node("Mul", ["pixels", "step"], "scaled"),
        node(
            "Quant",
            ["scaled", "s", "zero", "bits"],
            "block1",
            QONNX,
            signed=1,
            narrow=0,
            rounding_mode="ROUND",
        ),
    ]
    values = {"pixels": (NCHW, "INT4"), "scaled": (NCHW, None), "block1": (NCHW, "INT4")}
    constants = {"step": 0.0831, "s": SCALE, "zero": 0.0, "bits": 4.0}
    return build(nodes, values, {name: (np.array(value), None) for name, value in constants.items()})


def batch(frames: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pixels and reference of the integer graphs, NCHW."""
    x = random_integers(np.random.default_rng(seed), "INT4", (frames, *NHWC[1:]))
    block1 = gold_thresholds(x @ FIRST, LEVELS)
    reference = {"accumulators": block1 @ SECOND, "block1": block1}  # not in topological order
    return x.transpose(0, 3, 1, 2), {name: values.transpose(0, 3, 1, 2) for name, values in reference.items()}


def compare(model: ModelWrapper, batches: Iterable[tuple[Any, dict[str, Any]]]) -> Comparison:
    comparer = Comparer(Executor(model))
    for pixels, reference in batches:
        comparer.add(pixels, reference)
    return comparer.result()


@pytest.mark.parametrize("form", [streamlined, hardware])
def test_a_graph_equals_its_reference(form: Any) -> None:
    batches = (batch(frames, seed) for seed, frames in enumerate((2, 3)))
    result = compare(form(), batches)
    assert result == Comparison(("block1", "accumulators"), frames=5, elements=5 * 12 * (2 + 3))


def test_a_qonnx_graph_is_compared_by_value_over_scale() -> None:
    x = random_integers(np.random.default_rng(0), "INT4", (3, *NCHW[1:]))
    reference = np.rint(x * 0.0831 / SCALE).astype(np.int64)
    assert compare(qonnx(), [(x, {"block1": reference})]).elements == 72
    reference[2, 1, 0, 3] += 1
    with pytest.raises(MismatchError) as error:
        compare(qonnx(), [(x, {"block1": reference})])
    assert error.value.index == (2, 1, 0, 3)


def test_torch_tensors_are_references_too() -> None:
    x, reference = batch(2)
    tensors = {name: torch.from_numpy(values.copy()) for name, values in reference.items()}
    assert compare(hardware(), [(torch.from_numpy(x.copy()).double(), tensors)]).frames == 2


@pytest.mark.parametrize(
    ("form", "name"),
    [(streamlined, "MultiThreshold_0 (MultiThreshold)"), (hardware, "Thresholding_0 (Thresholding)")],
)
def test_the_first_difference_is_named_whole(form: Any, name: str) -> None:
    x, reference = batch(3)
    reference = {key: values.copy() for key, values in reference.items()}
    expected = reference["block1"]
    got = int(expected[1, 0, 2, 3])
    expected[1, 0, 2, 3] += 5
    expected[1, 1, 0, 0] -= 1
    expected[2] += 1
    with pytest.raises(MismatchError) as error:
        compare(form(), [(x, reference)])
    assert str(error.value) == (
        f"{name}: 'block1' first differs at frame 1, channel 0, row 2, column 3: got {got}, "
        f"expected {got + 5}; 26 of 72 elements differ"
    )
    assert error.value.tensor == "block1"


def test_the_first_node_counts_before_the_first_frame() -> None:
    """Batch 0 differs in the last tensor and batch 1 in the first, which is the one to be named."""
    batches = [batch(2, seed=0), batch(2, seed=1)]
    for number, name in ((0, "accumulators"), (1, "block1")):
        reference = batches[number][1]
        reference[name] = reference[name].copy()
        reference[name][1, 0, 0, 0] += 1
    with pytest.raises(MismatchError) as error:
        compare(hardware(), batches)
    assert (error.value.tensor, error.value.index) == ("block1", (3, 0, 0, 0))
    assert (error.value.differing, error.value.elements) == (1, 4 * 24)


def changed(name: str, values: Any) -> list[Any]:
    x, reference = batch(2)
    return [(x, {**reference, name: values})]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (changed("block7", np.zeros((2, 2))), "reference 'block7' is no tensor that the graph computes"),
        (changed("block1", np.zeros((2, 2))), "reference 'block1' must be an integer array, not float64"),
        (
            changed("block1", np.zeros((2, 2, 4, 3), int)),
            "reference 'block1' has shape (2, 2, 4, 3), not (2, 2, 3, 4)",
        ),
        ([], "nothing to compare: no batch, or a reference without tensors"),
        ([(batch(1)[0], {})], "nothing to compare: no batch, or a reference without tensors"),
        (
            [batch(1), (batch(1)[0], {"block1": batch(1)[1]["block1"]})],
            "batches name different tensors: ['block1', 'accumulators'] and ['block1']",
        ),
    ],
)
def test_references_that_do_not_fit_are_refused(batches: list[Any], message: str) -> None:
    with pytest.raises(VerificationError) as error:
        compare(streamlined(), batches)
    assert str(error.value) == message


def test_a_real_tensor_without_a_scale_cannot_be_compared() -> None:
    x = np.zeros(NCHW, int)
    with pytest.raises(VerificationError) as error:
        compare(qonnx(), [(x, {"scaled": x})])
    assert str(error.value) == "Mul_0 (Mul): 'scaled' holds real numbers of no scale"


def test_accumulators_come_back_from_their_embedding() -> None:
    generator = np.random.default_rng(0)
    integers = generator.integers(-(2**20), 2**20, (5, 7))
    scale, offset = generator.uniform(1e-4, 1e-2, 7) * [1, -1, 1, 1, -1, 1, 1], generator.normal(size=7)
    found = reference_accumulators(integers * scale + offset, scale, offset)
    assert found.dtype == np.int64
    assert (found == integers).all()
    assert (
        reference_accumulators(torch.from_numpy(integers * scale + offset), scale, offset) == integers
    ).all()


@pytest.mark.parametrize(("excess", "value"), [(1e-5, "3.00001"), (0.4, "3.4"), (np.nan, "nan")])
def test_an_embedding_of_another_scale_is_refused(excess: float, value: str) -> None:
    embedding = np.array([[1.0, 2.0], [3.0 + excess, 4.0]])
    with pytest.raises(VerificationError) as error:
        reference_accumulators(embedding, np.ones(2), np.zeros(2))
    assert str(error.value) == f"embedding of frame 1, channel 0 is no integer but {value} steps"


def test_a_large_accumulator_must_not_hide_half_a_step() -> None:
    with pytest.raises(VerificationError, match=r"is no integer but 10000000\.4 steps$"):
        reference_accumulators(np.array([[1e7 + 0.4]]), np.ones(1), np.zeros(1))
