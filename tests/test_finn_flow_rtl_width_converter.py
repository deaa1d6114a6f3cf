"""finn_flow/rtl/width_converter.sv: the same bits, at the rate of the narrower side."""

from __future__ import annotations

from collections.abc import Iterator
from math import lcm
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from verification.packing import pack
from verification.verilator.simulation import StalledError

FRAMES = 6
PAIRS = [
    *((8, 8), (1, 1), (70, 70)),
    *((8, 32), (4, 12), (1, 7), (24, 240), (13, 26)),  # integer up
    *((32, 8), (12, 4), (7, 1), (240, 24), (26, 13)),  # integer down
    *((24, 32), (36, 96), (24, 40), (12, 20), (15, 16), (3, 64)),  # general up
    *((32, 24), (96, 36), (40, 24), (20, 12), (16, 15), (65, 2)),  # general down
]
CASES = {f"c{narrow}to{wide}": (narrow, wide) for narrow, wide in PAIRS}


def ports(parameters: dict[str, int]) -> dict[str, int]:
    return {"s_axis": parameters["IN_BITS"], "m_axis": parameters["OUT_BITS"]}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    cases = [Case(name, {"IN_BITS": a, "OUT_BITS": b}) for name, (a, b) in CASES.items()]
    bench = Bench("width_converter", cases, ports, tmp_path_factory.mktemp("width_converter"))
    yield bench
    bench.simulation.close()


def streams(name: str, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The same random bits as words of the input and of the output, FRAMES times 20 words or more."""
    narrow, wide = CASES[name]
    total = FRAMES * 20 * lcm(narrow, wide)
    bits = np.random.default_rng(seed).integers(0, 2, total)
    return pack(bits.reshape(-1, narrow), 1), pack(bits.reshape(-1, wide), 1)


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits(bench: Bench, name: str, stall: str) -> None:
    sent, expected = streams(name, 3)
    data, _ = bench.run(name, {"s_axis": sent}, {"m_axis": len(expected)}, STALLS[stall], 5)
    assert (data["m_axis"] == expected).all()


@pytest.mark.parametrize("name", CASES)
def test_the_narrower_side_never_pauses(bench: Bench, name: str) -> None:
    sent, expected = streams(name, 4)
    _, cycles = bench.run(name, {"s_axis": sent}, {"m_axis": len(expected)})
    narrower = bench.simulation.cycles(f"{name}_s_axis") if len(sent) > len(expected) else cycles["m_axis"]
    assert np.diff(narrower).tolist() == [1] * (max(len(sent), len(expected)) - 1)


@pytest.mark.parametrize("name", CASES)
def test_a_word_leaves_the_cycle_after_its_last_bits_came(bench: Bench, name: str) -> None:
    """Where the output is not what limits; otherwise when its turn comes."""
    (narrow, wide), (sent, expected) = CASES[name], streams(name, 4)
    _, cycles = bench.run(name, {"s_axis": sent}, {"m_axis": len(expected)})
    came = bench.simulation.cycles(f"{name}_s_axis")
    complete = came[(np.arange(1, len(expected) + 1) * wide - 1) // narrow] + 1
    leaves = [int(complete[0])]
    for ready in complete[1:]:
        leaves.append(max(leaves[-1] + 1, int(ready)))
    assert cycles["m_axis"].tolist() == leaves


@pytest.mark.parametrize("name", CASES)
def test_correct_after_a_reset_with_bits_inside(bench: Bench, name: str) -> None:
    sim, (sent, expected) = bench.simulation, streams(name, 6)
    sim.reset()
    sim.stall(f"{name}_s_axis", 0, 0.0)
    sim.stall(f"{name}_m_axis", 0, 1.0)
    sim.push(f"{name}_s_axis", sent[3:])
    sim.idle(80)
    assert 0 < sim.beats(f"{name}_s_axis") < len(sent) - 3
    data, _ = bench.run(name, {"s_axis": sent}, {"m_axis": len(expected)})
    assert (data["m_axis"] == expected).all()


def test_bits_that_do_not_fill_a_word_wait(bench: Bench) -> None:
    sim, (sent, expected) = bench.simulation, streams("c24to32", 7)
    sim.reset()
    for port in ("s_axis", "m_axis"):
        sim.stall(f"c24to32_{port}", 0, 0.0)
    for words, complete in ((5, 3), (6, 4), (7, 5), (8, 6)):  # words pushed in all
        sim.push("c24to32_s_axis", sent[sim.beats("c24to32_s_axis") : words])
        sim.idle(20)
        assert sim.beats("c24to32_m_axis") == complete
    assert (sim.read("c24to32_m_axis")[0] == expected[:6]).all()


def test_swapped_words_show(bench: Bench) -> None:
    sent, expected = streams("c24to32", 3)
    swapped = sent[[1, 0, *range(2, len(sent))]]
    data, _ = bench.run("c24to32", {"s_axis": swapped}, {"m_axis": len(expected)})
    assert np.flatnonzero((data["m_axis"] != expected).any(1)).tolist() == [0, 1]


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    sent, expected = streams("c24to32", 3)
    with pytest.raises(StalledError):
        bench.run("c24to32", {"s_axis": sent[1:]}, {"m_axis": len(expected)})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"IN_BITS": 0}, "IN_BITS = 0, OUT_BITS = 32 must be at least 1"),
        ({"OUT_BITS": 0}, "IN_BITS = 24, OUT_BITS = 0 must be at least 1"),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    error = elaboration_error("width_converter", parameters, {"s_axis": 24, "m_axis": 32}, tmp_path)
    assert f"width_converter: {message};" in error
