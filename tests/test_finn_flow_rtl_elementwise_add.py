"""finn_flow/rtl/elementwise_add.sv against numpy's addition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from verification.packing import pack, unpack
from verification.verilator.simulation import StalledError

WORDS = 300


def case(pe: int, x0: str, x1: str, y: str) -> dict[str, Any]:
    """Parameters of the module; "s4" is a signed type of 4 bits."""
    types = {"IN0": x0, "IN1": x1}
    parameters: dict[str, Any] = {f"{name}_BITS": int(text[1:]) for name, text in types.items()}
    parameters |= {f"{name}_SIGNED": int(text[0] == "s") for name, text in types.items()}
    return {"PE": pe, **parameters, "OUT_BITS": int(y[1:])}


UNSIGNED_OUTPUT = {"all_unsigned", "truncated"}
CASES = {
    "residual": case(4, "s4", "s4", "s5"),
    "mixed": case(3, "u4", "s3", "s6"),
    "mixed_other_way": case(1, "s8", "u2", "s9"),
    "all_unsigned": case(16, "u8", "u8", "u9"),
    "wide": case(5, "s18", "s20", "s21"),
    "wider_than_needed": case(2, "s3", "u2", "s12"),
    "truncated": case(2, "u4", "u4", "u4"),
    "one_bit": case(1, "s1", "u1", "s2"),
}


def ports(parameters: dict[str, Any]) -> dict[str, int]:
    streams = {"s_axis_0": "IN0", "s_axis_1": "IN1", "m_axis": "OUT"}
    return {stream: parameters["PE"] * parameters[f"{name}_BITS"] for stream, name in streams.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    cases = [Case(name, parameters) for name, parameters in CASES.items()]
    bench = Bench("elementwise_add", cases, ports, tmp_path_factory.mktemp("elementwise_add"))
    yield bench
    bench.simulation.close()


def operands(name: str, seed: int) -> list[NDArray]:
    """Two of (words, PE), with all four pairs of the ends of the types' ranges."""
    rng, this = np.random.default_rng(seed), CASES[name]
    result = []
    for i, ends in enumerate(([0, 0, 1, 1], [0, 1, 0, 1])):
        bits, signed = this[f"IN{i}_BITS"], this[f"IN{i}_SIGNED"]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        x = rng.integers(low, high + 1, (WORDS, this["PE"]))
        x[:4] = np.array([low, high])[ends][:, None]
        result.append(x)
    return result


def beats(name: str, x: list[NDArray]) -> dict[str, NDArray[np.uint8]]:
    return {f"s_axis_{i}": pack(x[i], CASES[name][f"IN{i}_BITS"]) for i in range(2)}


def gold(name: str, x: list[NDArray]) -> NDArray:
    return x[0] + x[1] if name != "truncated" else (x[0] + x[1]) % 16


def run(
    bench: Bench, name: str, x: list[NDArray], stall: str = "full_rate", seed: int = 1
) -> tuple[NDArray, NDArray]:
    data, cycles = bench.run(name, beats(name, x), {"m_axis": WORDS}, STALLS[stall], seed)
    signed = name not in UNSIGNED_OUTPUT
    return unpack(data["m_axis"], CASES[name]["OUT_BITS"], CASES[name]["PE"], signed), cycles["m_axis"]


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", CASES)
def test_sums(bench: Bench, name: str, stall: str) -> None:
    x = operands(name, 3)
    y, _ = run(bench, name, x, stall, 5)
    assert (y == gold(name, x)).all()


@pytest.mark.parametrize("name", CASES)
def test_a_word_a_cycle_after_the_latency(bench: Bench, name: str) -> None:
    _, cycles = run(bench, name, operands(name, 4))
    for port in ("s_axis_0", "s_axis_1"):
        assert (cycles - bench.simulation.cycles(f"{name}_{port}")).tolist() == [1] * WORDS
    assert np.diff(cycles).tolist() == [1] * (WORDS - 1)


@pytest.mark.parametrize("early", [0, 1])
def test_one_stream_alone_is_not_taken(bench: Bench, early: int) -> None:
    sim, (early_port, late_port) = bench.simulation, (f"s_axis_{early}", f"s_axis_{1 - early}")
    x = operands("mixed", 2)
    words = beats("mixed", x)
    sim.reset()
    for port in (early_port, late_port):
        sim.stall(f"mixed_{port}", 0, 0.0)
    sim.stall("mixed_m_axis", 0, 0.0)
    sim.push(f"mixed_{early_port}", words[early_port])
    sim.idle(50)
    assert (sim.beats(f"mixed_{early_port}"), sim.beats("mixed_m_axis")) == (0, 0)
    sim.push(f"mixed_{late_port}", words[late_port][:7])
    sim.idle(50)
    assert [sim.beats(f"mixed_{port}") for port in ("s_axis_0", "s_axis_1", "m_axis")] == [7, 7, 7]
    assert (unpack(sim.read("mixed_m_axis")[0], 6, 3, signed=True) == gold("mixed", x)[:7]).all()


@pytest.mark.parametrize("name", CASES)
def test_correct_after_a_reset_with_a_word_inside(bench: Bench, name: str) -> None:
    x = operands(name, 6)
    bench.fill(name, {port: words[5:9] for port, words in beats(name, x).items()}, 20)
    assert bench.simulation.beats(f"{name}_s_axis_0") == 1
    assert (run(bench, name, x)[0] == gold(name, x)).all()


def test_swapped_lanes_show(bench: Bench) -> None:
    x = operands("residual", 3)
    y, _ = run(bench, "residual", [x[0][:, [1, 0, 2, 3]], x[1]])
    assert (y != gold("residual", x)).any(0).tolist() == [True, True, False, False]


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    words = beats("residual", operands("residual", 3))
    words["s_axis_1"] = words["s_axis_1"][1:]
    with pytest.raises(StalledError):
        bench.run("residual", words, {"m_axis": WORDS})


LEAST = "PE = {}, IN0_BITS = {}, IN1_BITS = {}, OUT_BITS = {} must be at least 1"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"PE": 0}, LEAST.format(0, 4, 4, 6)),
        ({"IN0_BITS": 0}, LEAST.format(2, 0, 4, 6)),
        ({"IN1_BITS": 0}, LEAST.format(2, 4, 0, 6)),
        ({"OUT_BITS": 0}, LEAST.format(2, 4, 4, 0)),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    widths = {"s_axis_0": 8, "s_axis_1": 8, "m_axis": 12}
    assert f"elementwise_add: {message};" in elaboration_error(
        "elementwise_add", parameters, widths, tmp_path
    )
