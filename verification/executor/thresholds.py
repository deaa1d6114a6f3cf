"""Thresholding and MultiThreshold on integers: out = bias + how many of the channel's thresholds are <= x.

Counting is a table lookup between a channel's lowest and highest threshold, beyond which the count does not
change. Where a table with an entry for every value is too large, it has one for every 2^shift values, with at
most one threshold among them, so that the count is one of two. Where thresholds lie too close for that, a
binary search answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import Node
from verification.executor.operands import constant, integer_stream, on_channels_last
from verification.executor.stream import Kernel, Operand, Range, Result, Stream

TABLE_LIMIT = 2**20  # entries a node; a larger one leaves the cache, and is slower than the lookups it saves


def thresholding(node: Node, *operands: Operand) -> Result:
    """FINN's Thresholding: (N, ..., C), thresholds (C or 1, T), bias ActVal."""
    if node.get("outputDataType") == "BIPOLAR":
        raise VerificationError(f"{node}: outputDataType BIPOLAR is not supported")
    x, _ = integer_stream(node, operands)
    return _compile(node, x, constant(node, operands, 1), node.get("ActVal", 0), x.layout)


def multithreshold(node: Node, *operands: Operand) -> Result:
    """qonnx's MultiThreshold: thresholds (C or 1, T), bias out_bias, any data_layout."""
    node.require("out_scale", 1.0)
    x, _ = integer_stream(node, operands)
    bias = node.get("out_bias", 0.0)
    if bias != int(bias):
        raise VerificationError(f"{node}: out_bias must be an integer, not {bias}")
    layout = node.get("data_layout", "") or {2: "NC", 4: "NCHW"}.get(len(x.shape), x.layout)
    return _compile(node, x, constant(node, operands, 1), int(bias), layout)


def _compile(node: Node, x: Stream, thresholds: np.ndarray, bias: int, layout: str) -> Result:
    assert x.range is not None
    channels = x.shape[layout.index("C")]
    if thresholds.shape[0] not in (1, channels):
        raise VerificationError(
            f"{node}: thresholds for {thresholds.shape[0]} channels on {x.name!r} with {channels} channels"
        )
    values = x.range if len(thresholds) == channels else Range.of(x.range.least, x.range.greatest)
    # x >= t for an integer x means x >= ceil(t)
    rows = np.sort(np.ceil(thresholds), axis=1)
    counts = Range(*((rows <= bound[:, None]).sum(1) + bias for bound in (x.range.low, x.range.high)))
    ladder = Ladder.of(rows, values, bias)
    integer = torch.int32 if values.magnitude < 2**31 else torch.int64
    kernel = _lookup(ladder, integer) or _search(ladder, integer)
    return Result(on_channels_last(layout, kernel), counts, x.layout)


@dataclass(frozen=True)
class Ladder:
    """Sorted thresholds of each channel as steps above the value `first`.

    steps: (C, T) int64: 0 for a threshold that every value reaches, 1..span for one that some values reach,
    span + 1 for one that no value reaches. first, last: (C,) values beyond which the count is constant.
    """

    steps: np.ndarray
    first: np.ndarray
    last: np.ndarray
    span: int
    bias: int

    @classmethod
    def of(cls, rows: np.ndarray, values: Range, bias: int) -> Ladder:
        low, high = values.low[:, None], values.high[:, None]
        always, never = rows <= low, rows > high
        first = np.where(always | never, high, rows - 1).min(1).astype(np.int64)
        last = np.where(always | never, first[:, None], rows).max(1).astype(np.int64)
        span = int((last - first).max())
        steps = np.where(always, 0, np.where(never, span + 1, rows - first[:, None])).astype(np.int64)
        return cls(steps, first, last, span, bias)

    def fits(self, shift: int) -> bool:
        """Whether no two different thresholds that matter lie within the same 2^shift steps."""
        lower, upper = self.steps[:, :-1], self.steps[:, 1:]
        matter = (lower > 0) & (upper <= self.span) & (lower != upper)
        return not (matter & (lower >> shift == upper >> shift)).any()

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """All channels' steps as one sorted list, and what to add to a channel's to look them up in it."""
        base = np.arange(len(self.steps)) * (self.span + 2)
        return (self.steps + base[:, None]).ravel(), base

    def count(self, steps: np.ndarray) -> np.ndarray:
        """(V,) steps -> (C, V) how many of the channel's thresholds they reach, without those of span + 1."""
        flat, base = self.flat()
        positions = np.searchsorted(flat, np.minimum(steps, self.span) + base[:, None], side="right")
        return positions - np.arange(len(self.steps))[:, None] * self.steps.shape[1]


