"""Multiplier, bias and shift that equal a bank of thresholds, with proof.

Both are step functions that never fall, so they are equal on every accumulator lo..hi exactly if they agree
on both sides of every threshold. A channel's thresholds T_k (level q_k = low + 1 + k) so ask of M, B, S:
    T_k * M + B >= q_k * 2^S         where T_k <= hi    (the level is reached at T_k)
    (T_k - 1) * M + B < q_k * 2^S    where T_k > lo     (and not before)
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
SCALE_BITS = 17  # that the narrow side of a DSP's multiplier takes unsigned
MORE_SHIFTS = 5  # beyond the least one that are tried for all channels: they leave the bias more freedom
SLOPES = 9  # that are tried of each channel
MAX_SHIFT = 39  # 8-bit levels under it stay below 2^47: product and bias fit the 48 bits of a DSP accumulator


@dataclass(frozen=True)
class RequantParameters:
    """(C,) int64 each; see `finn_flow.ops.requant`."""

    scale: Ints
    bias: Ints
    shift: Ints


def find_requant_parameters(thresholds: Ints, low: int, lo: Ints, hi: Ints) -> RequantParameters | None:
    """Parameters of each channel that equal its thresholds on every integer lo..hi, in few bits.

    One shift for all channels where a scale of SCALE_BITS does, else the smallest of each.
    thresholds: (C, N), ascending; low: the output below all thresholds; lo, hi: (C,). None if some channel
    has no such parameters, as when its thresholds are not evenly spaced.
    """
    lo, hi = lo[:, None], hi[:, None]
    t = np.clip(thresholds.astype(np.int64), lo, hi + 1)
    q = low + 1 + np.arange(t.shape[1], dtype=np.int64)
    conditions = _Conditions(t, q, reached=t <= hi, missed=t > lo)
    smallest = _smallest_shifts(conditions)
    if smallest is None:
        return None
    start = int(smallest.shift.max())
    shifts = range(start, min(start + MORE_SHIFTS, MAX_SHIFT) + 1)
    alike = [found for s in shifts if (found := _common_shift(conditions, s)) is not None]
    return min(alike, key=stored_bits, default=smallest)


def stored_bits(parameters: RequantParameters) -> int:
    """Bits of a channel's scale and bias, without the bias's low bits that are zero in all channels.

    >>> stored_bits(RequantParameters(np.array([5, 9]), np.array([-64, 96]), np.array([3, 3])))
    7
    """
    bias = parameters.bias >> common_zeros(parameters.bias)
    magnitude = max(int(bias.max()), -1 - int(bias.min()))
    return int(parameters.scale.max()).bit_length() + magnitude.bit_length() + 1


def common_zeros(values: Ints) -> int:
    """Low bits that are zero in all of them.

    >>> common_zeros(np.array([-64, 96])), common_zeros(np.array([0, 0]))
    (5, 0)
    """
    bits = int(np.bitwise_or.reduce(values))
    return (bits & -bits).bit_length() - 1 if bits else 0


@dataclass(frozen=True)
class _Conditions:
    """T_k (C, N), q_k (N,), and which of both conditions of the module hold for it, (C, N)."""

    t: Ints
    q: Ints
    reached: NDArray[np.bool_]
    missed: NDArray[np.bool_]

    def of(self, channels: Ints) -> _Conditions:
        return _Conditions(self.t[channels], self.q, self.reached[channels], self.missed[channels])

    @functools.cached_property
    def slopes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the greatest M / 2^S that the conditions of all pairs of thresholds leave, (C,).

        Thresholds i > j: reaching i and missing j gives a least, reaching j and missing i a greatest one.
        """
        t, n = self.t, self.t.shape[1]
        low, high = np.zeros(len(t)), np.full(len(t), np.inf)
        for d in range(1, n):
            run = (t[:, d:] - t[:, :-d]).astype(np.float64)
            with np.errstate(divide="ignore"):
                least = np.where(self.reached[:, d:] & self.missed[:, :-d], d / (run + 1), 0.0)
                most = np.where(self.reached[:, :-d] & self.missed[:, d:] & (run > 1), d / (run - 1), np.inf)
            low, high = np.maximum(low, least.max(1)), np.minimum(high, most.min(1))
        return low, high


def _smallest_shifts(conditions: _Conditions) -> RequantParameters | None:
    """The smallest shift of each channel that has a scale and a bias."""
    low, high = conditions.slopes
    # An unbounded slope: anything steep will do.
    slope = np.where(np.isinf(high), 2 * low + 1, (low + high) / 2)
    channels = len(slope)
    scale, bias = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    shift = np.full(channels, -1, np.int64)
    for s in range(MAX_SHIFT + 1):
        for multiplier in (np.floor(slope * 2.0**s), np.ceil(slope * 2.0**s)):
            todo = np.flatnonzero(shift < 0)
            if not len(todo):
                return RequantParameters(scale, bias, shift)
            m = multiplier[todo].astype(np.int64)
            least, most = _bias_range(conditions.of(todo), s, m)
            fits = least <= most
            found = todo[fits]
            scale[found], bias[found], shift[found] = m[fits], least[fits], s
    return None if (shift < 0).any() else RequantParameters(scale, bias, shift)


def _common_shift(conditions: _Conditions, s: int) -> RequantParameters | None:
    """One shift for all channels; the low bits of the biases are zeros, as many as all channels can have."""
    low, high = conditions.slopes
    first = np.floor(low * 2.0**s)
    last = np.where(np.isinf(high), first + 1, np.ceil(np.where(np.isinf(high), 0, high) * 2.0**s))
    if first.max() >= 2**SCALE_BITS:
        return None
    scales = [first + np.floor((last - first) * i / (SLOPES - 1)) for i in range(SLOPES)]
    scale = np.array([np.minimum(each, 2**SCALE_BITS - 1) for each in scales]).astype(np.int64)
    least, most = (np.array(bound) for bound in zip(*_ranges(conditions, s, scale), strict=True))
    zeros = np.where(least <= most, _zeros(least, most), -1)
    common = int(zeros.max(0).min())
    if common < 0:
        return None
    chosen, channel = (zeros >= common).argmax(0), np.arange(len(first))  # the least of the scales
    least, most = least[chosen, channel], most[chosen, channel]
    up, down = -(-least >> common) << common, most >> common << common
    bias = np.where(least > 0, up, np.where(most < 0, down, 0))
    return RequantParameters(scale[chosen, channel], bias, np.full(len(first), s, np.int64))


def _ranges(conditions: _Conditions, s: int, scales: Ints) -> Iterator[tuple[Ints, Ints]]:
    return (_bias_range(conditions, s, scale) for scale in scales)


def _zeros(least: Ints, most: Ints) -> Ints:
    """The most low bits that are zero in some integer of least..most: all below the highest that differs.

    >>> _zeros(np.array([9, -3, 8]), np.array([14, 5, 8])).tolist()
    [2, 39, 3]
    """
    differing = (least - 1) ^ most
    return np.where(differing < 0, MAX_SHIFT, np.minimum(np.frexp(differing)[1] - 1, MAX_SHIFT))


def _bias_range(c: _Conditions, s: int, m: Ints) -> tuple[Ints, Ints]:
    """Least and greatest bias of each channel that meets both conditions of the module at multiplier `m`."""
    big = np.int64(2**62)
    product, q = c.t * m[:, None], c.q << s
    least = np.where(c.reached, q - product, -big).max(1)
    most = np.where(c.missed, q - 1 - product + m[:, None], big).min(1)
    least = np.where(least == -big, np.minimum(most, 0), least)  # no level is ever reached
    return least, most
