"""finn_flow/rtl/window_parallel.sv against numpy's padded sliding windows, and its cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from tests.window_gold import Shape
from verification.packing import pack
from verification.verilator.simulation import StalledError

# H, W, CHANNELS, SIMD, KERNEL, STRIDE, PAD, BITS
CORNERS = {
    "plain": Shape(5, 6, 4, 2, 3, 1, 1, 4),
    "one_word_pixels": Shape(6, 4, 2, 2, 3, 1, 1, 3),
    "two_word_pixels": Shape(4, 7, 2, 1, 3, 1, 1, 1),
    "no_pad": Shape(6, 5, 4, 1, 3, 1, 0, 8),
    "stride": Shape(8, 8, 4, 1, 3, 2, 1, 4),
    "stride_unread_row_and_column": Shape(6, 8, 3, 1, 3, 2, 0, 5),
    "stride_pad_read": Shape(7, 5, 2, 1, 3, 2, 1, 1),
    "stride_past_kernel": Shape(7, 8, 2, 1, 2, 3, 0, 4),
    "even_kernel": Shape(5, 7, 3, 3, 4, 1, 1, 2),
    "five": Shape(7, 6, 4, 2, 5, 1, 2, 2),
    "five_stride": Shape(6, 3, 8, 2, 5, 2, 2, 2),
    "five_pad_1": Shape(9, 8, 2, 1, 5, 1, 1, 4),
    "seven": Shape(9, 8, 1, 1, 7, 1, 3, 4),
    "whole_picture": Shape(7, 7, 8, 2, 7, 1, 0, 4),
    "less_than_the_kernel": Shape(1, 2, 3, 1, 5, 1, 2, 4),
    "one_pixel": Shape(1, 1, 2, 2, 3, 1, 1, 6),
}
TYPICAL = {
    "first_layer": Shape(112, 112, 3, 3, 3, 2, 1, 8),
    "depthwise": Shape(56, 56, 4, 1, 3, 1, 1, 4),
    "depthwise_stride": Shape(56, 56, 4, 1, 3, 2, 1, 4),
    "last_depthwise": Shape(7, 7, 64, 1, 7, 1, 0, 4),
}
SHAPES = {**CORNERS, **TYPICAL}


def ports(parameters: Mapping[str, Any]) -> dict[str, int]:
    bits = parameters["SIMD"] * parameters["BITS"]
    return {"s_axis": bits, "m_axis": bits * parameters["KERNEL"] ** 2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    every = [Case(name, shape.parameters()) for name, shape in SHAPES.items()]
    bench = Bench("window_parallel", every, ports, tmp_path_factory.mktemp("window_parallel"))
    yield bench
    bench.simulation.close()


def expected(case: str, frames: NDArray[np.int64]) -> NDArray[np.uint8]:
    shape = SHAPES[case]
    windows = np.moveaxis(shape.windows(frames), 5, 3)
    return pack(windows.reshape(-1, shape.KERNEL**2 * shape.SIMD), shape.BITS)


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("case", CORNERS)
def test_it_gives_each_window(bench: Bench, case: str, stall: str) -> None:
    shape = SHAPES[case]
    frames = shape.frames(4, seed=5)
    want = expected(case, frames)
    for seed in (11, 12, 13):
        data, _ = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)}, STALLS[stall], seed)
        assert (data["m_axis"] == want).all(), f"seed {seed}"


@pytest.mark.parametrize("case", SHAPES)
def test_a_frame_takes_as_long_as_it_comes_in(bench: Bench, case: str) -> None:
    """A word is taken each cycle, and the frames come out at that rate, the last one without more input."""
    shape = SHAPES[case]
    frames = shape.frames(4, seed=2)
    want = expected(case, frames)
    data, cycles = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)})
    assert (data["m_axis"] == want).all()
    assert (np.diff(bench.simulation.cycles(f"{case}_s_axis")) == 1).all()
    ends = cycles["m_axis"].reshape(4, -1)[:, -1]
    assert np.diff(ends[:-1]).tolist() == [shape.H * shape.W * shape.groups] * 2


def test_latency(bench: Bench) -> None:
    """3 cycles after the lower right word; at the right edge, after the first words of the next row."""
    shape = CORNERS["plain"]
    frames = shape.frames(2, seed=2)
    _, cycles = bench.run(
        "plain", {"s_axis": shape.beats(frames)}, {"m_axis": len(expected("plain", frames))}
    )
    taken = bench.simulation.cycles("plain_s_axis").reshape(2, shape.H, shape.W, shape.groups)
    given = cycles["m_axis"].reshape(2, shape.H, shape.W, shape.groups)
    assert (given[:, :-1, :-1] == taken[:, 1:, 1:] + 3).all()
    assert (given[:, :-2, -1] == taken[:, 2:, 0] + 3).all()


def test_a_row_that_nothing_follows_comes_out(bench: Bench) -> None:
    """All windows whose pixels are there are given, and no other."""
    shape = CORNERS["plain"]
    words = shape.beats(shape.frames(2, seed=4))
    row, frame = shape.W * shape.groups, shape.H * shape.W * shape.groups
    sim = bench.simulation
    for sent, given in ((row, 0), (row + 2, 0), (row + 5, 3), (2 * row, row), (frame, frame)):
        sim.reset()
        sim.push("plain_s_axis", words[:sent])
        sim.stall("plain_s_axis", 0, 0.0)
        sim.stall("plain_m_axis", 0, 0.0)
        sim.idle(frame + 50)
        assert sim.beats("plain_m_axis") == given


@pytest.mark.parametrize("case", ["plain", "stride", "whole_picture"])
def test_the_rows_fill_while_the_sink_waits(bench: Bench, case: str) -> None:
    """KERNEL rows, pad among them, and as far into the next one as the reader is: two words past its stop."""
    shape = SHAPES[case]
    sim = bench.simulation
    bench.fill(case, {"s_axis": shape.beats(shape.frames(3, seed=4))}, 600)
    rows = shape.KERNEL - shape.PAD
    words = (rows * shape.W + rows - 1) * shape.groups + 2
    assert sim.beats(f"{case}_s_axis") == words


@pytest.mark.parametrize("case", ["plain", "stride", "whole_picture"])
def test_reset_in_mid_frame(bench: Bench, case: str) -> None:
    shape = SHAPES[case]
    sim = bench.simulation
    frames = shape.frames(2, seed=8)
    want = expected(case, frames)
    for cut in (1, 13, 37):
        sim.reset()
        sim.push(f"{case}_s_axis", shape.beats(shape.frames(1, seed=9))[:cut])
        sim.idle(2 * cut)
        data, _ = bench.run(case, {"s_axis": shape.beats(frames)}, {"m_axis": len(want)}, STALLS["both"])
        assert (data["m_axis"] == want).all()


def test_the_bench_can_fail(bench: Bench) -> None:
    shape = CORNERS["plain"]
    frames = shape.frames(2, seed=8)
    want = expected("plain", frames)
    beats = shape.beats(frames)
    flipped = beats.copy()
    flipped[17, 0] ^= 1
    swapped = shape.beats(frames[..., [0, 1, 3, 2]])
    for wrong in (flipped, swapped):
        data, _ = bench.run("plain", {"s_axis": wrong}, {"m_axis": len(want)})
        assert (data["m_axis"] != want).any()
    # The last word is in windows (3, 4), (3, 5), (4, 4) and (4, 5): what comes before them is given.
    with pytest.raises(StalledError, match="plain_m_axis 105 of 120 beats"):
        bench.run("plain", {"s_axis": np.delete(beats, 17, axis=0)}, {"m_axis": len(want)})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"CHANNELS": 4, "SIMD": 3}, "SIMD = 3 must divide CHANNELS = 4"),
        ({"BITS": 0}, "BITS = 0 must be at least 1"),
        ({"STRIDE": 0}, "STRIDE = 0 must be at least 1"),
        ({"KERNEL": 1, "PAD": 0}, "KERNEL = 1 must be at least 2"),
        ({"PAD": 2}, "PAD = 2 must be less than half of KERNEL = 3"),
        (
            {"H": 2, "PAD": 0},
            "H x W = 2 x 8 with PAD = 0 must hold KERNEL = 3, and W be at least PAD",
        ),
        (
            {"W": 1, "KERNEL": 5, "PAD": 2},
            "H x W = 8 x 1 with PAD = 2 must hold KERNEL = 5, and W be at least PAD",
        ),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    bits = 4 * parameters.get("KERNEL", 3) ** 2
    error = elaboration_error("window_parallel", parameters, {"s_axis": 4, "m_axis": bits}, tmp_path)
    assert f"window_parallel: {message}" in error
