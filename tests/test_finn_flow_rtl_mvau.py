"""finn_flow/rtl/mvau.sv with the modules in it: exact sums, II SF * NF, one fixed latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, Stall, elaboration_error, memory_file
from verification.errors import VerificationError
from verification.packing import pack, unpack
from verification.verilator.simulation import Simulation, StalledError

MODULES = ("dot_product", "weighted_sums")
VECTORS = 6


@dataclass(frozen=True)
class Shape:
    """MW inputs, MH outputs; bits of weights and activations."""

    mw: int
    mh: int
    pe: int
    simd: int
    bits: tuple[int, int] = (4, 4)
    signed: bool = False
    dsp: bool = True

    @property
    def steps(self) -> int:
        return self.mw // self.simd

    @property
    def passes(self) -> int:
        return self.mh // self.pe

    @property
    def acc_bits(self) -> int:
        """Bits that the largest sum that any weights and activations could give has."""
        return sum(self.bits) + int(self.mw - 1).bit_length()

    @property
    def latency(self) -> int:
        """Cycles from the last beat of a sum to its result: 3 + ceil(log4(SIMD))."""
        return 3 + (int(self.simd - 1).bit_length() + 1) // 2


SHAPES = {
    "single": Shape(1, 1, 1, 1),
    "folded": Shape(12, 8, 2, 3),
    "one_step": Shape(8, 12, 4, 8),
    "one_pass": Shape(20, 4, 4, 5, (3, 4), signed=True),
    "one_of_both": Shape(6, 3, 3, 6, (2, 2)),
    "serial": Shape(9, 5, 1, 1, (8, 8), signed=True),
    "wide": Shape(51, 6, 3, 17, (5, 7), signed=True),
    "wider": Shape(64, 4, 2, 64, (8, 8)),
    "narrow": Shape(16, 16, 8, 4, (2, 8)),
    "image": Shape(27, 4, 2, 9, (8, 8), signed=True),
    # Weights packed for a DSP: all that fit, some, with carries and without, more terms than a field counts
    "packed_4": Shape(16, 16, 16, 8),
    "packed_4_signed": Shape(8, 14, 7, 8, signed=True),
    "packed_3": Shape(33, 10, 10, 33, (3, 3)),
    "packed_3_signed": Shape(18, 5, 5, 9, (3, 3), signed=True),
    "packed_3_4": Shape(12, 9, 9, 6, (3, 4)),
    "packed_4_6": Shape(12, 7, 7, 3, (4, 6), signed=True),
    "packed_5": Shape(20, 6, 6, 20, (5, 5), signed=True),
    "packed_8": Shape(16, 6, 3, 8, (8, 8)),
    "packed_8_signed": Shape(16, 4, 4, 4, (8, 8), signed=True),
    "packed_one": Shape(4, 8, 4, 1),
    # Products of LUTs: from a table, added in pairs and with one that is left over, and of shifted operands
    "lut_2": Shape(8, 8, 4, 4, (2, 2), dsp=False),
    "lut_2_one": Shape(4, 4, 2, 1, (2, 2), dsp=False),
    "lut_3_signed": Shape(9, 6, 3, 9, (3, 3), signed=True, dsp=False),
    "lut_4_2": Shape(10, 4, 2, 5, (4, 2), dsp=False),
    "lut_4_8": Shape(8, 8, 4, 4, (4, 8), signed=True, dsp=False),
    "lut_8_3": Shape(8, 8, 4, 8, (8, 3), dsp=False),
    "lut_8_4": Shape(8, 8, 4, 2, (8, 4), signed=True, dsp=False),
}


def weights(shape: Shape, seed: int = 1) -> NDArray[np.int64]:
    """(MH, MW) of the whole range; the first row is the least."""
    low = -(1 << (shape.bits[0] - 1))
    drawn = np.random.default_rng(seed).integers(low, -low, (shape.mh, shape.mw))
    drawn[0] = low
    return drawn


def memory(shape: Shape, matrix: NDArray[np.int64]) -> str:
    """The memory file: word n * SF + f holds W[n * PE + p][f * SIMD + s], s fastest."""
    words = matrix.reshape(shape.passes, shape.pe, shape.steps, shape.simd).transpose(0, 2, 1, 3)
    return memory_file(words.reshape(shape.passes * shape.steps, -1), shape.bits[0])


def case(name: str, shape: Shape, matrix: NDArray[np.int64]) -> Case:
    parameters = {
        **{"MW": shape.mw, "MH": shape.mh, "PE": shape.pe, "SIMD": shape.simd},
        **{"WEIGHT_BITS": shape.bits[0], "ACT_BITS": shape.bits[1], "ACT_SIGNED": int(shape.signed)},
        **{"ACC_BITS": shape.acc_bits, "WEIGHTS": f'"mvau_{name}.dat"'},
        "DSP": int(shape.dsp),
    }
    return Case(name, parameters, {f"mvau_{name}.dat": memory(shape, matrix)})


def ports(parameters: Mapping[str, Any]) -> dict[str, int]:
    return {
        "s_axis": parameters["SIMD"] * parameters["ACT_BITS"],
        "m_axis": parameters["PE"] * parameters["ACC_BITS"],
    }


def open_bench(folder: Path, other: Mapping[str, NDArray[np.int64]]) -> Bench:
    """A bench of all shapes, some with other weights."""
    cases = [case(name, shape, other.get(name, weights(shape))) for name, shape in SHAPES.items()]
    return Bench("mvau", cases, ports, folder, MODULES)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = open_bench(tmp_path_factory.mktemp("mvau"), {})
    yield bench
    bench.simulation.close()


def activations(shape: Shape, seed: int, vectors: int = VECTORS) -> NDArray[np.int64]:
    """(vectors, MW) of the whole range; the first vector is the greatest in magnitude."""
    bits = shape.bits[1]
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if shape.signed else (0, 1 << bits)
    drawn = np.random.default_rng(seed).integers(low, high, (vectors, shape.mw))
    drawn[0] = low if shape.signed else high - 1
    return drawn


def beats(shape: Shape, vectors: NDArray[np.int64]) -> NDArray[np.uint8]:
    return pack(vectors.reshape(-1, shape.simd), shape.bits[1])


def run(
    bench: Bench, name: str, sent: NDArray[np.uint8], outputs: int, stall: Stall = STALLS["full_rate"]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """(vectors, MH) and the cycle of each beat."""
    shape = SHAPES[name]
    data, cycles = bench.run(name, {"s_axis": sent}, {"m_axis": outputs}, stall, 11)
    return unpack(data["m_axis"], shape.acc_bits, shape.pe, True).reshape(-1, shape.mh), cycles["m_axis"]


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", SHAPES)
def test_sums_are_exact(bench: Bench, name: str, stall: str) -> None:
    shape = SHAPES[name]
    vectors = activations(shape, 5, 40 if shape.steps == 1 else VECTORS)
    got, _ = run(bench, name, beats(shape, vectors), len(vectors) * shape.passes, STALLS[stall])
    assert (got == vectors @ weights(shape).T).all()


@pytest.mark.parametrize("name", SHAPES)
def test_a_result_every_sf_cycles_from_the_first_on(bench: Bench, name: str) -> None:
    shape = SHAPES[name]
    _, cycles = run(bench, name, beats(shape, activations(shape, 5)), VECTORS * shape.passes)
    assert np.diff(cycles).tolist() == [shape.steps] * (VECTORS * shape.passes - 1)
    taken = bench.simulation.cycles(f"{name}_s_axis")
    assert cycles[0] - taken[shape.steps - 1] == shape.latency
    assert taken.reshape(VECTORS, -1)[:, 0].tolist() == [
        taken[0] + i * shape.steps * shape.passes for i in range(VECTORS)
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_a_stopped_source_leaves_nothing_inside(bench: Bench, name: str) -> None:
    shape = SHAPES[name]
    vectors = activations(shape, 8, 1)
    got, _ = run(bench, name, beats(shape, vectors), shape.passes)
    assert (got == vectors @ weights(shape).T).all()


def test_a_stalled_sink_is_waited_for_with_a_full_pipeline(bench: Bench) -> None:
    """One result in the register, one more in each stage: no more beats are taken than these hold."""
    for name in ("single", "one_step", "one_of_both"):
        shape = SHAPES[name]
        sim = bench.simulation
        bench.fill(name, {"s_axis": beats(shape, activations(shape, 5, 60))}, 400)
        assert sim.beats(f"{name}_s_axis") == -(-shape.latency // shape.passes)
        assert sim.beats(f"{name}_m_axis") == 0


@pytest.mark.parametrize("name", SHAPES)
def test_reset_forgets_half_a_vector(bench: Bench, name: str) -> None:
    shape = SHAPES[name]
    part = beats(shape, activations(shape, 3))[: shape.steps + shape.steps // 2]
    bench.fill(name, {"s_axis": part}, shape.steps + 3)
    vectors = activations(shape, 4)
    got, _ = run(bench, name, beats(shape, vectors), VECTORS * shape.passes)
    assert (got == vectors @ weights(shape).T).all()


def test_the_bench_sees_a_flipped_weight_bit(tmp_path: Path) -> None:
    shape = SHAPES["folded"]
    matrix = weights(shape)
    matrix[5, 7] ^= 1
    wrong = open_bench(tmp_path, {"folded": matrix})  # the same library, that reads other files
    vectors = activations(shape, 5)
    got, _ = run(wrong, "folded", beats(shape, vectors), VECTORS * shape.passes)
    wrong.simulation.close()
    differs = got != vectors @ weights(shape).T
    assert differs[:, 5].any()
    assert not np.delete(differs, 5, axis=1).any()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "mvau_folded.dat:0: $readmem file not found"),
        (
            15,
            "mvau_folded.dat:15: $readmem file ended before specified final address (IEEE 1800-2023 21.4)",
        ),
        (17, "mvau_folded.dat:16: $readmem file address beyond bounds of array"),
    ],
)
def test_a_memory_file_of_other_length_is_named(tmp_path: Path, lines: int | None, message: str) -> None:
    shape = SHAPES["folded"]
    bench = open_bench(tmp_path, {})
    bench.simulation.close()
    path = tmp_path / "mvau_folded.dat"
    path.unlink()
    if lines is not None:
        path.write_text("0\n" * lines)
    bench.simulation = Simulation(bench.library, tmp_path)
    with pytest.raises(VerificationError) as error:
        run(bench, "folded", beats(shape, activations(shape, 5)), VECTORS * shape.passes)
    bench.simulation.close()
    assert str(error.value) == message


def test_the_bench_sees_a_dropped_beat(bench: Bench) -> None:
    shape = SHAPES["folded"]
    sent = beats(shape, activations(shape, 5))
    with pytest.raises(StalledError, match=r"folded_m_axis 20 of 24 beats"):
        run(bench, "folded", np.delete(sent, 6, axis=0), VECTORS * shape.passes)


def test_the_bench_sees_swapped_channels(bench: Bench) -> None:
    shape = SHAPES["folded"]
    vectors = activations(shape, 5)
    got, _ = run(bench, "folded", beats(shape, vectors[:, [0, 2, 1, *range(3, 12)]]), VECTORS * shape.passes)
    assert (got != vectors @ weights(shape).T).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"MW": 12, "SIMD": 5}, "mvau: SIMD = 5 must divide MW = 12"),
        ({"MH": 12, "PE": 8}, "mvau: PE = 8 must divide MH = 12"),
        ({"ACC_BITS": 33}, "dot_product: ACC_BITS = 33 must be at most 32"),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    shape = {"MW": 12, "MH": 12, "SIMD": 1, "PE": 1, "ACT_BITS": 4, "ACC_BITS": 16} | parameters
    assert message in elaboration_error("mvau", shape, ports(shape), tmp_path, MODULES)


def test_lanes_are_shared_by_all_or_by_none(tmp_path: Path) -> None:
    message = elaboration_error("dot_product", {"PE": 4, "LANES": 2}, {"m_axis": 64}, tmp_path)
    assert "dot_product: LANES = 2 must be 1 or PE = 4" in message