def _stepper(ladder: Ladder, integer: torch.dtype) -> Kernel:
    first, last = (torch.from_numpy(bound).to(integer) for bound in (ladder.first, ladder.last))
    return lambda x: x.to(integer).clamp_(first, last).sub_(first)


def _lookup(ladder: Ladder, integer: torch.dtype) -> Kernel | None:
    """Counts by table; None if there is none within TABLE_LIMIT."""
    channels = len(ladder.steps)
    if channels * (ladder.span + 1) <= TABLE_LIMIT:
        return _lookup_values(ladder, integer)
    for shift in range(ladder.span.bit_length(), 0, -1):  # the fewest entries first
        if channels * ((ladder.span >> shift) + 1) > TABLE_LIMIT:
            return None
        if ladder.fits(shift):
            return _lookup_buckets(ladder, integer, shift)
    return None


def _lookup_values(ladder: Ladder, integer: torch.dtype) -> Kernel:
    """Counts by a table with an entry for every value."""
    counts = _smallest(ladder.count(np.arange(ladder.span + 1)) + ladder.bias)
    stepper = _stepper(ladder, integer)
    base = (torch.arange(len(ladder.steps)) * (ladder.span + 1)).to(integer)

    def kernel(x: Tensor) -> Tensor:
        index = stepper(x).add_(base).reshape(-1)
        return counts.index_select(0, index).view(x.shape).to(torch.float32)

    return kernel


def _lookup_buckets(ladder: Ladder, integer: torch.dtype, shift: int) -> Kernel:
    """Counts by a table with an entry for every 2^shift values, which hold one threshold at most."""
    start = np.arange((ladder.span >> shift) + 1) << shift
    below, within = ladder.count(start), ladder.count(start + (1 << shift) - 1)
    # the entry's threshold; where it has none, below equals within and any number will do
    cut = np.take_along_axis(ladder.steps, below.clip(max=ladder.steps.shape[1] - 1), 1)
    low, high = _smallest(below + ladder.bias), _smallest(within + ladder.bias)
    cuts = torch.from_numpy(cut.ravel()).to(integer)
    stepper = _stepper(ladder, integer)
    base = (torch.arange(len(ladder.steps)) * len(start)).to(integer)

    def kernel(x: Tensor) -> Tensor:
        steps = stepper(x)
        index = (steps >> shift).add_(base).reshape(-1)
        reached = steps.reshape(-1) >= cuts.index_select(0, index)
        counts = torch.where(reached, high.index_select(0, index), low.index_select(0, index))
        return counts.view(x.shape).to(torch.float32)

    return kernel


def _smallest(values: np.ndarray) -> Tensor:
    """The counts, flat, in the smallest type that holds them: a small table is a fast one."""
    for dtype in (torch.uint8, torch.int8, torch.int16):
        if torch.iinfo(dtype).min <= values.min() and values.max() <= torch.iinfo(dtype).max:
            return torch.from_numpy(values.ravel()).to(dtype)
    return torch.from_numpy(values.ravel()).to(torch.int32)


def _search(ladder: Ladder, integer: torch.dtype) -> Kernel:
    """Counts by binary search among the thresholds of all channels."""
    stepper, (flat, base) = _stepper(ladder, integer), ladder.flat()
    boundaries, offsets = torch.from_numpy(flat), torch.from_numpy(base)
    below = torch.arange(len(ladder.steps)) * ladder.steps.shape[1] - ladder.bias

    def kernel(x: Tensor) -> Tensor:
        position = torch.bucketize(stepper(x) + offsets, boundaries, right=True)
        return (position - below).to(torch.float32)

    return kernel
