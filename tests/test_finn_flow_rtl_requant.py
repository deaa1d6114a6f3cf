"""finn_flow/rtl/requant.sv against finn_flow.ops.requant.requantise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from finn_flow.ops.requant import requantise
from tests.rtl_bench import STALLS, Bench, Case, elaboration_error, memory_file
from verification.errors import VerificationError
from verification.packing import pack, unpack
from verification.verilator.simulation import StalledError

LATENCY, PIXELS = 5, 40


@dataclass(frozen=True)
class Layer:
    """Parameters of the module, and those of its channels (C,)."""

    parameters: dict[str, Any]
    scale: NDArray
    bias: NDArray
    shift: NDArray

    def __getitem__(self, name: str) -> int:
        return self.parameters[name]

    @property
    def range(self) -> tuple[int, int]:
        bits, signed = self["OUT_BITS"], self["OUT_SIGNED"]
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)

    def gold(self, x: NDArray) -> NDArray:
        bias = self.bias << self["BIAS_SHIFT"]
        return requantise(x, self.scale, bias, self.shift + self["SHIFT"], *self.range)

    def memory(self) -> str:
        """The file that PARAMETERS names: a line per word, the first lane lowest."""
        scale_bits, bias_bits = self["SCALE_BITS"], self["BIAS_BITS"]
        lane_bits = scale_bits + bias_bits + self["SHIFT_BITS"]
        lanes = self.scale & (2**scale_bits - 1) | (self.bias & (2**bias_bits - 1)) << scale_bits
        lanes |= self.shift << (scale_bits + bias_bits)
        return memory_file(lanes.reshape(-1, self["PE"]), lane_bits)

    def inputs(self, pixels: int, seed: int) -> NDArray:
        """(pixels, C), evenly over the range of the type, both ends included."""
        bits, signed = self["IN_BITS"], self["IN_SIGNED"]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        x = np.random.default_rng(seed).integers(low, high, (pixels, self["CHANNELS"]))
        x[0], x[1] = low, high - 1
        return x


def layer(
    channels: str,
    x: str,
    y: str,
    scale: str,
    bias_bits: int,
    shifts: tuple[int, int],
    shift_bits: int = 0,
    bias_shift: int = 0,
) -> Layer:
    """channels: "C/PE". x, y, scale: "s8" or "u8". shifts: least and greatest of the channels."""
    rng = np.random.default_rng([ord(c) for c in channels + x + y + scale])
    count, pe = map(int, channels.split("/"))
    widths = {"IN": x, "OUT": y, "SCALE": scale}
    parameters = {
        "CHANNELS": count,
        "PE": pe,
        "BIAS_BITS": bias_bits,
        "SHIFT_BITS": shift_bits,
        "BIAS_SHIFT": bias_shift,
    }
    parameters |= {f"{name}_BITS": int(text[1:]) for name, text in widths.items()}
    parameters |= {f"{name}_SIGNED": int(text[0] == "s") for name, text in widths.items()}
    parameters["SHIFT"] = shifts[0] if shift_bits == 0 else 0
    scale_bits, signed = parameters["SCALE_BITS"], parameters["SCALE_SIGNED"]
    multipliers = rng.integers(2 ** (scale_bits - signed) // 2, 2 ** (scale_bits - signed), count)
    multipliers *= rng.choice([1, -1], count) if signed else 1
    bias = rng.integers(-(2 ** (bias_bits - 1)), 2 ** (bias_bits - 1), count)
    shift = rng.integers(shifts[0], shifts[1] + 1, count) - parameters["SHIFT"]
    return Layer(parameters, multipliers, bias, shift)


LAYERS = {
    "narrow": layer("6/2", "s12", "u4", "u8", 16, (10, 15), 4),
    "signed_scale": layer("5/1", "s13", "s8", "s11", 18, (13, 16), 5),
    "unfolded": layer("3/3", "u7", "u2", "u5", 9, (6, 9), 4),
    "wide": layer("48/16", "s24", "s8", "u18", 40, (31, 36), 6),
    "one_shift": layer("16/8", "s13", "u4", "u12", 20, (16, 16)),
    "even_biases": layer("8/2", "s13", "s4", "u15", 14, (19, 19), bias_shift=9),
    "biases_above_products": layer("4/1", "s6", "s4", "u4", 6, (7, 10), 4, bias_shift=8),
    "clamp": layer("8/4", "s5", "s4", "u1", 1, (0, 0)),
    "wider_output": layer("4/2", "u2", "s8", "s2", 3, (0, 1), 1),
    "single": layer("1/1", "s10", "u8", "u3", 7, (2, 2), 2),
}
for name in ("clamp", "wider_output"):
    LAYERS[name].bias[:] = 0


def ports(parameters: dict[str, Any]) -> dict[str, int]:
    return {
        "s_axis": parameters["PE"] * parameters["IN_BITS"],
        "m_axis": parameters["PE"] * parameters["OUT_BITS"],
    }


def cases(memories: dict[str, str]) -> list[Case]:
    return [
        Case(name, {**LAYERS[name].parameters, "PARAMETERS": f'"{name}.dat"'}, {f"{name}.dat": text})
        for name, text in memories.items()
    ]


MEMORIES = {name: each.memory() for name, each in LAYERS.items()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench("requant", cases(MEMORIES), ports, tmp_path_factory.mktemp("requant"))
    yield bench
    bench.simulation.close()


def beats(name: str, x: NDArray) -> NDArray[np.uint8]:
    return pack(x.reshape(-1, LAYERS[name]["PE"]), LAYERS[name]["IN_BITS"])


def run(
    bench: Bench, name: str, x: NDArray, stall: str = "full_rate", seed: int = 1
) -> tuple[NDArray, NDArray]:
    """Outputs (pixels, C) for inputs, and the cycle of each beat."""
    this = LAYERS[name]
    words = x.size // this["PE"]
    data, cycles = bench.run(name, {"s_axis": beats(name, x)}, {"m_axis": words}, STALLS[stall], seed)
    y = unpack(data["m_axis"], this["OUT_BITS"], this["PE"], bool(this["OUT_SIGNED"]))
    return y.reshape(x.shape), cycles["m_axis"]


@pytest.mark.parametrize("name", LAYERS)
def test_the_cases_reach_both_limits_and_the_values_between(name: str) -> None:
    x = LAYERS[name].inputs(PIXELS, 3)
    reached = np.unique(LAYERS[name].gold(x))
    assert len(reached) > 2
    if name != "wider_output":
        assert (reached[0], reached[-1]) == LAYERS[name].range


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", LAYERS)
def test_equal_to_the_formula(bench: Bench, name: str, stall: str) -> None:
    x = LAYERS[name].inputs(PIXELS, 3)
    y, _ = run(bench, name, x, stall, 5)
    assert (y == LAYERS[name].gold(x)).all()


@pytest.mark.parametrize("name", LAYERS)
def test_a_word_a_cycle_after_the_latency(bench: Bench, name: str) -> None:
    _, cycles = run(bench, name, LAYERS[name].inputs(PIXELS, 4))
    first = bench.simulation.cycles(f"{name}_s_axis")[0]
    assert (cycles - first).tolist() == list(range(LATENCY, LATENCY + len(cycles)))


@pytest.mark.parametrize("name", LAYERS)
def test_correct_after_a_reset_in_mid_pixel(bench: Bench, name: str) -> None:
    x = LAYERS[name].inputs(PIXELS, 6)
    bench.fill(name, {"s_axis": beats(name, x)[: LATENCY + 2]}, 20)
    assert bench.simulation.beats(f"{name}_s_axis") == LATENCY  # the pipeline is full
    assert (run(bench, name, x)[0] == LAYERS[name].gold(x)).all()


def test_a_flipped_memory_bit_shows(tmp_path: Path) -> None:
    first, *rest = MEMORIES["narrow"].split("\n")
    flipped = f"{int(first, 16) ^ 1 << 7:0{len(first)}x}"  # highest bit of the scale of channel 0
    broken = Bench("requant", cases({**MEMORIES, "narrow": "\n".join([flipped, *rest])}), ports, tmp_path)
    x = LAYERS["narrow"].inputs(PIXELS, 3)
    wrong = (run(broken, "narrow", x)[0] != LAYERS["narrow"].gold(x)).any(0)
    assert wrong.tolist() == [True, False, False, False, False, False]
    broken.simulation.close()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (2, "narrow.dat:2: $readmem file ended before specified final address (IEEE 1800-2023 21.4)"),
        (4, "narrow.dat:3: $readmem file address beyond bounds of array"),
    ],
)
def test_a_memory_file_of_other_length_is_named(tmp_path: Path, lines: int, message: str) -> None:
    broken = Bench("requant", cases({**MEMORIES, "narrow": "0\n" * lines}), ports, tmp_path)
    with pytest.raises(VerificationError) as error:
        run(broken, "narrow", LAYERS["narrow"].inputs(PIXELS, 3))
    broken.simulation.close()
    assert str(error.value) == message


def test_swapped_channels_show(bench: Bench) -> None:
    x = LAYERS["narrow"].inputs(PIXELS, 3)
    swapped = run(bench, "narrow", x[:, [1, 0, 2, 3, 4, 5]])[0][:, [1, 0, 2, 3, 4, 5]]
    wrong = (swapped != LAYERS["narrow"].gold(x)).any(0)
    assert wrong.tolist() == [True, True, False, False, False, False]


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    sent = beats("narrow", LAYERS["narrow"].inputs(PIXELS, 3))
    with pytest.raises(StalledError):
        bench.run("narrow", {"s_axis": sent[1:]}, {"m_axis": len(sent)})


LEAST = "IN_BITS = {}, OUT_BITS = {}, SCALE_BITS = {}, BIAS_BITS = {} must be at least 1"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"CHANNELS": 6, "PE": 4}, "CHANNELS = 6 must be a multiple of PE = 4"),
        ({"CHANNELS": 2, "PE": 4}, "CHANNELS = 2 must be a multiple of PE = 4"),
        ({"PE": 0}, "CHANNELS = 4 must be a multiple of PE = 0"),
        ({"IN_BITS": 0}, LEAST.format(0, 4, 8, 16)),
        ({"OUT_BITS": 0}, LEAST.format(12, 0, 8, 16)),
        ({"SCALE_BITS": 0}, LEAST.format(12, 4, 0, 16)),
        ({"BIAS_BITS": 0}, LEAST.format(12, 4, 8, 0)),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    error = elaboration_error("requant", parameters, {"s_axis": 24, "m_axis": 8}, tmp_path)
    assert f"requant: {message};" in error
