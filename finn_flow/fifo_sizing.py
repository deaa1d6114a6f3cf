"""FIFO depths from a simulation of the whole accelerator, with a model of the FIFO of run-time depth.

Every FIFO may hold a frame, and frames arrive evenly, one per II: what a FIFO then holds at most is what it
needs. With these depths the accelerator must run at the same II at full rate. For each by-pass of a residual
block the least depth that does not deadlock is searched besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import INSERTED_OPS, base_op
from finn_flow.graph import Graph
from finn_flow.passes.insert_fifos import LEAST_DEPTH
from finn_flow.resources import memory
from verification.accelerator import IDLE_FRAMES, Accelerator
from verification.errors import VerificationError
from verification.verilator.simulation import StalledError

SHALLOW = 32  # words that one LUT-RAM or shift register holds anyway
MOST_FRAMES = 24
IDLE_CYCLES = 4096  # without a transfer anywhere: nothing will move any more
SLOW = 4  # times the II, for a source that lets everything settle
REGISTERS = 8  # words that layers hold at most between a fork and its addition
TOLERANCE_CYCLES, TOLERANCE = 16, 0.01  # of a simulated II from the estimate

Advance = Callable[[int], None]


def close(simulated: int, estimated: int) -> bool:
    """Whether a simulated II is the estimated one."""
    return abs(simulated - estimated) <= max(TOLERANCE_CYCLES, TOLERANCE * estimated)


def mapped_depth(width: int, words: int) -> int:
    """The deepest FIFO that costs no more than one of `words` words of `width` bits.

    >>> mapped_depth(8, 2), mapped_depth(8, 3), mapped_depth(8, 40), mapped_depth(18, 700)
    (2, 32, 64, 1024)
    """
    if words <= LEAST_DEPTH:
        return LEAST_DEPTH
    if words <= SHALLOW:
        return SHALLOW
    cost = memory(width, words, "auto", dual_port=True)
    deepest = 64 * -(-words // 64)
    while memory(width, 2 * deepest, "auto", dual_port=True) == cost:
        deepest *= 2
    while memory(width, deepest + 64, "auto", dual_port=True) == cost:
        deepest += 64
    return deepest


def measure_peaks(
    accelerator: Accelerator, pixels: NDArray, interval: int, advance: Advance
) -> dict[str, int]:
    """Most words that each FIFO holds with a frame every `interval` cycles, once that no longer changes."""
    frames = _repeated(pixels, MOST_FRAMES)
    accelerator.start(frames, interval)
    before: dict[str, int] = {}
    for frame in range(1, MOST_FRAMES + 1):
        accelerator.advance(frame, 100 * interval, IDLE_FRAMES * interval)
        peaks = {name: tap.peak for name, tap in accelerator.taps().items()}
        advance(1)
        if peaks == before and frame > 2:
            return peaks
        before = peaks
    return before


def depths_for(accelerator: Accelerator, peaks: Mapping[str, int]) -> dict[str, int]:
    """A word more than a FIFO holds at most, so that it is never full; rounded to what costs no more."""
    taps = accelerator.taps()
    return {name: mapped_depth(taps[name].bits, peak + 1) for name, peak in peaks.items()}


def steady_interval(accelerator: Accelerator, pixels: NDArray, estimated: int, advance: Advance) -> list[int]:
    """IIs at full rate, frame after frame, until one is the estimated one; at most MOST_FRAMES."""
    frames = _repeated(pixels, MOST_FRAMES)
    accelerator.start(frames)
    ends: list[int] = []
    while len(ends) < MOST_FRAMES:
        ends.append(accelerator.advance(len(ends) + 1, 100 * estimated, IDLE_FRAMES * estimated))
        advance(1)
        intervals = [int(i) for i in np.diff(ends)]
        if is_steady(intervals, estimated):
            break
    return intervals


def is_steady(intervals: Sequence[int], estimated: int) -> bool:
    """Whether the last two IIs are the estimated one."""
    return len(intervals) > 1 and all(close(i, estimated) for i in intervals[-2:])


def check_interval(intervals: Sequence[int], estimated: int) -> int:
    """The last of simulated IIs. Raises VerificationError unless it is the estimated one."""
    if not close(intervals[-1], estimated):
        raise VerificationError(
            f"II {intervals[-1]} cycles in simulation, {estimated} by the estimate; "
            f"frame after frame: {list(intervals)}"
        )
    return intervals[-1]


def bypass_fifos(model: ModelWrapper) -> dict[str, str]:
    """By-passes: from a fork straight to an addition. {its FIFO: the FIFO at the addition's other input}.

    Where a width converter splits a by-pass in two, the FIFO before the addition counts.
    """
    graph, found = Graph(model), {}
    for node in graph.nodes:
        if base_op(node.op_type) != "ElementwiseAdd":
            continue
        for tensor, other in zip(node.input, reversed(node.input), strict=True):
            origin = graph.producer[tensor]
            while base_op(origin.op_type) in INSERTED_OPS:
                origin = graph.producer[origin.input[0]]
            if base_op(origin.op_type) == "DuplicateStreams":
                found[graph.producer[tensor].name] = graph.producer[other].name
    return found


def least_depths(
    accelerator: Accelerator,
    bypasses: Mapping[str, str],
    safe: Mapping[str, int],
    pixels: NDArray,
    interval: int,
) -> dict[str, int]:
    """Least depth of each by-pass FIFO that lets a frame through, all others as in `safe`, which must.

    With a source so slow that everything has settled before the next word, a by-pass holds no more than its
    branch needs before it gives a word: the least depth but for a few registers on the way. From there, one
    bisection for all at a time: a frame that gets through bounds all of them from above, one that gets stuck
    bounds the by-pass it is stuck at from below.
    """
    accelerator.limit(safe)
    accelerator.run(pixels[:1], 1000 * interval, IDLE_CYCLES + SLOW * interval, SLOW * interval)
    held = {name: tap.peak for name, tap in accelerator.taps().items()}
    low = {name: max(1, held[name] - REGISTERS) for name in bypasses}
    high = {name: min(safe[name], held[name] + 1) for name in bypasses}
    low = {name: min(low[name], high[name] - 1) for name in bypasses}
    while any(high[name] - low[name] > 1 for name in bypasses):
        tried = {name: math.ceil((low[name] + high[name]) / 2) for name in bypasses}
        stuck = first_deadlock(accelerator, bypasses, {**safe, **tried}, pixels)
        if stuck is None:
            high = tried
        else:
            low[stuck] = tried[stuck]
    return high


def first_deadlock(
    accelerator: Accelerator,
    bypasses: Mapping[str, str],
    depths: Mapping[str, int],
    pixels: NDArray,
) -> str | None:
    """The by-pass FIFO that a frame gets stuck at; None if it gets through."""
    accelerator.limit(depths)
    try:
        accelerator.run(pixels[:1], 2**40, IDLE_CYCLES)
    except StalledError:
        taps = accelerator.taps()
        # Its addition waits for the other branch, and that, through the fork, for room in the by-pass.
        for name, other in bypasses.items():
            if taps[name].occupancy >= taps[name].depth and not taps[other].occupancy:
                return name
        raise
    return None


def _repeated(pixels: NDArray, frames: int) -> NDArray:
    return pixels[np.arange(frames) % len(pixels)]
