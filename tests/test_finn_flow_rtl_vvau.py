"""finn_flow/rtl/vvau.sv with the modules in it: exact sums of each channel's own taps, a beat a cycle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, Stall, elaboration_error, memory_file
from verification.packing import pack, unpack
from verification.verilator.simulation import StalledError

MODULES = ("dot_product", "weighted_sums")
PIXELS = 6


@dataclass(frozen=True)
class Shape:
    """Channels, taps of each; bits of weights and activations."""

    channels: int
    kernel: int
    pe: int
    simd: int
    bits: tuple[int, int] = (4, 4)
    signed: bool = False

    @property
    def steps(self) -> int:
        return self.kernel // self.simd

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def acc_bits(self) -> int:
        """Bits that the largest sum that any weights and activations could give has."""
        return sum(self.bits) + int(self.kernel - 1).bit_length()

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a sum to its result: 3 + ceil(log4(SIMD))."""
        return 3 + (int(self.simd - 1).bit_length() + 1) // 2


SHAPES = {
    "single": Shape(1, 1, 1, 1),
    "folded": Shape(6, 9, 2, 3),
    "one_step": Shape(12, 9, 4, 9, signed=True),
    "one_group": Shape(5, 9, 5, 1, (3, 4)),
    "one_of_both": Shape(3, 4, 3, 4, (2, 2), signed=True),
    "serial": Shape(4, 9, 1, 1, (8, 8), signed=True),
    "wide": Shape(6, 49, 3, 7, (5, 7), signed=True),
    "wider": Shape(4, 49, 2, 49, (8, 8)),
    "narrow": Shape(16, 9, 8, 3, (2, 8)),
}


def weights(shape: Shape) -> NDArray[np.int64]:
    """(CHANNELS, KERNEL) of the whole range; the first row is the least."""
    low = -(1 << (shape.bits[0] - 1))
    drawn = np.random.default_rng(1).integers(low, -low, (shape.channels, shape.kernel))
    drawn[0] = low
    return drawn


def memory(shape: Shape, taps: NDArray[np.int64]) -> str:
    """The memory file: word g * SF + f holds W[g * PE + p][f * SIMD + k], k fastest."""
    words = taps.reshape(shape.groups, shape.pe, shape.steps, shape.simd).transpose(0, 2, 1, 3)
    return memory_file(words.reshape(shape.groups * shape.steps, -1), shape.bits[0])


def case(name: str, shape: Shape, taps: NDArray[np.int64]) -> Case:
    parameters = {
        **{"CHANNELS": shape.channels, "KERNEL": shape.kernel, "PE": shape.pe, "SIMD": shape.simd},
        **{"WEIGHT_BITS": shape.bits[0], "ACT_BITS": shape.bits[1], "ACT_SIGNED": int(shape.signed)},
        **{"ACC_BITS": shape.acc_bits, "WEIGHTS": f'"vvau_{name}.dat"'},
    }
    return Case(name, parameters, {f"vvau_{name}.dat": memory(shape, taps)})


def ports(parameters: Mapping[str, Any]) -> dict[str, int]:
    return {
        "s_axis": parameters["PE"] * parameters["SIMD"] * parameters["ACT_BITS"],
        "m_axis": parameters["PE"] * parameters["ACC_BITS"],
    }


def open_bench(folder: Path, other: Mapping[str, NDArray[np.int64]]) -> Bench:
    """A bench of all shapes, some with other weights."""
    cases = [case(name, shape, other.get(name, weights(shape))) for name, shape in SHAPES.items()]
    return Bench("vvau", cases, ports, folder, MODULES)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = open_bench(tmp_path_factory.mktemp("vvau"), {})
    yield bench
    bench.simulation.close()


def windows(shape: Shape, seed: int, pixels: int = PIXELS) -> NDArray[np.int64]:
    """(pixels, KERNEL, CHANNELS) of the whole range; the first pixel is the greatest in magnitude."""
    bits = shape.bits[1]
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if shape.signed else (0, 1 << bits)
    drawn = np.random.default_rng(seed).integers(low, high, (pixels, shape.kernel, shape.channels))
    drawn[0] = low if shape.signed else high - 1
    return drawn


