"""finn_flow/rtl/duplicate_streams.sv: two whole copies, each at its own pace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from verification.verilator.simulation import StalledError

WORDS, WIDTHS = 400, (1, 8, 70, 256)
OUTPUTS = {"m_axis_0": WORDS, "m_axis_1": WORDS}


def ports(parameters: dict[str, Any]) -> dict[str, int]:
    return dict.fromkeys(("s_axis", *OUTPUTS), parameters["WIDTH"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    cases = [Case(f"w{width}", {"WIDTH": width}) for width in WIDTHS]
    bench = Bench("duplicate_streams", cases, ports, tmp_path_factory.mktemp("duplicate_streams"))
    yield bench
    bench.simulation.close()


def words(width: int, seed: int) -> NDArray[np.uint8]:
    beats = np.random.default_rng(seed).integers(0, 256, (WORDS, (width + 7) // 8), np.uint8)
    beats[:, -1] &= 255 >> -width % 8
    return beats


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("width", WIDTHS)
def test_both_outputs_have_every_word_once(bench: Bench, width: int, stall: str) -> None:
    sent = words(width, 3)
    data, _ = bench.run(f"w{width}", {"s_axis": sent}, OUTPUTS, STALLS[stall], 5)
    assert all((data[port] == sent).all() for port in OUTPUTS)


@pytest.mark.parametrize("slow", OUTPUTS)
def test_one_output_stalls(bench: Bench, slow: str) -> None:
    """The other runs one word ahead at most, and both get every word."""
    sim, sent = bench.simulation, words(70, 8)
    fast = next(port for port in OUTPUTS if port != slow)
    sim.reset()
    sim.push("w70_s_axis", sent)
    sim.stall("w70_s_axis", 0, 0.0)
    sim.stall(f"w70_{fast}", 0, 0.0)
    sim.stall(f"w70_{slow}", 3, 0.5, 3)
    sim.run({f"w70_{port}": n for port, n in OUTPUTS.items()}, 10_000)
    assert all((sim.read(f"w70_{port}")[0] == sent).all() for port in OUTPUTS)
    ahead = sim.cycles(f"w70_{slow}")[:-1] < sim.cycles(f"w70_{fast}")[1:]
    assert ahead.all()


def test_a_blocked_output_lets_one_word_through_to_the_other(bench: Bench) -> None:
    sim = bench.simulation
    sim.reset()
    sim.push("w8_s_axis", words(8, 2))
    sim.stall("w8_s_axis", 0, 0.0)
    sim.stall("w8_m_axis_0", 0, 0.0)
    sim.stall("w8_m_axis_1", 0, 1.0)
    sim.idle(50)
    assert [sim.beats(f"w8_{port}") for port in ("s_axis", *OUTPUTS)] == [0, 1, 0]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_word_a_cycle_without_latency(bench: Bench, width: int) -> None:
    _, cycles = bench.run(f"w{width}", {"s_axis": words(width, 4)}, OUTPUTS)
    taken = bench.simulation.cycles(f"w{width}_s_axis")
    assert np.diff(taken).tolist() == [1] * (WORDS - 1)
    assert all((cycles[port] == taken).all() for port in OUTPUTS)


@pytest.mark.parametrize("blocked", OUTPUTS)
def test_correct_after_a_reset_between_the_two_copies(bench: Bench, blocked: str) -> None:
    sim, sent = bench.simulation, words(8, 6)
    sim.reset()
    sim.push("w8_s_axis", sent)
    sim.stall("w8_s_axis", 0, 0.0)
    for port in OUTPUTS:
        sim.stall(f"w8_{port}", 0, float(port == blocked))
    sim.idle(20)
    assert sum(sim.beats(f"w8_{port}") for port in OUTPUTS) == 1
    data, _ = bench.run("w8", {"s_axis": sent}, OUTPUTS)
    assert all((data[port] == sent).all() for port in OUTPUTS)


def test_swapped_words_show(bench: Bench) -> None:
    sent = words(70, 3)
    data, _ = bench.run("w70", {"s_axis": sent[[1, 0, *range(2, WORDS)]]}, OUTPUTS)
    for port in OUTPUTS:
        assert np.flatnonzero((data[port] != sent).any(1)).tolist() == [0, 1]


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    with pytest.raises(StalledError):
        bench.run("w70", {"s_axis": words(70, 3)[1:]}, OUTPUTS)


def test_wrong_parameters_stop_elaboration(tmp_path: Path) -> None:
    error = elaboration_error("duplicate_streams", {"WIDTH": 0}, ports({"WIDTH": 8}), tmp_path)
    assert "duplicate_streams: WIDTH = 0 must be at least 1;" in error
