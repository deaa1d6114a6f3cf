"""finn_flow/rtl/stream_in.sv and stream_out.sv, joined as in the accelerator with nothing in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.rtl_bench import MONITOR, RTL, STALLS, elaboration_error
from verification.packing import pack, unpack
from verification.verilator.build import Design, build
from verification.verilator.simulation import Simulation, StalledError

FRAME = 12  # words of 24 bits: 9 beats in, 12 beats out
TOP = """module ends (
  input logic ap_clk, input logic ap_rst_n,
  input logic [31:0] s_axis_tdata, input logic [3:0] s_axis_tkeep, input logic s_axis_tlast,
  input logic s_axis_tvalid, output logic s_axis_tready,
  output logic [31:0] m_axis_tdata, output logic [3:0] m_axis_tkeep, output logic m_axis_tlast,
  output logic m_axis_tvalid, input logic m_axis_tready);
  logic [23:0] word_tdata;
  logic word_tvalid, word_tready, end_tdata, end_tvalid, end_tready, last_tdata, last_tvalid, last_tready;
  stream_in #(.IN_BITS(32), .OUT_BITS(24), .BEATS(9)) first (.m_axis_tdata(word_tdata),
    .m_axis_tvalid(word_tvalid), .m_axis_tready(word_tready), .m_last_tdata(end_tdata),
    .m_last_tvalid(end_tvalid), .m_last_tready(end_tready), .*);
  fifo #(.WIDTH(1), .DEPTH(2)) frame_ends (.s_axis_tdata(end_tdata), .s_axis_tvalid(end_tvalid),
    .s_axis_tready(end_tready), .m_axis_tdata(last_tdata), .m_axis_tvalid(last_tvalid),
    .m_axis_tready(last_tready), .*);
  stream_out #(.PE(1), .ACC_BITS(24), .ACC_SIGNED(1), .OUT_BITS(32), .BEATS(12)) last (
    .s_axis_tdata(word_tdata), .s_axis_tvalid(word_tvalid), .s_axis_tready(word_tready),
    .s_last_tdata(last_tdata), .s_last_tvalid(last_tvalid), .s_last_tready(last_tready), .*);
endmodule
"""


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    folder = tmp_path_factory.mktemp("ends")
    top = folder / "ends.sv"
    top.write_text(TOP)
    modules = [RTL / f"{name}.sv" for name in ("fifo", "width_converter", "stream_in", "stream_out")]
    with Simulation(build(Design("ends", (*modules, MONITOR, top))), folder) as simulation:
        yield simulation


def run(sim: Simulation, frames: int, batch: int, stall: str, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Words that went in and came out."""
    words = np.random.default_rng(seed).integers(-(2**23), 2**23, (frames * FRAME, 1))
    setting = STALLS[stall]
    sim.reset()
    sim.push("s_axis", pack(words, 24).reshape(-1, 4))
    sim.packet("s_axis", 9 * batch)
    sim.stall("s_axis", seed, *setting.source)
    sim.stall("m_axis", seed + 1, *setting.sink)
    sim.wait_for_valid("m_axis", setting.wait_for_valid)
    sim.run({"m_axis": frames * FRAME}, 1_000_000)
    sim.idle(100)
    assert sim.beats("m_axis") == frames * FRAME  # nothing left over
    return words, unpack(sim.read("m_axis")[0], 32, 1, signed=True)


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("batch", [1, 3, 12])
def test_words_arrive_and_a_batch_ends_with_tlast(simulation: Simulation, batch: int, stall: str) -> None:
    sent, got = run(simulation, 12, batch, stall)
    assert (got == sent).all()
    assert simulation.lasts("m_axis") == [(n + 1) * batch * FRAME - 1 for n in range(12 // batch)]


def test_a_word_a_cycle(simulation: Simulation) -> None:
    run(simulation, 12, 12, "full_rate")
    assert np.diff(simulation.cycles("m_axis").astype(int)).tolist() == [1] * (12 * FRAME - 1)


def test_without_tlast_no_batch_ends(simulation: Simulation) -> None:
    run(simulation, 4, 5, "both")
    assert simulation.lasts("m_axis") == []


def test_a_reset_in_mid_frame_leaves_nothing(simulation: Simulation) -> None:
    simulation.reset()
    simulation.push("s_axis", np.full((5, 4), 255, np.uint8))
    simulation.idle(20)
    sent, got = run(simulation, 3, 3, "full_rate", seed=9)
    assert (got == sent).all()
    assert simulation.lasts("m_axis") == [3 * FRAME - 1]


def test_swapped_words_show(simulation: Simulation) -> None:
    words = np.arange(4 * FRAME).reshape(-1, 1)
    sent = words.copy()
    sent[[0, 1]] = words[[1, 0]]
    simulation.reset()
    simulation.push("s_axis", pack(sent, 24).reshape(-1, 4))
    simulation.run({"m_axis": len(words)}, 1000)
    got = unpack(simulation.read("m_axis")[0], 32, 1, signed=True)
    assert np.flatnonzero((got != words).any(axis=1)).tolist() == [0, 1]


def test_a_dropped_beat_stalls(simulation: Simulation) -> None:
    simulation.reset()
    simulation.push("s_axis", np.zeros((9 - 1, 4), np.uint8))
    with pytest.raises(StalledError, match=f"m_axis 10 of {FRAME} beats"):
        simulation.run({"m_axis": FRAME}, 10_000, 200)


@pytest.mark.parametrize(
    ("module", "parameters", "message"),
    [
        ("stream_in", {"IN_BITS": 12}, "stream_in: IN_BITS = 12 must be a multiple of 8"),
        ("stream_in", {"BEATS": 0}, "stream_in: BEATS = 0 must be at least 1"),
        ("stream_in", {"BEATS": 10}, "stream_in: BEATS = 10 of 32 bits are not whole words of 24"),
        ("stream_out", {"ACC_BITS": 33}, "stream_out: ACC_BITS = 33 must be at most 32"),
        ("stream_out", {"OUT_BITS": 48}, "stream_out: OUT_BITS = 48 must be a multiple of 32"),
        ("stream_out", {"PE": 3}, "stream_out: BEATS = 128 of 32 bits are not whole words of 96"),
    ],
)
def test_wrong_parameters_stop_elaboration(
    module: str, parameters: dict[str, int], message: str, tmp_path: Path
) -> None:
    widths = {"s_axis": 32, "m_axis": 32}
    assert message in elaboration_error(module, parameters, widths, tmp_path, ("width_converter",))
