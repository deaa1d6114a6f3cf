"""The forward pass that training runs: batch norms and scales folded into the convolutions.

It computes what `QMobileFaceNet` computes in eval mode, from the same parameters and differentiable in all
of them, but with integers as activations: with u = gain * conv(s_in * q, w) + shift, the activation is
q' = clamp(round(u / s)) in units of s, and

    u / s = conv(q, w * s_in * gain / s) + shift / s.

So an activation costs one rounding and one clamp forward and one masked copy backward, where Brevitas and the
batch norm make some thirty passes over it: a training step takes a third of the time. The gradient is that of
Brevitas (straight-through inside the range; learned scales get theirs through the folded weights).

The statistics of the batch norms are frozen at those of the given network. Quantisation settles on them, the
hardware uses them, and statistics of a batch of 32 would change every threshold at every step. The paper
folds the batch norms of its quantised networks too (section II.B).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import brevitas.nn as qnn
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.network import PIXEL_SCALE, Bottleneck, QMobileFaceNet


class _Integer(torch.autograd.Function):
    """clamp(round(z), low, high); the gradient passes where z lies within."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, low: float, high: float, relu: bool) -> Tensor:
        ctx.save_for_backward(z)
        ctx.range = (0.0 if relu else low - 0.5), high + 0.5
        return torch.round(z).clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (z,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad, z, *ctx.range), None, None, None


class Quantiser:
    """The range and the learned scale of a Brevitas quantiser, read once; a float layer has scale 1."""

    def __init__(self, proxy: Any, value: Tensor, *, signed: bool, narrow: bool = False) -> None:
        bits = int(proxy.bit_width())
        self.value = value  # the scale is |value| over the largest integer, of the range's longer side
        self.low = -(2 ** (bits - 1)) + narrow if signed else 0
        self.high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
        self.relu = not signed

    def scale(self) -> Tensor:
        return self.value.abs() / max(-self.low, self.high)

    def integer(self, z: Tensor) -> Tensor:
        """z in units of the scale -> integers."""
        return _Integer.apply(z, self.low, self.high, self.relu)


def _weight_quantiser(conv: Any) -> Quantiser | None:
    if not conv.weight_quant.is_quant_enabled:
        return None
    value = conv.weight_quant.tensor_quant.scaling_impl.value
    return Quantiser(conv.weight_quant, value, signed=True, narrow=True)


def _act_quantiser(act: Any) -> Quantiser | None:
    if not isinstance(act, qnn.QuantReLU | qnn.QuantIdentity):
        return None
    value = act.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value
    return Quantiser(act.act_quant, value, signed=not isinstance(act, qnn.QuantReLU))


class FoldedUnit:
    """A ConvUnit: one convolution with all that follows."""

    def __init__(self, unit: Any) -> None:
        self.conv, self.bn, self.act = unit.conv, unit.bn, unit.act
        self.weight, self.output = _weight_quantiser(unit.conv), _act_quantiser(unit.act)

    def __call__(self, x: Tensor, scale: Tensor | float) -> tuple[Tensor, Tensor | float]:
        """x in units of `scale`: (N, C, H, W). The output with its own unit."""
        conv, bn = self.conv, self.bn
        out: Tensor | float = self.output.scale() if self.output else 1.0
        weight, gain, bias = conv.weight, scale / out, None
        if self.weight:
            step = self.weight.scale()
            weight, gain = self.weight.integer(weight / step), gain * step
        if isinstance(bn, nn.BatchNorm2d):
            assert bn.running_mean is not None
            assert bn.running_var is not None
            slope = bn.weight / torch.sqrt(bn.running_var + bn.eps)
            bias = (bn.bias - bn.running_mean * slope) / out
            gain = gain * slope[:, None, None, None]
        z = F.conv2d(x, weight * gain, bias, conv.stride, conv.padding, 1, conv.groups)
        return self.activation(z), out

    def activation(self, z: Tensor) -> Tensor:
        return self.output.integer(z) if self.output else self.act(z)


class FoldedNetwork:
    """Calling it gives (N, 3, size, size) pixels minus 128 -> (N, embedding), as `network.eval()(x)`."""

    def __init__(self, network: QMobileFaceNet) -> None:
        self.stages = [
            (stage.residual, [FoldedUnit(u) for u in (stage.expand, stage.depthwise, stage.project)])
            if isinstance(stage, Bottleneck)
            else (False, [FoldedUnit(stage)])
            for stage in network.blocks.values()
        ]

    def __call__(self, x: Tensor) -> Tensor:
        last, scale = deque(self._walk(x), maxlen=1).pop()
        return (last * scale).flatten(1)

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What each stage gives, (N, C, H, W); the last is the embedding (N, E, 1, 1)."""
        return [y * scale for y, scale in self._walk(x)]

    def _walk(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor | float]]:
        """Of each stage, the output and the unit that it is in."""
        scale: Tensor | float = PIXEL_SCALE
        for residual, units in self.stages:
            y = x
            for unit in units:
                y, scale = unit(y, scale)
            x = units[-1].activation(x + y) if residual else y  # both sides have the stream's scale
            yield x, scale
