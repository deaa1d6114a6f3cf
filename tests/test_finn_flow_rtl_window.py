"""finn_flow/rtl/window.sv against numpy's padded sliding windows, and its cycles against its header."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from tests.window_gold import Shape, window_words
from verification.packing import pack
from verification.verilator.simulation import StalledError

# H, W, CHANNELS, SIMD, KERNEL, STRIDE, PAD, BITS; both orders of each
CORNERS = {
    "plain": Shape(5, 6, 4, 2, 3, 1, 1, 4),
    "one_word_pixels": Shape(6, 4, 2, 2, 3, 1, 1, 3),
    "no_pad": Shape(6, 5, 4, 1, 3, 1, 0, 8),
    "stride": Shape(8, 8, 4, 1, 3, 2, 1, 4),
    "stride_unread_row_and_column": Shape(6, 8, 3, 1, 3, 2, 0, 5),
    "stride_pad_read": Shape(7, 5, 2, 1, 3, 2, 1, 1),
    "stride_past_kernel": Shape(7, 8, 2, 1, 2, 3, 0, 4),
    "even_kernel": Shape(5, 7, 3, 3, 2, 1, 1, 2),
    "writes_as_slow_as_reads": Shape(6, 6, 2, 1, 2, 2, 0, 4),
    "five": Shape(7, 6, 4, 2, 5, 1, 2, 2),
    "five_stride_pad_1": Shape(9, 8, 2, 1, 5, 2, 1, 4),
    "seven": Shape(9, 8, 1, 1, 7, 1, 3, 4),
    "whole_picture": Shape(7, 7, 8, 2, 7, 1, 0, 4),
    "whole_picture_wide": Shape(3, 5, 3, 1, 3, 1, 0, 4),
    "more_pad_than_half": Shape(4, 5, 2, 1, 3, 1, 2, 4),
    "less_than_the_kernel": Shape(2, 1, 3, 1, 5, 1, 2, 4),
    "one_pixel": Shape(1, 1, 2, 2, 3, 1, 1, 6),
}
TYPICAL = {
    "first_layer": (Shape(112, 112, 3, 3, 3, 2, 1, 8), False),
    "depthwise": (Shape(56, 56, 2, 1, 3, 1, 1, 4), True),
    "depthwise_stride": (Shape(56, 56, 2, 1, 3, 2, 1, 4), True),
    "last_depthwise": (Shape(7, 7, 64, 1, 7, 1, 0, 4), True),
}


def cases() -> Iterator[tuple[str, Shape, dict[str, bool]]]:
    for name, shape in CORNERS.items():
        for depthwise in (False, True):
            yield f"{name}_dw" * depthwise or name, shape, {"DEPTHWISE": depthwise, "GAPLESS": True}
    for name, (shape, depthwise) in TYPICAL.items():
        yield name, shape, {"DEPTHWISE": depthwise, "GAPLESS": True}
    for name in ("whole_picture", "no_pad", "stride_unread_row_and_column"):
        yield f"{name}_small", CORNERS[name], {"DEPTHWISE": True, "GAPLESS": False}
    yield "last_depthwise_small", TYPICAL["last_depthwise"][0], {"DEPTHWISE": True, "GAPLESS": False}


SHAPES = {name: (shape, flags) for name, shape, flags in cases()}
SMALL = [name for name in SHAPES if name.removesuffix("_small") not in TYPICAL]


def ports(parameters: Mapping[str, Any]) -> dict[str, int]:
    bits = parameters["SIMD"] * parameters["BITS"]
    return {"s_axis": bits, "m_axis": bits}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    every = [
        Case(name, shape.parameters(**{flag: int(on) for flag, on in flags.items()}))
        for name, (shape, flags) in SHAPES.items()
    ]
    bench = Bench("window", every, ports, tmp_path_factory.mktemp("window"))
    yield bench
    bench.simulation.close()


def expected(case: str, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    shape, flags = SHAPES[case]
    windows = shape.windows(frames)
    if flags["DEPTHWISE"]:
        windows = np.moveaxis(windows, 5, 3)
    return pack(windows.reshape(-1, shape.SIMD), shape.BITS)


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("case", SMALL)
def test_it_gives_the_words_of_each_window(bench: Bench, case: str, stall: str) -> None:
    shape = SHAPES[case][0]
    frames = shape.frames(3, seed=5)
    want = expected(case, frames)
    data, _ = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)}, STALLS[stall], 11)
    assert (data["m_axis"] == want).all()


@pytest.mark.parametrize("case", SHAPES)
def test_a_frame_takes_the_cycles_of_the_header(bench: Bench, case: str) -> None:
    shape, flags = SHAPES[case]
    count = 3 if case in TYPICAL else 6
    frames = shape.frames(count, seed=2)
    want = expected(case, frames)
    data, cycles = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)})
    assert (data["m_axis"] == want).all()
    by_frame = cycles["m_axis"].reshape(count, -1)
    _, interval = window_words(shape, flags["GAPLESS"], flags["DEPTHWISE"])
    assert np.diff(by_frame[:, -1])[-1] == interval
    if interval == by_frame.shape[1]:  # it is all reading: no gap within a frame either
        assert (np.diff(cycles["m_axis"])[by_frame.shape[1] :] == 1).all()


def test_what_buffers_cost() -> None:
    """Words and cycles a frame that folding counts on."""
    first, depthwise, stride, last = (shape for shape, _ in TYPICAL.values())
    assert window_words(first, True, False) == (334, 28_224)
    assert window_words(depthwise, True, True) == (230, 56_448)
    assert window_words(stride, True, True) == (338, 14_112)
    assert window_words(last, True, True) == (6_162, 3_136)
    assert window_words(last, False, True) == (3_136, 6_162)


def test_a_frame_waits_for_its_first_word(bench: Bench) -> None:
    """Pad before it is not given, nor what depends on a missing word."""
    shape = CORNERS["plain"]
    words = shape.beats(shape.frames(1, seed=4))
    sim = bench.simulation
    for sent, given in ((0, 0), (1, 9), (2, 10)):
        sim.reset()
        sim.push("plain_s_axis", words[:sent])
        sim.stall("plain_s_axis", 0, 0.0)
        sim.stall("plain_m_axis", 0, 0.0)
        sim.idle(100)
        assert sim.beats("plain_m_axis") == given


@pytest.mark.parametrize(
    ("case", "words"), [("plain", 16), ("whole_picture_dw", 342), ("whole_picture_small", 196)]
)
def test_the_buffer_fills_while_the_sink_waits(bench: Bench, case: str, words: int) -> None:
    """It holds what the formula says, less the pad before the first word."""
    shape, flags = SHAPES[case]
    sim = bench.simulation
    bench.fill(case, {"s_axis": shape.beats(shape.frames(3, seed=4))}, 600)
    size, _ = window_words(shape, flags["GAPLESS"], flags["DEPTHWISE"])
    assert sim.beats(f"{case}_s_axis") == words == size - shape.PAD * (shape.W + 1) * shape.groups


@pytest.mark.parametrize("case", ["plain", "stride_dw", "whole_picture_dw"])
def test_reset_in_mid_frame(bench: Bench, case: str) -> None:
    shape = SHAPES[case][0]
    sim = bench.simulation
    frames = shape.frames(2, seed=8)
    for cut in (1, 13, 37):
        sim.reset()
        sim.push(f"{case}_s_axis", shape.beats(shape.frames(1, seed=9))[:cut])
        sim.idle(2 * cut)
        want = expected(case, frames)
        data, _ = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)}, STALLS["both"])
        assert (data["m_axis"] == want).all()


@pytest.mark.parametrize("case", ["plain", "plain_dw"])
def test_the_bench_can_fail(bench: Bench, case: str) -> None:
    shape = SHAPES[case][0]
    frames = shape.frames(2, seed=8)
    want = expected(case, frames)
    beats = shape.beats(frames)
    flipped = beats.copy()
    flipped[17, 0] ^= 1
    swapped = shape.beats(frames[..., [0, 1, 3, 2]])
    for wrong in (flipped, swapped):
        data, _ = bench.run(case, {"s_axis": wrong}, {"m_axis": len(want)})
        assert (data["m_axis"] != want).any()
    with pytest.raises(
        StalledError, match=f"{case}_m_axis 953 of 1080 beats"
    ):  # up to where the last word is read
        bench.run(case, {"s_axis": np.delete(beats, 17, axis=0)}, {"m_axis": len(want)})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"CHANNELS": 4, "SIMD": 3}, "window: SIMD = 3 must divide CHANNELS = 4"),
        ({"CHANNELS": 0}, "window: SIMD = 1 must divide CHANNELS = 0"),
        ({"BITS": 0}, "window: BITS = 0 must be at least 1"),
        ({"STRIDE": 0}, "window: STRIDE = 0 must be at least 1"),
        ({"KERNEL": 1, "PAD": 0}, "window: KERNEL = 1 must be at least 2"),
        ({"PAD": 3}, "window: PAD = 3 must be less than KERNEL = 3"),
        ({"H": 2, "PAD": 0}, "window: H x W = 2 x 8 with PAD = 0 must hold KERNEL = 3"),
        ({"W": 2, "PAD": 0}, "window: H x W = 8 x 2 with PAD = 0 must hold KERNEL = 3"),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    assert message in elaboration_error("window", parameters, {"s_axis": 4, "m_axis": 4}, tmp_path)
