"""Multiplier, bias and shift that equal a bank of thresholds, with proof.

Both are step functions that never fall, so they are equal on every accumulator lo..hi exactly if they agree
on both sides of every threshold. A channel's thresholds T_k (level q_k = low + 1 + k) so ask of M, B, S:
    T_k * M + B >= q_k * 2^S         where T_k <= hi    (the level is reached at T_k)
    (T_k - 1) * M + B < q_k * 2^S    where T_k > lo     (and not before)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MAX_SHIFT = 39  # 8-bit levels under it stay below 2^47: product and bias fit the 48 bits of a DSP accumulator


@dataclass(frozen=True)
class RequantParameters:
    """(C,) int64 each; see `finn_flow.ops.requant`."""

    scale: Ints
    bias: Ints
    shift: Ints


def find_requant_parameters(thresholds: Ints, low: int, lo: Ints, hi: Ints) -> RequantParameters | None:
    """The smallest shift of each channel that equals its thresholds on every integer lo..hi.

    thresholds: (C, N), ascending; low: the output below all thresholds; lo, hi: (C,). None if some channel
    has no such parameters, as when its thresholds are not evenly spaced.
    """
    lo, hi = lo[:, None], hi[:, None]
    t = np.clip(thresholds.astype(np.int64), lo, hi + 1)
    q = low + 1 + np.arange(t.shape[1], dtype=np.int64)
    reached, missed = t <= hi, t > lo
    slope = _slope(t, reached, missed)
    channels = len(t)
    scale, bias = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    shift = np.full(channels, -1, np.int64)
    for s in range(MAX_SHIFT + 1):
        for multiplier in (np.floor(slope * 2.0**s), np.ceil(slope * 2.0**s)):
            todo = np.flatnonzero(shift < 0)
            if not len(todo):
                return RequantParameters(scale, bias, shift)
            m = multiplier[todo].astype(np.int64)
            least, most = _bias_range(t[todo], q << s, m, reached[todo], missed[todo])
            fits = least <= most
            found = todo[fits]
            scale[found], bias[found], shift[found] = m[fits], least[fits], s
    return None if (shift < 0).any() else RequantParameters(scale, bias, shift)


def _bias_range(
    t: Ints, q: Ints, m: Ints, reached: NDArray[np.bool_], missed: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Least and greatest bias of each channel that meets both conditions of the module at multiplier `m`."""
    big = np.int64(2**62)
    product = t * m[:, None]
    least = np.where(reached, q - product, -big).max(1)
    most = np.where(missed, q - 1 - product + m[:, None], big).min(1)
    least = np.where(least == -big, np.minimum(most, 0), least)  # no level is ever reached
    return least, most


def _slope(t: Ints, reached: NDArray[np.bool_], missed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middle of the slopes M / 2^S that the conditions of all pairs of thresholds leave, (C,).

    Thresholds i > j: reaching i and missing j gives a least slope, reaching j and missing i a greatest one.
    """
    n = t.shape[1]
    low, high = np.zeros(len(t)), np.full(len(t), np.inf)
    for d in range(1, n):
        run = (t[:, d:] - t[:, :-d]).astype(np.float64)
        with np.errstate(divide="ignore"):
            least = np.where(reached[:, d:] & missed[:, :-d], d / (run + 1), 0.0)
            most = np.where(reached[:, :-d] & missed[:, d:] & (run > 1), d / (run - 1), np.inf)
        low, high = np.maximum(low, least.max(1)), np.minimum(high, most.min(1))
    return np.where(np.isinf(high), 2 * low + 1, (low + high) / 2)  # unbounded: anything steep will do
