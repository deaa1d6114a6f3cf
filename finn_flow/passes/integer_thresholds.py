"""Integer thresholds of a quantiser that reads an affine function of an integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantiser:
    """A Brevitas/QONNX integer quantiser: clamp(round_half_even(x / scale), low, high)."""

    scale: float
    low: int
    high: int

    def __call__(self, x: Floats) -> Floats:
        return np.clip(np.round(x / self.scale), self.low, self.high)


def integer_thresholds(quantiser: Quantiser, scale: Floats, offset: Floats, lo: Ints, hi: Ints) -> Ints:
    """Thresholds T so that quantiser(scale*a + offset) = low + #(T <= a) for every integer lo <= a <= hi.

    scale, offset, lo, hi: (C,), scale >= 0. Returns (C, high - low) int64, ascending along axis 1, clipped to
    lo..hi+1 (levels that are always or never reached). All arithmetic is float64, as in the reference; each
    threshold is then checked against the quantiser itself and moved by one where rounding put it beside.
    """
    levels = np.arange(quantiser.low + 1, quantiser.high + 1, dtype=np.float64)
    edges = (levels - 0.5) * quantiser.scale
    a, b = scale[:, None], offset[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        guess = np.ceil((edges - b) / a)
    constant = np.where(b >= edges, lo[:, None], hi[:, None] + 1.0)  # scale 0: the level is fixed
    guess = np.where(a == 0, constant, guess)
    guess = np.clip(guess, lo[:, None], hi[:, None] + 1.0)

    def reached(value: Floats) -> NDArray[np.bool_]:
        return quantiser(a * value + b) >= levels

    guess = np.where(reached(guess - 1) & (guess > lo[:, None]), guess - 1, guess)
    guess = np.where(~reached(guess) & (guess <= hi[:, None]), guess + 1, guess)
    return guess.astype(np.int64)