def beats(shape: Shape, pixels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Channel groups one after the other, each in SF beats of SIMD taps, PE channels side by side."""
    folded = pixels.reshape(-1, shape.steps, shape.simd, shape.groups, shape.pe).transpose(0, 3, 1, 2, 4)
    return pack(folded.reshape(-1, shape.simd * shape.pe), shape.bits[1])


def sums(shape: Shape, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(pixels, CHANNELS)"""
    return np.einsum("ntc,ct->nc", pixels, weights(shape))


def run(
    bench: Bench, name: str, sent: NDArray[np.uint8], outputs: int, stall: Stall = STALLS["full_rate"]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """(pixels, CHANNELS) and the cycle of each beat."""
    shape = SHAPES[name]
    data, cycles = bench.run(name, {"s_axis": sent}, {"m_axis": outputs}, stall, 11)
    return unpack(data["m_axis"], shape.acc_bits, shape.pe, True).reshape(-1, shape.channels), cycles[
        "m_axis"
    ]


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", SHAPES)
def test_sums_are_exact(bench: Bench, name: str, stall: str) -> None:
    shape = SHAPES[name]
    pixels = windows(shape, 5, 60 if shape.steps == 1 else PIXELS)
    got, _ = run(bench, name, beats(shape, pixels), len(pixels) * shape.groups, STALLS[stall])
    assert (got == sums(shape, pixels)).all()


@pytest.mark.parametrize("name", SHAPES)
def test_a_beat_a_cycle(bench: Bench, name: str) -> None:
    shape = SHAPES[name]
    _, cycles = run(bench, name, beats(shape, windows(shape, 5)), PIXELS * shape.groups)
    taken = bench.simulation.cycles(f"{name}_s_axis")
    assert np.diff(taken).tolist() == [1] * (PIXELS * shape.groups * shape.steps - 1)
    assert (cycles == taken[shape.steps - 1 :: shape.steps] + shape.latency).all()


@pytest.mark.parametrize("name", SHAPES)
def test_reset_forgets_half_a_pixel(bench: Bench, name: str) -> None:
    shape = SHAPES[name]
    part = beats(shape, windows(shape, 3))[: shape.steps + shape.steps // 2]
    bench.fill(name, {"s_axis": part}, shape.steps + 3)
    pixels = windows(shape, 4)
    got, _ = run(bench, name, beats(shape, pixels), PIXELS * shape.groups)
    assert (got == sums(shape, pixels)).all()


def test_the_bench_sees_a_flipped_weight_bit(tmp_path: Path) -> None:
    shape = SHAPES["folded"]
    taps = weights(shape)
    taps[5, 7] ^= 1
    wrong = open_bench(tmp_path, {"folded": taps})  # the same library, that reads other files
    pixels = windows(shape, 5)
    got, _ = run(wrong, "folded", beats(shape, pixels), PIXELS * shape.groups)
    wrong.simulation.close()
    differs = got != sums(shape, pixels)
    assert differs[:, 5].any()
    assert not differs[:, :5].any()


def test_the_bench_sees_a_dropped_beat(bench: Bench) -> None:
    shape = SHAPES["folded"]
    sent = np.delete(beats(shape, windows(shape, 5)), 6, axis=0)
    with pytest.raises(StalledError, match=r"folded_m_axis 17 of 18 beats"):
        run(bench, "folded", sent, PIXELS * shape.groups)


def test_the_bench_sees_swapped_channels(bench: Bench) -> None:
    shape = SHAPES["folded"]
    pixels = windows(shape, 5)
    got, _ = run(bench, "folded", beats(shape, pixels[..., [0, 2, 1, 3, 4, 5]]), PIXELS * shape.groups)
    differs = (got != sums(shape, pixels)).any(axis=0)
    assert differs.tolist() == [False, True, True, False, False, False]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"KERNEL": 9, "SIMD": 2}, "vvau: SIMD = 2 must divide KERNEL = 9"),
        ({"CHANNELS": 12, "PE": 8}, "vvau: PE = 8 must divide CHANNELS = 12"),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    shape = {"CHANNELS": 12, "KERNEL": 9, "SIMD": 1, "PE": 1, "ACT_BITS": 4, "ACC_BITS": 16} | parameters
    assert message in elaboration_error("vvau", shape, ports(shape), tmp_path, MODULES)


def test_the_rom_is_read_once_through(tmp_path: Path) -> None:
    parameters = {"STEPS": 4, "WORDS": 6}
    message = elaboration_error(
        "weighted_sums", parameters, {"s_axis": 4, "m_axis": 16}, tmp_path, ("dot_product",)
    )
    assert "weighted_sums: WORDS = 6 must be a multiple of STEPS = 4" in message
