"""Sliding windows in numpy, and what the RTL that makes them promises (finn_flow/rtl/window*.sv)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from verification.packing import pack


@dataclass(frozen=True)
class Shape:
    """A picture of H x W pixels, SIMD of its channels a word, and the window over it."""

    H: int
    W: int
    CHANNELS: int
    SIMD: int
    KERNEL: int
    STRIDE: int
    PAD: int
    BITS: int = 4

    def parameters(self, **more: int | str) -> dict[str, Any]:
        return {**self.__dict__, **more}

    @property
    def groups(self) -> int:
        return self.CHANNELS // self.SIMD

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        rows, columns = ((n + 2 * self.PAD - self.KERNEL) // self.STRIDE + 1 for n in (self.H, self.W))
        return rows, columns

    def frames(self, count: int, seed: int) -> NDArray[np.int64]:
        """Random unsigned integers (frames, H, W, CHANNELS)."""
        shape = (count, self.H, self.W, self.CHANNELS)
        return np.random.default_rng(seed).integers(0, 1 << self.BITS, shape)

    def beats(self, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The stream of `frames` that goes in."""
        return pack(frames.reshape(-1, self.SIMD), self.BITS)

    def windows(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """(frames, oy, ox, ky, kx, group, channel of the group)."""
        pad = (self.PAD, self.PAD)
        padded = np.pad(frames, ((0, 0), pad, pad, (0, 0)))
        views = sliding_window_view(padded, (self.KERNEL, self.KERNEL), axis=(1, 2))
        taken = np.moveaxis(views[:, :: self.STRIDE, :: self.STRIDE], 3, -1)
        return taken.reshape(*taken.shape[:-1], self.groups, self.SIMD)


def window_words(shape: Shape, gapless: bool, depthwise: bool) -> tuple[int, int]:
    """Words of the buffer of window.sv, and cycles a frame."""
    rows, columns = shape.places
    groups, kernel, stride = shape.groups, shape.KERNEL, shape.STRIDE
    span = ((kernel - 1) * shape.W + kernel) * groups
    first = (shape.PAD * shape.W + shape.PAD) * groups
    if depthwise:
        late = (kernel - 1) * (groups - 1 + max(shape.W * groups - kernel, 0))
    else:
        late = (kernel - 1) * max(shape.W - kernel, 0) * groups
    step = stride * groups + late + 2
    row = stride * (shape.W - (columns - 1)) * groups + late + 2
    frame = ((shape.H - (rows - 1) * stride) * shape.W - (columns - 1) * stride) * groups
    frame += max(late, first) + 2
    words = max(span, step, row, frame) if gapless else span
    step, row, frame = (max(0, n - words) for n in (step, row, frame))
    reads = rows * columns * kernel**2 * groups
    gaps = rows * (columns - 1) * step + (rows - 1) * row + frame
    return words, max(shape.H * shape.W * groups, reads + gaps)
