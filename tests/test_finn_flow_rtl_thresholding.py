"""finn_flow/rtl/thresholding.sv against counting the thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rtl_bench import STALLS, Bench, Case, elaboration_error
from verification.errors import VerificationError
from verification.packing import pack, unpack
from verification.verilator.simulation import StalledError

PIXELS = 60


@dataclass(frozen=True)
class Layer:
    """Parameters of the module, and the thresholds (C, 2^STAGES - 1), ascending."""

    parameters: dict[str, Any]
    thresholds: NDArray

    def __getitem__(self, name: str) -> int:
        return self.parameters[name]

    def gold(self, x: NDArray) -> NDArray:
        return (x[..., None] >= self.thresholds).sum(-1) + self["BIAS"]

    def files(self, name: str) -> dict[str, str]:
        """The memory files: a threshold a line, see the module's header."""
        stages, digits = self["STAGES"], (self["THRESHOLD_BITS"] + 3) // 4
        files = {}
        for stage in range(stages):
            step = 2 ** (stages - stage)
            words = self.thresholds[:, step // 2 - 1 :: step] & (2 ** self["THRESHOLD_BITS"] - 1)
            for lane in range(self["PE"]):
                lines = [f"{word:0{digits}x}\n" for word in words[lane :: self["PE"]].ravel()]
                files[f"{name}_{stage}_{lane}.dat"] = "".join(lines)
        return files

    def inputs(self, pixels: int, seed: int) -> NDArray:
        """(pixels, C): on, just below and away from thresholds, and both ends of the type's range."""
        rng = np.random.default_rng(seed)
        low, high = input_range(self["IN_BITS"], self["IN_SIGNED"])
        columns = rng.integers(0, self.thresholds.shape[1], (pixels, self["CHANNELS"]))
        x = self.thresholds[np.arange(self["CHANNELS"]), columns] + rng.integers(-1, 1, columns.shape)
        x = np.where(rng.random(x.shape) < 0.5, x, rng.integers(low, high + 1, x.shape)).clip(low, high)
        x[0], x[1] = low, high
        return x


def input_range(bits: int, signed: int) -> tuple[int, int]:
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def layer(channels: str, x: str, stages: int, out_bits: int, bias: int = 0, padding: int = 0) -> Layer:
    """channels: "C/PE". x: "s8" or "u8". padding: how many thresholds of each channel lie above every x."""
    rng = np.random.default_rng([ord(c) for c in f"{channels} {x} {stages}"])
    count, pe = map(int, channels.split("/"))
    bits, signed = int(x[1:]), int(x[0] == "s")
    low, high = input_range(bits, signed)
    thresholds = np.sort(rng.integers(low, high + 1, (count, 2**stages - 1)), axis=1)
    thresholds[:, thresholds.shape[1] - padding :] = high + 1
    parameters = {"CHANNELS": count, "PE": pe, "IN_BITS": bits, "IN_SIGNED": signed, "STAGES": stages}
    # high + 1 needs a bit more; an unsigned x needs one for the sign
    parameters |= {"THRESHOLD_BITS": bits + (padding > 0) + (not signed), "OUT_BITS": out_bits, "BIAS": bias}
    return Layer(parameters, thresholds)


LAYERS = {
    "four_bits": layer("6/2", "s13", 4, 4),
    "serial": layer("5/1", "s9", 3, 3),
    "unfolded": layer("3/3", "u7", 2, 2),
    "one_threshold": layer("4/4", "s8", 1, 2, bias=-1),  # -1 or 0
    "signed_output": layer("4/2", "s12", 4, 4, bias=-8),
    "padded": layer("6/3", "s10", 4, 4, bias=-7, padding=1),  # narrow range, -7..7
    "padded_unsigned": layer("2/1", "u6", 3, 4, bias=3, padding=4),
    "eight_bits": layer("8/4", "s18", 8, 8),
    "six_bits": layer("32/16", "s16", 6, 6, bias=-32),
    "more_thresholds_than_inputs": layer("2/2", "u3", 5, 5),
    "single": layer("1/1", "s11", 2, 2),
}


def ports(parameters: dict[str, Any]) -> dict[str, int]:
    return {
        "s_axis": parameters["PE"] * parameters["IN_BITS"],
        "m_axis": parameters["PE"] * parameters["OUT_BITS"],
    }


def cases(changed: dict[str, str] | None = None) -> list[Case]:
    """All layers; changed: memory files to have another text."""
    return [
        Case(name, {**each.parameters, "THRESHOLDS": f'"{name}"'}, {**each.files(name), **(changed or {})})
        for name, each in LAYERS.items()
    ]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench("thresholding", cases(), ports, tmp_path_factory.mktemp("thresholding"))
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
    y = unpack(data["m_axis"], this["OUT_BITS"], this["PE"], signed=this["BIAS"] < 0)
    return y.reshape(x.shape), cycles["m_axis"]


@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", LAYERS)
def test_counts_the_thresholds(bench: Bench, name: str, stall: str) -> None:
    x = LAYERS[name].inputs(PIXELS, 3)
    y, _ = run(bench, name, x, stall, 5)
    assert (y == LAYERS[name].gold(x)).all()


@pytest.mark.parametrize("name", ["four_bits", "padded", "padded_unsigned", "unfolded"])
def test_every_input_of_every_channel(bench: Bench, name: str) -> None:
    low, high = input_range(LAYERS[name]["IN_BITS"], LAYERS[name]["IN_SIGNED"])
    x = np.repeat(np.arange(low, high + 1)[:, None], LAYERS[name]["CHANNELS"], 1)
    assert (run(bench, name, x)[0] == LAYERS[name].gold(x)).all()


@pytest.mark.parametrize("name", LAYERS)
def test_a_word_a_cycle_after_the_latency(bench: Bench, name: str) -> None:
    _, cycles = run(bench, name, LAYERS[name].inputs(PIXELS, 4))
    first = bench.simulation.cycles(f"{name}_s_axis")[0]
    latency = LAYERS[name]["STAGES"] + 1
    assert (cycles - first).tolist() == list(range(latency, latency + len(cycles)))


@pytest.mark.parametrize("name", LAYERS)
def test_correct_after_a_reset_in_mid_pixel(bench: Bench, name: str) -> None:
    x = LAYERS[name].inputs(PIXELS, 6)
    bench.fill(name, {"s_axis": beats(name, x)[:20]}, 30)
    assert bench.simulation.beats(f"{name}_s_axis") == LAYERS[name]["STAGES"] + 1  # the pipeline is full
    assert (run(bench, name, x)[0] == LAYERS[name].gold(x)).all()


def test_a_flipped_memory_bit_shows(tmp_path: Path) -> None:
    file = "four_bits_0_1.dat"  # the middle threshold of channels 1, 3 and 5
    first, *rest = LAYERS["four_bits"].files("four_bits")[file].split("\n")
    changed = "\n".join([f"{int(first, 16) ^ 1 << 10:x}", *rest])
    broken = Bench("thresholding", cases({file: changed}), ports, tmp_path)
    x = LAYERS["four_bits"].inputs(PIXELS, 3)
    wrong = (run(broken, "four_bits", x)[0] != LAYERS["four_bits"].gold(x)).any(0)
    assert wrong.tolist() == [False, True, False, False, False, False]
    broken.simulation.close()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            11,
            "four_bits_2_1.dat:11: $readmem file ended before specified final address (IEEE 1800-2023 21.4)",
        ),
        (13, "four_bits_2_1.dat:12: $readmem file address beyond bounds of array"),
    ],
)
def test_a_memory_file_of_other_length_is_named(tmp_path: Path, lines: int, message: str) -> None:
    broken = Bench("thresholding", cases({"four_bits_2_1.dat": "0\n" * lines}), ports, tmp_path)
    with pytest.raises(VerificationError) as error:
        run(broken, "four_bits", LAYERS["four_bits"].inputs(PIXELS, 3))
    broken.simulation.close()
    assert str(error.value) == message


