"""finn_flow.netlist: the streams of the DMA. What they carry, the tests of accelerators simulate."""

from __future__ import annotations

import pytest

from finn_flow.netlist import DmaStream, input_stream, output_stream
from tests.hw_graphs import HardwareGraph


def test_the_input_is_as_wide_as_the_interval_needs() -> None:
    model = HardwareGraph(16, 3).pad().model()
    widths = {interval: input_stream(model, interval) for interval in (192, 191, 96, 12, 1)}
    assert widths == {
        192: DmaStream(32, 192),
        191: DmaStream(64, 96),
        96: DmaStream(64, 96),
        12: DmaStream(512, 12),
        1: DmaStream(2048, 3),  # the widest of a power of two that divides the frame
    }


def test_the_output_is_an_int32_a_beat() -> None:
    assert output_stream(HardwareGraph(2, 3).window(2).mvau(5, 4).model()) == DmaStream(32, 5)


def test_a_frame_that_ends_in_mid_beat_is_refused() -> None:
    message = "a frame of 867 bytes is not whole beats of 4; pad it to them"
    with pytest.raises(ValueError, match=f"^{message}$"):
        input_stream(HardwareGraph(17, 3).pad().model(), 1000)
