"""The ops of a QONNX graph on real numbers, in float64 and with the same torch functions as Brevitas uses.

Integers become real numbers at the first Mul by a scale and stay so: an activation's integers are the
output of its Quant divided by the scale.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import Node
from verification.executor.operands import constant, stream
from verification.executor.stream import Operand, Result, Stream, Windows


def mul(node: Node, *operands: Operand) -> Result:
    """Stream times initialiser, broadcast."""
    x = stream(node, operands)
    factor = float64(constant(node, operands, 1))
    return Result(lambda t: t.to(torch.float64) * factor, None, x.layout)


def conv(node: Node, x: Stream, weights: np.ndarray, windows: Windows) -> Result:
    """(N, C, H, W) x (M, C / groups, KH, KW), with equal padding on opposite sides."""
    top, left, bottom, right = windows.pads
    if (top, left) != (bottom, right):
        raise VerificationError(f"{node}: pads must be equal on opposite sides, not {list(windows.pads)}")
    w, groups = float64(weights), node.get("group", 1)

    def kernel(t: Tensor) -> Tensor:
        t = t.to(torch.float64)
        return F.conv2d(t, w, None, windows.stride, (top, left), windows.dilation, groups)

    return Result(kernel, None, x.layout)


def batch_normalization(node: Node, *operands: Operand) -> Result:
    """With the stored mean and variance; inputs x, weight, bias, mean, variance."""
    x = stream(node, operands)
    weight, bias, mean, variance = (float64(constant(node, operands, index)) for index in range(1, 5))
    epsilon = node.get("epsilon", 1e-5)
    return Result(lambda t: F.batch_norm(t, mean, variance, weight, bias, eps=epsilon), None, x.layout)


def relu(node: Node, *operands: Operand) -> Result:
    """max(x, 0) of real numbers."""
    return Result(torch.relu, None, stream(node, operands).layout)


def flatten(node: Node, *operands: Operand) -> Result:
    """(N, ...) -> (N, product of the rest)."""
    node.require("axis", 1)
    return Result(lambda t: t.flatten(1), None, "NC")


def quant(node: Node, *operands: Operand) -> Result:
    """qonnx's Quant, also of weights: (clamp(round(x / scale + zero)) - zero) * scale, ties to even."""
    x = operands[0]
    node.require("rounding_mode", "ROUND")
    scale, zero, bits = (constant(node, operands, index) for index in range(1, 4))
    low, high = quant_limits(node.get("signed"), node.get("narrow"), int(bits.item()))
    step, offset = float64(scale), float64(zero)

    def kernel(t: Tensor) -> Tensor:
        return (torch.round(t / step + offset).clamp(low, high) - offset) * step

    return Result(kernel, None, x.layout if isinstance(x, Stream) else "", scale=scale)


def quant_limits(signed: int, narrow: int, bits: int) -> tuple[int, int]:
    """Least and greatest integer of a Quant.

    >>> quant_limits(signed=1, narrow=1, bits=4), quant_limits(signed=0, narrow=0, bits=4)
    ((-7, 7), (0, 15))
    """
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def float64(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values, np.float64))
