"""Dot products in exact integers: MVAU, VVAU, MatMul, and Conv on integers.

Float32 gives the integer sum, in whatever order it is added up, while sum |w| * max |x| < 2^24; float64
while it is < 2^53. Dense products are one matrix multiplication over the elements of the window stream,
depthwise ones a torch convolution over its picture.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import Node
from verification.executor.operands import (
    constant,
    integer_stream,
    integers,
    is_integer,
    on_channels_last,
    stream,
)
from verification.executor.real import conv as real_conv
from verification.executor.stream import (
    FLOAT32_EXACT,
    FLOAT64_EXACT,
    Kernel,
    Operand,
    Range,
    Result,
    Stream,
    Windows,
)


def mvau(node: Node, *operands: Operand) -> Result:
    """FINN's matrix-vector unit without thresholds: (N, ..., MW) x (MW, MH) -> (N, ..., MH)."""
    node.require("noActivation", 1)
    node.require("binaryXnorMode", 0)
    x, _ = integer_stream(node, operands)
    return _dense(node, x, integers(node, operands, 1))


def vvau(node: Node, *operands: Operand) -> Result:
    """FINN's depthwise unit without thresholds: (N, H, W, K * K * C) x (C, 1, K, K) -> (N, H, W, C)."""
    node.require("noActivation", 1)
    x, _ = integer_stream(node, operands)
    weights = integers(node, operands, 1)  # (C, 1, KH, KW)
    return _depthwise(node, x, weights[:, 0].transpose(1, 2, 0).reshape(-1, weights.shape[0]))


def matmul(node: Node, *operands: Operand) -> Result:
    """(N, ..., K) x (K, M) -> (N, ..., M). A lowered depthwise convolution is one with diagonal taps."""
    x, _ = integer_stream(node, operands)
    weights = integers(node, operands, 1)
    taps = _diagonal_taps(weights, x.windows)
    return _dense(node, x, weights) if taps is None else _depthwise(node, x, taps)


def conv(node: Node, *operands: Operand) -> Result:
    """ONNX Conv without bias, (N, C, H, W) x (M, C / groups, KH, KW), dense or depthwise.

    On integers exact; on real numbers (a QONNX graph before streamlining) as torch computes it in float64.
    """
    x, weights = stream(node, operands), constant(node, operands, 1)
    if len(operands) > 2:
        raise VerificationError(f"{node}: a bias is not supported")
    windows = conv_windows(node, weights)
    if x.range is None or not is_integer(weights):
        return real_conv(node, x, weights, windows)
    weights = integers(node, operands, 1).transpose(2, 3, 1, 0)  # KH, KW, C / groups, M
    groups = node.get("group", 1)
    batch, channels, *size = x.shape
    if weights.shape[2] * groups != channels:
        raise VerificationError(
            f"{node}: weights for {weights.shape[2] * groups} channels on {x.name!r} with {channels} channels"
        )
    values = x.range.with_zero() if any(windows.pads) else x.range
    elements = channels * weights.shape[0] * weights.shape[1]
    picture = Stream(x.name, (batch, *size, elements), values, "NHWC", windows)
    if groups == 1:
        result = _dense(node, picture, weights.reshape(-1, weights.shape[-1]))
    elif groups == channels == weights.shape[-1]:
        result = _depthwise(node, picture, weights.reshape(-1, groups))
    else:
        raise VerificationError(f"{node}: group must be 1 or the number of channels, not {groups}")
    return Result(on_channels_last("NCHW", result.kernel), result.range, "NCHW")


def conv_windows(node: Node, weights: np.ndarray) -> Windows:
    """The sliding window of an ONNX Conv."""
    node.require("auto_pad", "NOTSET")
    return Windows(
        pads=tuple(node.get("pads", [0] * 4)),
        kernel=weights.shape[2:],
        stride=tuple(node.get("strides", [1, 1])),
        dilation=tuple(node.get("dilations", [1, 1])),
    )


