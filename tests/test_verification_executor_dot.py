"""Dot products of the executor: every form of a convolution against a naive gold and FINN's own execution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from tests.verification_graphs import QONNX, build, execute, finn, gold_windows, node, random_integers
from verification.errors import VerificationError
from verification.executor import Executor


@dataclass(frozen=True)
class Convolution:
    """One convolution of (N, H, W, C) by a random kernel; `filters` None is depthwise."""

    size: tuple[int, int]
    channels: int
    filters: int | None
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int]
    input_type: str
    weight_type: str
    seed: int

    @property
    def outputs(self) -> int:
        return self.filters or self.channels

    def weights(self) -> np.ndarray:
        """(outputs, C or 1, KH, KW)."""
        shape = (self.outputs, self.channels if self.filters else 1, *self.kernel)
        return random_integers(np.random.default_rng(self.seed), self.weight_type, shape)

    def frames(self, count: int) -> np.ndarray:
        shape = (count, *self.size, self.channels)
        return random_integers(np.random.default_rng(self.seed + 1), self.input_type, shape)

    def windows(self, frames: np.ndarray) -> np.ndarray:
        return gold_windows(frames, self.pads, self.kernel, self.stride, self.dilation)

    def gold(self, frames: np.ndarray) -> np.ndarray:
        pattern = "nhwklc,fckl->nhwf" if self.filters else "nhwklc,ckl->nhwc"
        weights = self.weights() if self.filters else self.weights()[:, 0]
        return np.einsum(pattern, self.windows(frames), weights)

    def matrix(self) -> np.ndarray:
        """The lowered weights (KH * KW * C, outputs); a depthwise one is zero off its diagonals."""
        weights = self.weights()
        if not self.filters:
            weights = weights * np.eye(self.channels, dtype=np.int64)[:, :, None, None]
        return weights.transpose(2, 3, 1, 0).reshape(-1, self.outputs)

    def values(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """The tensors of the hardware graph with their types."""
        blank = np.zeros((1, *self.size, self.channels))
        windows = self.windows(blank)
        top, left, bottom, right = self.pads
        padded = (1, self.size[0] + top + bottom, self.size[1] + left + right, self.channels)
        flat = (*windows.shape[:3], int(np.prod(windows.shape[3:])))
        shapes = {"x": blank.shape, "padded": padded, "windows": flat, "y": self.gold(blank).shape}
        return {name: (shape, "INT32" if name == "y" else self.input_type) for name, shape in shapes.items()}


def hardware(case: Convolution, suffix: str = "") -> ModelWrapper:
    """FMPadding, ConvolutionInputGenerator, then MVAU or VVAU."""
    values = case.values()
    kinds = {"inputDataType": case.input_type, "SIMD": case.channels}
    typed = {"inputDataType": case.input_type, "weightDataType": case.weight_type, "outputDataType": "INT32"}
    rows, columns = values["y"][0][1:3]
    if case.filters:
        vectors = {"numInputVectors": [1, rows, columns], "MW": case.matrix().shape[0], "MH": case.filters}
        dot = finn(f"MVAU{suffix}", ["windows", "w"], "y", SIMD=1, PE=1, noActivation=1, **vectors, **typed)
        weights = case.matrix()
    else:
        shape = {"Dim": [rows, columns], "Channels": case.channels, "Kernel": list(case.kernel)}
        dot = finn(f"VVAU{suffix}", ["windows", "w"], "y", PE=1, noActivation=1, **shape, **typed)
        weights = case.weights()
    padding = {"ImgDim": list(case.size), "Padding": list(case.pads), "NumChannels": case.channels}
    generator = {
        "ConvKernelDim": list(case.kernel),
        "IFMChannels": case.channels,
        "IFMDim": list(values["padded"][0][1:3]),
        "OFMDim": [rows, columns],
        "Stride": list(case.stride),
        "Dilation": list(case.dilation),
        "depthwise": int(case.filters is None),
        "outputDataType": case.input_type,
    }
    nodes = [
        finn(f"FMPadding{suffix}", ["x"], "padded", **padding, **kinds),
        finn(f"ConvolutionInputGenerator{suffix}", ["padded"], "windows", **generator, **kinds),
        dot,
    ]
    return build(nodes, values, {"w": (weights, case.weight_type)})


def lowered(case: Convolution) -> ModelWrapper:
    """Im2Col and MatMul."""
    values = {name: typed for name, typed in case.values().items() if name != "padded"}
    im2col = {
        "input_shape": str((1, *case.size, case.channels)),
        "kernel_size": case.kernel,
        "stride": case.stride,
        "pad_amount": case.pads,
        "dilations": case.dilation,
        "depthwise": int(case.filters is None),
    }
    nodes = [node("Im2Col", ["x"], "windows", QONNX, **im2col), node("MatMul", ["windows", "w"], "y")]
    return build(nodes, values, {"w": (case.matrix(), case.weight_type)})


def streamlined(case: Convolution) -> ModelWrapper:
    """Conv, NCHW."""
    values = {name: case.values()[name] for name in ("x", "y")}
    nchw = {name: ((s[0], s[3], s[1], s[2]), datatype) for name, (s, datatype) in values.items()}
    attributes = {"pads": case.pads, "strides": case.stride, "dilations": case.dilation}
    group = 1 if case.filters else case.channels
    conv = node("Conv", ["x", "w"], "y", group=group, kernel_shape=case.kernel, **attributes)
    return build([conv], nchw, {"w": (case.weights(), case.weight_type)})


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = tuple(draw(st.integers(1, 2)) if k > 1 else 1 for k in kernel)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    types = st.builds("{}{}".format, st.sampled_from(["INT", "UINT"]), st.integers(2, 8))
    return Convolution(
        size=tuple(
            draw(st.integers(max(r, 2), 6)) for r in reach
        ),  # qonnx's Im2Col takes size 1 for a missing axis
        channels=draw(st.integers(1, 5)),
        filters=draw(st.none() | st.integers(1, 5)),
        kernel=kernel,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        pads=draw(st.tuples(*[st.integers(0, 2)] * 4)),
        dilation=dilation,
        input_type=draw(types),
        weight_type=draw(types),
        seed=draw(st.integers(0, 2**16)),
    )


@given(case=convolutions(), frames=st.integers(1, 3))
def test_every_form_of_a_convolution_gives_the_gold(case: Convolution, frames: int) -> None:
    x = case.frames(frames)
    gold = case.gold(x)
    assert (Executor(hardware(case)).run(x)["y"] == gold).all()
    assert (Executor(hardware(case, "_rtl")).run(x)["y"] == gold).all()
    assert (Executor(lowered(case)).run(x)["y"] == gold).all()
    assert (Executor(streamlined(case)).run(x.transpose(0, 3, 1, 2))["y"].transpose(0, 2, 3, 1) == gold).all()


@given(case=convolutions())
def test_every_stream_of_a_convolution_is_as_finn_computes_it(case: Convolution) -> None:
    x = case.frames(2)
    model = hardware(case)
    expected = execute(model, x)
    got = Executor(model).run(x, ["x", "padded", "windows", "y"])
    for name, values in got.items():
        assert values.dtype == np.int64
        assert (values == expected[name]).all(), name
    assert (got["windows"] == case.windows(x).reshape(got["windows"].shape)).all()


@settings(max_examples=10)
@given(case=convolutions())
def test_lowered_and_streamlined_streams_are_as_qonnx_computes_them(case: Convolution) -> None:
    x = case.frames(2)
    for model, frames in ((lowered(case), x), (streamlined(case), x.transpose(0, 3, 1, 2))):
        expected = execute(model, frames)
        executor = Executor(model)
        for name, values in executor.run(frames, list(executor.streams)).items():
            assert (values == expected[name]).all(), name


def activations(layout: str) -> tuple[np.ndarray, Executor]:
    """INT4 pixels -> activations of 1..3 -> pairs of neighbours, the left column padded -> left - right."""
    shapes = {"x": (1, 3, 3, 1), "a": (1, 3, 3, 1), "windows": (1, 3, 3, 2), "y": (1, 3, 3, 1)}
    bank = {"out_dtype": "UINT2", "out_bias": 1.0, "data_layout": layout}
    thresholds = node("MultiThreshold", ["x", "t"], "a", QONNX, **bank)
    weights = np.array([[1], [-1]])
    if layout == "NHWC":
        slide = {
            "kernel_size": (1, 2),
            "stride": (1, 1),
            "input_shape": "(1,3,3,1)",
            "pad_amount": (0, 1, 0, 0),
        }
        rest = [node("Im2Col", ["a"], "windows", QONNX, **slide), node("MatMul", ["windows", "w"], "y")]
    else:
        shapes = {name: (1, 1, 3, 3) for name in ("x", "a", "y")}
        rest, weights = [node("Conv", ["a", "w"], "y", pads=[0, 1, 0, 0])], weights.reshape(1, 1, 1, 2)
    values = {name: (shape, "INT4" if name == "x" else None) for name, shape in shapes.items()}
    constants = {"t": (np.array([[0, 3]]), None), "w": (weights, None)}
    return np.full(shapes["x"], 7), Executor(build([thresholds, *rest], values, constants))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_zeros_around_a_picture_belong_to_its_range(layout: str) -> None:
    x, executor = activations(layout)
    values = executor.streams["y"].range
    assert values is not None
    assert (values.least, values.greatest) == (-3, 3)  # of 1..3 alone it would be -2..2
    assert sorted(set(executor.run(x)["y"].ravel().tolist())) == [-3, 0]


DEPTHWISE = Convolution((5, 5), 4, None, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), "UINT4", "INT4", 7)


def test_a_depthwise_unit_fed_without_a_window_generator() -> None:
    x = DEPTHWISE.frames(2)
    windows = DEPTHWISE.windows(x)
    windows = windows.reshape(*windows.shape[:3], -1)
    unit = hardware(DEPTHWISE).graph.node[2]
    values = {name: DEPTHWISE.values()[name] for name in ("windows", "y")}
    model = build([unit], values, {"w": (DEPTHWISE.weights(), "INT4")})
    assert (Executor(model).run(windows)["y"] == DEPTHWISE.gold(x)).all()


def matrix_product(weights: np.ndarray, length: int | None = None) -> ModelWrapper:
    """MatMul of (N, K) INT8 by (K, M)."""
    values = {"x": ((1, length or weights.shape[0]), "INT8"), "y": ((1, weights.shape[1]), None)}
    return build([node("MatMul", ["x", "w"], "y")], values, {"w": (weights.astype(np.float64), None)})


@pytest.mark.parametrize(
    ("weight", "exact"), [(2**24 // 128 // 8 - 1, torch.float32), (2**24 // 128 // 8 + 1, torch.float64)]
)
def test_float32_only_up_to_its_last_exact_sum(weight: int, exact: torch.dtype) -> None:
    weights = np.full((8, 1), weight)
    weights[0] -= 1  # odd sums, which a float32 beyond 2^24 cannot hold
    model = matrix_product(weights)
    executor = Executor(model)
    x = np.stack([np.full(8, -128), np.full(8, 127), [-127] + [-128] * 7])
    assert (executor.run(x)["y"] == x @ weights).all()
    assert executor.steps[0].kernel(torch.from_numpy(x).float()).dtype == exact


def test_where_float32_would_be_wrong_the_result_is_right() -> None:
    x, weights = np.array([[127, 3]]), np.array([[2**23 + 1], [1]])
    single = x.astype(np.float32) @ weights.astype(np.float32)
    assert int(single[0, 0]) != (x @ weights)[0, 0]
    assert (Executor(matrix_product(weights)).run(x)["y"] == x @ weights).all()


def test_a_sum_beyond_float64_is_refused() -> None:
    with pytest.raises(VerificationError) as error:
        Executor(matrix_product(np.full((1, 1), 2**46)))
    assert str(error.value) == (
        "MatMul_0 (MatMul): sums may reach 9007199254740992, beyond the 2^53 that float64 adds exactly"
    )


def test_reduced_float32_modes_of_the_caller_are_off_meanwhile() -> None:
    executor = Executor(matrix_product(np.full((4, 1), 4001)))
    seen = []
    kernel = executor.steps[0].kernel
    object.__setattr__(
        executor.steps[0],
        "kernel",
        lambda t: (seen.append(torch.get_float32_matmul_precision()), kernel(t))[1],
    )
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert executor.run(np.full((1, 4), 127))["y"] == 4 * 127 * 4001
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "medium")
    finally:
        torch.set_float32_matmul_precision("highest")


def conv(weights: np.ndarray, channels: int, **attributes: object) -> ModelWrapper:
    values = {"x": ((1, channels, 4, 4), "INT4"), "y": ((1, weights.shape[0], 4, 4), None)}
    return build([node("Conv", ["x", "w"], "y", **attributes)], values, {"w": (weights, "INT4")})


ONES = np.ones((4, 2, 1, 1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            conv(ONES, 4, group=2),
            "Conv_0 (Conv): group must be 1 or the number of channels, not 2",
        ),
        (
            conv(ONES, 2, auto_pad="SAME_UPPER"),
            "Conv_0 (Conv): auto_pad must be 'NOTSET', not 'SAME_UPPER'",
        ),
        (
            conv(ONES, 3),
            "Conv_0 (Conv): weights for 2 channels on 'x' with 3 channels",
        ),
        (
            matrix_product(np.ones((3, 1)), length=2),
            "MatMul_0 (MatMul): weights for 3 inputs on 'x' of shape (1, 2)",
        ),
        (
            matrix_product(np.array([[0.5]])),
            "MatMul_0 (MatMul): initialiser 'w' must hold integers, not 0.5",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused(model: ModelWrapper, message: str) -> None:
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == message


@pytest.mark.parametrize(("attribute", "value", "legal"), [("noActivation", 0, 1), ("binaryXnorMode", 1, 0)])
def test_units_with_thresholds_or_binary_arithmetic_are_refused(
    attribute: str, value: int, legal: int
) -> None:
    attributes = {"noActivation": 1, attribute: value}
    values = {"x": ((1, 2), "INT4"), "y": ((1, 1), "INT32")}
    model = build([finn("MVAU", ["x", "w"], "y", **attributes)], values, {"w": (np.ones((2, 1)), "INT4")})
    with pytest.raises(VerificationError) as error:
        Executor(model)
    assert str(error.value) == f"MVAU_0 (MVAU): {attribute} must be {legal}, not {value}"
