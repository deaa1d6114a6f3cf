"""finn_flow/rtl/fifo.sv, and the model that stands in for it in depth studies: the same, cycle for cycle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.rtl_bench import MONITOR, STALLS, Bench, Case, elaboration_error
from verification.verilator.simulation import StalledError

DEPTHS, WIDTHS = (2, 3, 8, 33), (1, 8, 70)
CASES = {
    f"d{depth}_w{width}": Case(f"d{depth}_w{width}", {"DEPTH": depth, "WIDTH": width})
    for depth, width in itertools.product(DEPTHS, WIDTHS)
}


def ports(parameters: dict[str, int]) -> dict[str, int]:
    return {"s_axis": parameters["WIDTH"], "m_axis": parameters["WIDTH"]}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench("fifo", list(CASES.values()), ports, tmp_path_factory.mktemp("fifo"))
    yield bench
    bench.simulation.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    source = MONITOR.with_name("fifo_model.sv")
    bench = Bench(
        "fifo", list(CASES.values()), ports, tmp_path_factory.mktemp("model"), replaced={"fifo": source}
    )
    yield bench
    bench.simulation.close()


def words(case: str, count: int, seed: int) -> np.ndarray:
    width = CASES[case].parameters["WIDTH"]
    beats = np.random.default_rng(seed).integers(0, 256, (count, (width + 7) // 8), np.uint8)
    beats[:, -1] &= 255 >> -width % 8
    return beats


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("case", CASES)
def test_words_come_out_as_they_went_in(bench: Bench, model: Bench, case: str, stall: str) -> None:
    sent = words(case, 500, 5)
    data, cycles = bench.run(case, {"s_axis": sent}, {"m_axis": 500}, STALLS[stall], 11)
    assert (data["m_axis"] == sent).all()
    twin, twin_cycles = model.run(case, {"s_axis": sent}, {"m_axis": 500}, STALLS[stall], 11)
    assert (twin["m_axis"] == sent).all()
    relative = [c["m_axis"] - c["m_axis"][0] for c in (cycles, twin_cycles)]
    assert (relative[0] == relative[1]).all()


@pytest.mark.parametrize("case", CASES)
def test_a_word_a_cycle(bench: Bench, case: str) -> None:
    _, cycles = bench.run(case, {"s_axis": words(case, 300, 1)}, {"m_axis": 300})
    assert np.diff(cycles["m_axis"]).tolist() == [1] * 299


@pytest.mark.parametrize("case", CASES)
def test_it_holds_its_depth_and_no_more(bench: Bench, model: Bench, case: str) -> None:
    depth = int(CASES[case].parameters["DEPTH"])
    for each in (bench, model):
        sim = each.simulation
        each.fill(case, {"s_axis": words(case, 2 * depth, 3)}, 3 * depth + 9)
        assert sim.beats(f"{case}_s_axis") == depth
        assert sim.beats(f"{case}_m_axis") == 0
        tap = next(tap for tap in sim.taps() if tap.name.endswith(case))
        assert (tap.occupancy, tap.peak, tap.depth) == (depth, depth, depth)


@pytest.mark.parametrize("limit", [1, 2, 20])
def test_the_model_holds_what_it_is_told(model: Bench, limit: int) -> None:
    sim = model.simulation
    sim.limit("TOP.bench.d33_w8", limit)
    model.fill("d33_w8", {"s_axis": words("d33_w8", 40, 3)}, 60)
    assert sim.beats("d33_w8_s_axis") == limit
    sim.limit("TOP.bench.d33_w8", 0)
    sim.reset()


@pytest.mark.parametrize("case", CASES)
def test_correct_after_a_reset_with_words_inside(bench: Bench, case: str) -> None:
    bench.fill(case, {"s_axis": words(case, 50, 3)}, 20)
    sent = words(case, 100, 4)
    data, _ = bench.run(case, {"s_axis": sent}, {"m_axis": 100}, STALLS["both"])
    assert (data["m_axis"] == sent).all()


def test_swapped_words_show(bench: Bench) -> None:
    sent = words("d8_w70", 50, 9)
    data, _ = bench.run("d8_w70", {"s_axis": sent[[1, 0, *range(2, 50)]]}, {"m_axis": 50})
    assert (data["m_axis"][2:] == sent[2:]).all()
    assert not (data["m_axis"][:2] == sent[:2]).all()


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    with pytest.raises(StalledError, match="d8_w70_m_axis 49 of 50 beats"):
        bench.run("d8_w70", {"s_axis": words("d8_w70", 49, 9)}, {"m_axis": 50})


def test_a_failure_shows_its_seed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run("d3_w8", {"s_axis": words("d3_w8", 9, 9)}, {"m_axis": 9}, STALLS["idle"], 17)
    assert capsys.readouterr().out == f"d3_w8: seed 17, {STALLS['idle']}\n"


def test_taps_capture_what_goes_in(bench: Bench) -> None:
    sim = bench.simulation
    sent = words("d8_w70", 50, 9)
    sim.capture()
    bench.run("d8_w70", {"s_axis": sent}, {"m_axis": 50}, STALLS["both"])
    tap = next(tap for tap in sim.taps() if tap.name == "TOP.bench.d8_w70")
    assert (sim.captured(tap) == sent).all()
    sim.capture(False)


def test_a_waveform_is_written(tmp_path: Path) -> None:
    case = CASES["d8_w70"]
    traced = Bench("fifo", [case], ports, tmp_path, trace=tmp_path / "wave.fst")
    traced.run(case.name, {"s_axis": words(case.name, 50, 9)}, {"m_axis": 50})
    traced.simulation.close()
    assert (tmp_path / "wave.fst").stat().st_size > 2000


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"WIDTH": 0}, "fifo: WIDTH = 0 must be at least 1"),
        ({"DEPTH": 1}, "fifo: DEPTH = 1 must be at least 2 for a word a cycle"),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    assert message in elaboration_error("fifo", parameters, ports({"WIDTH": 8, "DEPTH": 2}), tmp_path)