def _diagonal_taps(weights: np.ndarray, windows: Windows | None) -> np.ndarray | None:
    """(K, C) taps of a (K * C, C) matrix that never mixes channels, K > 1; None for any other."""
    length, channels = weights.shape
    if windows is None or windows.is_padding or length != channels * np.prod(windows.kernel):
        return None
    blocks = weights.reshape(-1, channels, channels)
    taps = np.diagonal(blocks, axis1=1, axis2=2)
    return taps if np.count_nonzero(blocks) == np.count_nonzero(taps) else None


def _dense(node: Node, x: Stream, weights: np.ndarray) -> Result:
    """weights: (K, M) int64, K in the order of the stream's last axis."""
    values = _repeated(node, x, weights.shape[0])
    dtype = exact_dtype(node, int((np.abs(weights).T @ _magnitudes(values)).max()))
    matrix = torch.from_numpy(weights).to(dtype)
    positive, negative = np.maximum(weights, 0).T, np.minimum(weights, 0).T
    bounds = Range(
        positive @ values.low + negative @ values.high, positive @ values.high + negative @ values.low
    )
    return Result(lambda t: torch.matmul(x.dense(t).to(dtype), matrix), bounds, x.layout)


def _depthwise(node: Node, x: Stream, taps: np.ndarray) -> Result:
    """taps: (K, C) int64, K = KH * KW."""
    values = _repeated(node, x, taps.size)
    low, high = (bound.reshape(taps.shape) for bound in (values.low, values.high))
    dtype = exact_dtype(node, int((np.abs(taps) * np.maximum(np.abs(low), np.abs(high))).sum(0).max()))
    products = np.stack((taps * low, taps * high))
    bounds = Range(products.min(0).sum(0), products.max(0).sum(0))
    weights = torch.from_numpy(taps.copy()).to(dtype)
    # torch takes a single channel for a dense convolution, for which it may pick an algorithm that rounds
    if x.windows is None or taps.shape[1] == 1:
        kernel: Kernel = lambda t: (x.dense(t).to(dtype).unflatten(-1, taps.shape) * weights).sum(-2)  # noqa: E731
    else:
        kernel = _depthwise_convolution(x.windows, weights)
    return Result(kernel, bounds, x.layout)


def _depthwise_convolution(windows: Windows, taps: Tensor) -> Kernel:
    top, left, bottom, right = windows.pads
    symmetric = (top, left) == (bottom, right)
    weights = taps.t().reshape(-1, 1, *windows.kernel).contiguous(memory_format=torch.channels_last)

    def kernel(picture: Tensor) -> Tensor:
        x = (picture if symmetric else windows.pad(picture)).to(taps.dtype).permute(0, 3, 1, 2)
        padding = (top, left) if symmetric else (0, 0)
        y = F.conv2d(x, weights, None, windows.stride, padding, windows.dilation, groups=len(weights))
        return y.permute(0, 2, 3, 1)

    return kernel


def _repeated(node: Node, x: Stream, length: int) -> Range:
    """The range of each of the `length` elements of the stream's last axis."""
    assert x.range is not None
    channels = x.range.low.size
    if length % channels or x.shape[-1] != length:
        raise VerificationError(f"{node}: weights for {length} inputs on {x.name!r} of shape {x.shape}")
    return Range(*(np.tile(bound, length // channels) for bound in (x.range.low, x.range.high)))


def _magnitudes(values: Range) -> np.ndarray:
    return np.maximum(np.abs(values.low), np.abs(values.high))


def exact_dtype(node: Node, magnitude: int) -> torch.dtype:
    """The fastest arithmetic that adds up to `magnitude` exactly; raises VerificationError if none does."""
    if magnitude < FLOAT32_EXACT:
        return torch.float32
    if magnitude < FLOAT64_EXACT:
        return torch.float64
    raise VerificationError(f"{node}: sums may reach {magnitude}, beyond the 2^53 that float64 adds exactly")
