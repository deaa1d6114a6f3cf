"""A bench for RTL modules: one simulated design with every parameter corner of a module in it.

    CASES = [Case("pe2", {"PE": 2, ...}, files={"weights.dat": "..."}), ...]
    bench = Bench("requant", CASES, {"s_axis": bits_of_input, "m_axis": bits_of_output}, tmp_path)
    outputs, cycles = bench.run("pe2", {"s_axis": beats}, {"m_axis": 64}, STALLS["both"], seed)

Building takes some seconds per design whatever it holds, so that a corner more costs nearly nothing. After
each run the bench checks that nothing is left over: no beat that was not asked for, no input not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from verification.errors import VerificationError
from verification.packing import pack
from verification.verilator.build import Design, build
from verification.verilator.simulation import Simulation

ROOT = Path(__file__).parents[1]
RTL = ROOT / "finn_flow" / "rtl"
MONITOR = ROOT / "verification" / "verilator" / "sv" / "fifo_monitor.sv"


@dataclass(frozen=True)
class Stall:
    """Chance and greatest length in cycles of pauses; whether the sink shows ready only after valid."""

    source: tuple[float, int] = (0.0, 1)
    sink: tuple[float, int] = (0.0, 1)
    wait_for_valid: bool = False


STALLS = {
    "full_rate": Stall(),
    "idle": Stall(source=(0.4, 3)),
    "backpressure": Stall(sink=(0.4, 3)),
    "both": Stall(source=(0.3, 4), sink=(0.3, 4)),
    "long": Stall(source=(0.01, 50), sink=(0.02, 400)),
    "wait_for_valid": Stall(sink=(0.2, 2), wait_for_valid=True),
}


@dataclass(frozen=True)
class Case:
    """One instance: parameters of the module (strings in double quotes), its memory files."""

    name: str
    parameters: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


Ports = Callable[[Mapping[str, Any]], Mapping[str, int]]


class Bench:
    """An open simulation of all cases. ports: bits of each stream of a case by the module's name of it.

    A stream is an input if its name starts with `s`, an output if with `m`.
    """

    def __init__(
        self,
        module: str,
        cases: list[Case],
        ports: Ports,
        folder: Path,
        sources: tuple[str, ...] = (),
        replaced: Mapping[str, Path] | None = None,
        trace: Path | None = None,
    ) -> None:
        top = folder / "bench.sv"
        top.write_text(_top(module, cases, ports))
        for case in cases:
            for name, text in case.files.items():
                (folder / name).write_text(text)
        files = [(replaced or {}).get(name, RTL / f"{name}.sv") for name in (*sources, module)]
        if "fifo" in (*sources, module):
            files.append(MONITOR)
        self.library = build(Design("bench", (*files, top), trace is not None))
        self.simulation = Simulation(self.library, folder, trace)

    def run(
        self,
        case: str,
        inputs: Mapping[str, NDArray[np.uint8]],
        outputs: Mapping[str, int],
        stall: Stall = STALLS["full_rate"],
        seed: int = 1,
        max_cycles: int = 1_000_000,
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.uint64]]]:
        """Reset, push `inputs`, collect as many beats as `outputs` says. Data and cycles by stream."""
        sim = self.simulation
        print(f"{case}: seed {seed}, {stall}")  # pytest shows it with a failure
        sim.reset()
        for i, (port, beats) in enumerate(inputs.items()):
            sim.push(f"{case}_{port}", beats)
            sim.stall(f"{case}_{port}", seed + 100 * i, *stall.source)
        for port in sim.outputs:
            sim.stall(port.name, 0, 0.0)
        for i, port in enumerate(outputs):
            sim.stall(f"{case}_{port}", seed + 7 + 100 * i, *stall.sink)
            sim.wait_for_valid(f"{case}_{port}", stall.wait_for_valid)
        sim.run({f"{case}_{port}": n for port, n in outputs.items()}, max_cycles)
        self._nothing_left(case, inputs, outputs)
        read = {port: sim.read(f"{case}_{port}") for port in outputs}
        return {port: data for port, (data, _) in read.items()}, {
            port: when for port, (_, when) in read.items()
        }

    def fill(self, case: str, inputs: Mapping[str, NDArray[np.uint8]], cycles: int) -> None:
        """Reset, and offer `inputs` for some cycles to a case whose outputs are not taken."""
        sim = self.simulation
        sim.reset()
        for port in sim.outputs:
            if port.name.startswith(f"{case}_m_"):
                sim.stall(port.name, 1, 1.0)
        for name, beats in inputs.items():
            sim.stall(f"{case}_{name}", 0, 0.0)
            sim.push(f"{case}_{name}", beats)
        sim.idle(cycles)

    def _nothing_left(
        self, case: str, inputs: Mapping[str, NDArray[np.uint8]], outputs: Mapping[str, int]
    ) -> None:
        sim = self.simulation
        sim.idle(200)
        for port, expected in outputs.items():
            assert sim.beats(f"{case}_{port}") == expected, f"{case}: beats left over on {port}"
        for port, beats in inputs.items():
            assert sim.beats(f"{case}_{port}") == len(beats), f"{case}: {port} was not taken to the end"


def memory_file(words: NDArray[np.int64], bits: int) -> str:
    """Text for $readmemh of words (depth, elements) of `bits` each, the first in the lowest bits."""
    return "".join(f"{word[::-1].tobytes().hex()}\n" for word in pack(words, bits))


def elaboration_error(
    module: str,
    parameters: Mapping[str, int | str],
    widths: Mapping[str, int],
    folder: Path,
    sources: tuple[str, ...] = (),
) -> str:
    """What stops Verilator when `module` gets these parameters; streams of `widths` bits."""
    top = folder / "bench.sv"
    top.write_text(_top(module, [Case("case_0", parameters)], lambda _: widths))
    with pytest.raises(VerificationError) as error:
        build(Design("bench", (*(RTL / f"{name}.sv" for name in (*sources, module)), top)))
    return str(error.value)


def _top(module: str, cases: list[Case], ports: Ports) -> str:
    declarations, bodies = ["input logic ap_clk", "input logic ap_rst_n"], []
    for case in cases:
        widths = ports(case.parameters)
        connections = [".ap_clk", ".ap_rst_n"]
        for port, bits in widths.items():
            ways = ("input", "output") if port.startswith("s") else ("output", "input")
            declarations += [
                f"{ways[0]} logic [{bits - 1}:0] {case.name}_{port}_tdata",
                f"{ways[0]} logic {case.name}_{port}_tvalid",
                f"{ways[1]} logic {case.name}_{port}_tready",
            ]
            connections += [
                f".{port}_{end}({case.name}_{port}_{end})" for end in ("tdata", "tvalid", "tready")
            ]
        parameters = ", ".join(f".{name}({value})" for name, value in case.parameters.items())
        bodies.append(f"  {module} #({parameters}) {case.name} ({', '.join(connections)});")
    return f"module bench ({', '.join(declarations)});\n" + "\n".join(bodies) + "\nendmodule\n"
