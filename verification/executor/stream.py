"""What is known of a tensor before any data flows, and what an op of the table returns.

Integers travel in float32 (or float64) tensors, which hold them exactly up to 2^24 (2^53). Every op derives
the least and the greatest value that each channel of its output can take from those of its inputs and from
its parameters alone; the choice of arithmetic and the check of declared widths rest on these, so they hold
for every input of the graph's input type and trust no declaration in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

FLOAT32_EXACT = 2**24  # every integer up to this magnitude is a float32
FLOAT64_EXACT = 2**53

Kernel = Callable[..., Tensor]


@dataclass(frozen=True)
class Windows:
    """A sliding window over a zero-padded picture, not carried out.

    pads: (top, left, bottom, right). A stream of windows is kept as its picture (N, H, W, C) until someone
    wants its elements; a depthwise convolution never does.
    """

    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)

    @property
    def is_padding(self) -> bool:
        """Whether each window is one pixel."""
        return self.kernel == (1, 1) and self.stride == (1, 1)

    def pad(self, picture: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H + top + bottom, W + left + right, C)."""
        top, left, bottom, right = self.pads
        return F.pad(picture, (0, 0, left, right, top, bottom)) if any(self.pads) else picture

    def dense(self, picture: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, OH, OW, KH * KW * C), the channel fastest: qonnx's Im2Col order."""
        if self == Windows():
            return picture
        x = self.pad(picture)
        for axis in (1, 2):
            reach = self.dilation[axis - 1] * (self.kernel[axis - 1] - 1) + 1
            x = x.unfold(axis, reach, self.stride[axis - 1])  # appends the window's axis
        x = x[..., :: self.dilation[0], :: self.dilation[1]]  # N, OH, OW, C, KH, KW
        return x.permute(0, 1, 2, 4, 5, 3).flatten(3)


@dataclass(frozen=True)
class Range:
    """Least and greatest integer of each channel: int64 arrays of shape (C,), or (1,) for all channels."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, low: int, high: int) -> Range:
        return cls(np.array([low], np.int64), np.array([high], np.int64))

    @property
    def least(self) -> int:
        return int(self.low.min())

    @property
    def greatest(self) -> int:
        return int(self.high.max())

    @property
    def magnitude(self) -> int:
        return max(abs(self.least), abs(self.greatest))

    def with_zero(self) -> Range:
        return Range(np.minimum(self.low, 0), np.maximum(self.high, 0))


@dataclass(frozen=True)
class Result:
    """What an op compiles to: a function of its streams' tensors and the properties of its output.

    range: None for real numbers. windows: set if the kernel returns the picture of a stream of windows.
    scale: of a Quant, so that output / scale is an integer.
    """

    kernel: Kernel
    range: Range | None
    layout: str
    windows: Windows | None = None
    scale: np.ndarray | None = None


@dataclass(frozen=True)
class Stream:
    """A tensor of the graph that depends on its input; see Result for the properties.

    shape: with the batch dimension. layout: of its axes, NHWC or NCHW.
    """

    name: str
    shape: tuple[int, ...]
    range: Range | None
    layout: str
    windows: Windows | None = None
    scale: np.ndarray | None = None

    def dense(self, tensor: Tensor) -> Tensor:
        """The stream's elements, from the tensor that stands for it."""
        return self.windows.dense(tensor) if self.windows else tensor


Operand = Stream | np.ndarray