def test_swapped_channels_show(bench: Bench) -> None:
    order = [1, 0, 2, 3, 4, 5]
    x = LAYERS["four_bits"].inputs(PIXELS, 3)
    wrong = (run(bench, "four_bits", x[:, order])[0][:, order] != LAYERS["four_bits"].gold(x)).any(0)
    assert wrong.tolist() == [True, True, False, False, False, False]


def test_a_dropped_beat_stalls(bench: Bench) -> None:
    sent = beats("four_bits", LAYERS["four_bits"].inputs(PIXELS, 3))
    with pytest.raises(StalledError):
        bench.run("four_bits", {"s_axis": sent[1:]}, {"m_axis": len(sent)})


LEAST = "IN_BITS = {}, OUT_BITS = {}, THRESHOLD_BITS = {} must be at least 1"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"CHANNELS": 6, "PE": 4}, "CHANNELS = 6 must be a multiple of PE = 4"),
        ({"CHANNELS": 2, "PE": 4}, "CHANNELS = 2 must be a multiple of PE = 4"),
        ({"PE": 0}, "CHANNELS = 4 must be a multiple of PE = 0"),
        ({"STAGES": 0}, "STAGES = 0 must be in 1..10"),
        ({"STAGES": 11}, "STAGES = 11 must be in 1..10"),
        ({"IN_BITS": 0}, LEAST.format(0, 4, 13)),
        ({"OUT_BITS": 0}, LEAST.format(12, 0, 13)),
        ({"THRESHOLD_BITS": 0}, LEAST.format(12, 4, 0)),
    ],
)
def test_wrong_parameters_stop_elaboration(parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    error = elaboration_error("thresholding", parameters, {"s_axis": 24, "m_axis": 8}, tmp_path)
    assert f"thresholding: {message};" in error
