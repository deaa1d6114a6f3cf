"""Buffers and cycles of our window generators: finn_flow/rtl/window.sv and window_parallel.sv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Attributes = Mapping[str, Any]


def is_gapless(a: Attributes) -> bool:
    """Whether the serial generator's buffer is large enough to lose no cycle.

    A window over the whole picture would need a second picture; there the least buffer is chosen, and the
    next picture comes in as the present one leaves.
    """
    return max(a["OFMDim"]) > 1


def serial_window(a: Attributes) -> tuple[int, int]:
    """Words of the buffer of window.sv, and cycles a frame; the formulas are in its header."""
    (height, width), (rows, columns) = a["IFMDim"], a["OFMDim"]
    kernel, stride, pad = a["ConvKernelDim"][0], a["Stride"][0], a["Padding"][0]
    fold = a["IFMChannels"] // a["SIMD"]
    span = ((kernel - 1) * width + kernel) * fold
    if a["depthwise"]:
        late = (kernel - 1) * (fold - 1 + max(width * fold - kernel, 0))
    else:
        late = (kernel - 1) * max(width - kernel, 0) * fold
    step = stride * fold + late + 2
    row = stride * (width - (columns - 1)) * fold + late + 2
    frame = ((height - (rows - 1) * stride) * width - (columns - 1) * stride) * fold
    frame += max(late, pad * (width + 1) * fold) + 2
    words = max(span, step, row, frame) if is_gapless(a) else span
    gaps = [max(0, needed - words) for needed in (step, row, frame)]
    times = (rows * (columns - 1), rows - 1, 1)
    reads = rows * columns * kernel**2 * fold + sum(n * gap for n, gap in zip(times, gaps, strict=True))
    return words, max(height * width * fold, reads)


def parallel_window(a: Attributes) -> tuple[int, int, int]:
    """Of window_parallel.sv: words of each of the KERNEL rows, words of the history, cycles a frame."""
    height, width = a["IFMDim"]
    fold = a["IFMChannels"] // a["SIMD"]
    return width * fold, fold, height * width * fold
