"""Foldings drawn at random, to see how well the cost model meets what nobody chose.

They are drawn once the terms of the model stand, and neither fitted to nor looked at before. Whoever changes
the terms takes another SEED and has them synthesised anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SEED = 20261125
NUMBER = 5  # of each op
MOST_BITS = 200  # of weights a cycle: synthesised in seconds
MOST_TAPS = 500  # bits of a window generator that gives whole windows

_BITS = (2, 3, 4, 5, 6, 8)
_TYPES = tuple(f"{sign}{bits}" for sign in ("UINT", "INT") for bits in _BITS)
_FOLDS = (1, 2, 4, 8, 16)
_CHANNELS = (16, 32, 64, 128, 256)
_STYLES = ("distributed", "block")
_SUMS = tuple(f"INT{bits + 1}" for bits in _BITS)

# op -> what each argument of its builder in `single.py` may be
CHOICES: dict[str, tuple[Sequence[Any], ...]] = {
    "StreamingFIFO": (range(1, 129), (2, 3, 8, 20, 32, 50, 64, 100, 256, 600, 1024, 2000), ("auto",)),
    "StreamingDataWidthConverter": (range(2, 129), range(2, 129)),
    "DuplicateStreams": (_FOLDS, _BITS),
    "ElementwiseAdd": (_FOLDS, _TYPES, _TYPES, _SUMS),
    "WindowGenerator": (
        (7, 14, 28, 56),
        _CHANNELS,
        _FOLDS,
        _BITS,
        (3, 5, 7),
        (1, 2),
        (0, 1),
        _STYLES,
    ),
    "Requant": (_CHANNELS, _FOLDS, _BITS, range(9, 19), range(9, 18), range(16, 28), range(6)),
    "Thresholding": (_CHANNELS, _FOLDS, (2, 3, 4, 5), range(9, 17), (0, 512)),
    "VVAU": (_CHANNELS, (3, 5), _FOLDS, (1, 3, 5, 9), _BITS, _TYPES, _STYLES),
    "MVAU": ((27, 32, 64, 128, 256), _CHANNELS, _FOLDS, (1, 2, 3, 4, 8, 9, 16), _BITS, _TYPES, _STYLES),
}


def _window_is_legal(
    size: int, channels: int, simd: int, bits: int, kernel: int, stride: int, parallel: int, style: str
) -> bool:
    return channels % simd == 0 and (not parallel or simd * bits * kernel**2 <= MOST_TAPS)


def _sum_is_legal(pe: int, left: str, right: str, out: str) -> bool:
    """Signed operands of the widths that give the sum its own."""
    widest = max(int(name.removeprefix("INT")) if name.startswith("INT") else 99 for name in (left, right))
    return out == f"INT{widest + 1}"


def _thresholds_are_legal(channels: int, pe: int, bits: int, x: int, trigger: int) -> bool:
    """A threshold for each step must be another; a trigger only where a bank can be that deep."""
    deepest = channels // pe << bits - 1
    return channels % pe == 0 and bits < x and (trigger == 0 or deepest >= trigger) and pe * 2**bits <= 128


LEGAL: dict[str, Callable[..., bool]] = {
    "ElementwiseAdd": _sum_is_legal,
    "StreamingDataWidthConverter": lambda a, b: a != b and math.gcd(a, b) * 32 >= a + b,
    "WindowGenerator": _window_is_legal,
    "Requant": lambda channels, pe, *_: channels % pe == 0,
    "Thresholding": _thresholds_are_legal,
    "VVAU": lambda channels, kernel, pe, simd, w, *_: (
        channels % pe == 0 and kernel**2 % simd == 0 and pe * simd * w <= MOST_BITS
    ),
    "MVAU": lambda mw, mh, pe, simd, w, *_: mh % pe == 0 and mw % simd == 0 and pe * simd * w <= MOST_BITS,
}


def draw(op: str, seed: int = SEED, number: int = NUMBER) -> list[tuple[Any, ...]]:
    """Different legal arguments of the op's builder; the same for the same seed."""
    random = np.random.default_rng([seed, *op.encode()])
    is_legal = LEGAL.get(op, lambda *_: True)
    drawn: list[tuple[Any, ...]] = []
    while len(drawn) < number:
        sample = tuple(choices[int(random.integers(len(choices)))] for choices in CHOICES[op])
        if is_legal(*sample) and sample not in drawn:
            drawn.append(sample)
    return drawn
