"""Ops that move, add or rescale integers: padding, windows, duplication, addition, re-quantisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.dot import exact_dtype
from verification.executor.graph import Node
from verification.executor.operands import integer_stream, integers, is_integer, stream
from verification.executor.real import float64
from verification.executor.stream import Operand, Range, Result, Stream, Windows
from verification.executor.widths import limits


def identity(node: Node, *operands: Operand) -> Result:
    """DuplicateStreams and StreamingDataWidthConverter: the same values at each output."""
    x = stream(node, operands)
    return Result(lambda t: t, x.range, x.layout, x.windows, x.scale)


def fm_padding(node: Node, *operands: Operand) -> Result:
    """FINN's FMPadding: zeros around (N, H, W, C), Padding = (top, left, bottom, right)."""
    return _windows(node, operands, Windows(pads=tuple(node.get("Padding"))))


def window_generator(node: Node, *operands: Operand) -> Result:
    """ConvolutionInputGenerator, WindowGenerator: (N, H, W, C) -> (N, OH, OW, KH * KW * C), channel fastest.

    The latter pads by itself: Padding = (top, left, bottom, right).

    So also if `depthwise`: a folded depthwise generator interleaves channels on its wires, not in its tensor.
    """
    kernel, stride, dilation = (tuple(node.get(name)) for name in ("ConvKernelDim", "Stride", "Dilation"))
    return _windows(node, operands, Windows(tuple(node.get("Padding", [0] * 4)), kernel, stride, dilation))


def im2col(node: Node, *operands: Operand) -> Result:
    """qonnx's Im2Col: padding and window generator in one."""
    node.require("pad_value", 0)
    pads, dilation = node.get("pad_amount", [0] * 4), node.get("dilations", [1, 1])
    kernel, stride = tuple(node.get("kernel_size")), tuple(node.get("stride"))
    return _windows(node, operands, Windows(tuple(pads), kernel, stride, tuple(dilation)))


def _windows(node: Node, operands: tuple[Operand, ...], windows: Windows) -> Result:
    """`windows` over the stream's picture, or over its padded picture."""
    x, values = integer_stream(node, operands)
    before = x.windows or Windows()
    if not before.is_padding:
        raise VerificationError(f"{node}: its input {x.name!r} is a stream of windows, not a picture")
    top, left, bottom, right = (a + b for a, b in zip(before.pads, windows.pads, strict=True))
    pads = (top, left, bottom, right)
    values = values.with_zero() if any(pads) else values
    return Result(lambda t: t, values, x.layout, replace(windows, pads=pads))


def add(node: Node, *operands: Operand) -> Result:
    """Add and ElementwiseAdd: a stream plus another one or an initialiser, broadcast."""
    first = stream(node, operands)
    second = operands[1]
    if first.range is None or not _is_integral(second):
        return _real_add(first, second)
    if isinstance(second, Stream):
        assert second.range is not None
        if second.shape != first.shape:
            raise VerificationError(f"{node}: cannot add shapes {first.shape} and {second.shape}")
        values, constant = second.range, None
    else:
        constant = integers(node, operands, 1)
        values = Range.of(int(constant.min()), int(constant.max()))
    total = Range(first.range.low + values.low, first.range.high + values.high)
    dtype = exact_dtype(node, max(total.magnitude, first.range.magnitude, values.magnitude))
    if constant is None:
        return Result(lambda a, b: torch.add(a.to(dtype), b.to(dtype)), total, first.layout)
    addend = torch.from_numpy(constant).to(dtype)
    return Result(lambda a: a.to(dtype) + addend, total, first.layout)


def _is_integral(operand: Operand) -> bool:
    return operand.range is not None if isinstance(operand, Stream) else is_integer(operand)


def _real_add(first: Stream, second: Operand) -> Result:
    if isinstance(second, Stream):
        return Result(lambda a, b: a.to(torch.float64) + b.to(torch.float64), None, first.layout)
    addend = float64(second)
    return Result(lambda a: a.to(torch.float64) + addend, None, first.layout)


def requant(node: Node, *operands: Operand) -> Result:
    """y = clamp((x * scale[c] + bias[c]) >> shift[c]) to outputDataType, on (N, ..., C), in int64.

    The shift is arithmetic: it rounds towards minus infinity.
    """
    x, values = integer_stream(node, operands)
    scale, bias, shift = (integers(node, operands, index) for index in (1, 2, 3))
    for name, parameter in (("scale", scale), ("bias", bias), ("shift", shift)):
        if parameter.shape != x.shape[-1:]:
            raise VerificationError(f"{node}: {name} must have shape {x.shape[-1:]}, not {parameter.shape}")
    limit = values.magnitude * int(np.abs(scale).max()) + int(np.abs(bias).max())
    if limit >= 2**63:
        raise VerificationError(f"{node}: x * scale + bias may reach {limit}, beyond int64")
    if shift.min() < 0 or shift.max() > 62:
        raise VerificationError(f"{node}: shift must be 0..62, not {shift.min()}..{shift.max()}")
    least, greatest = limits(node.datatype("outputDataType"))
    s, b, n = (torch.from_numpy(parameter) for parameter in (scale, bias, shift))

    def kernel(t: Tensor) -> Tensor:
        y = t.to(torch.int64).mul_(s).add_(b).bitwise_right_shift_(n)
        return y.clamp_(least, greatest).to(torch.float32)

    ends = np.stack(
        [((bound * scale + bias) >> shift).clip(least, greatest) for bound in (values.low, values.high)]
    )
    return Result(kernel, Range(ends.min(0), ends.max(0)), x.layout)
