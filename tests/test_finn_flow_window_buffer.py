"""The formulas of the window generators' headers in Python, against those that their benches hold."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from finn_flow.window_buffer import is_gapless, parallel_window, serial_window
from tests.window_gold import Shape, window_words


def attributes(shape: Shape, depthwise: bool) -> dict[str, Any]:
    return {
        "IFMDim": [shape.H, shape.W],
        "OFMDim": list(shape.places),
        "ConvKernelDim": [shape.KERNEL] * 2,
        "Stride": [shape.STRIDE] * 2,
        "Padding": [shape.PAD] * 4,
        "IFMChannels": shape.CHANNELS,
        "SIMD": shape.SIMD,
        "depthwise": int(depthwise),
    }


SHAPES = [
    Shape(H=height, W=width, CHANNELS=channels, SIMD=simd, BITS=4, KERNEL=3, STRIDE=stride, PAD=pad)
    for height, width in ((5, 5), (8, 11), (56, 56))
    for channels, simd in ((1, 1), (12, 3))
    for stride, pad in itertools.product((1, 2), (0, 1))
]
WHOLE = Shape(H=7, W=7, CHANNELS=512, SIMD=1, BITS=4, KERNEL=7, STRIDE=1, PAD=0)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("shape", [*SHAPES, WHOLE], ids=str)
def test_buffer_and_cycles_are_those_of_the_bench(shape: Shape, depthwise: bool) -> None:
    values = attributes(shape, depthwise)
    assert is_gapless(values) == (shape != WHOLE)
    assert serial_window(values) == window_words(shape, is_gapless(values), depthwise)


def test_a_window_over_the_picture_keeps_one_picture() -> None:
    assert serial_window(attributes(WHOLE, True)) == (7 * 7 * 512, 49_618)


def test_a_parallel_generator_keeps_rows() -> None:
    values = attributes(SHAPES[-1], True)
    assert parallel_window(values) == (56 * 4, 4, 56 * 56 * 4)
