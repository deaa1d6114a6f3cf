"""A whole accelerator on an ECP5: what it takes of the device, its routed clock, and how long that takes.

    python -m benchmarks.ecp5 [--config hw_configs/ecp5_tiny.json]

Needs the configuration's build up to the step `fifos` (build.py --config FILE --to fifos). Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow import ecp5
from finn_flow.bitstream import Netlist
from finn_flow.config import load_config
from finn_flow.netlist import input_stream, output_stream
from finn_flow.performance import layer_cycles
from finn_flow.simulate import read_sources


class Clock:
    """Progress that notes when each tool is done."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def __call__(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        self._last = time.monotonic()
        yield self._advance

    def _advance(self, units: int) -> None:
        now = time.monotonic()
        self.seconds.append(now - self._last)
        self._last = now


def netlist_of(build: Path, name: str) -> Netlist:
    """The netlist in a build's folder."""
    interval = max(layer_cycles(ModelWrapper(str(build / "rtl" / "model.onnx"))).values())
    model = ModelWrapper(str(build / "fifos" / "model.onnx"))
    sources = (*read_sources(build / "rtl"), *read_sources(build / "fifos"))
    return Netlist(name, sources, input_stream(model, interval).bits, output_stream(model).bits)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ecp5", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("hw_configs/ecp5_tiny.json"), metavar="FILE")
    config = load_config(parser.parse_args().config)
    clock, before = Clock(), os.times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"
        ecp5.write_project(folder, netlist_of(config.build_folder, config.build_folder.name))
        result = ecp5.run_project(folder, config.device, clock)
    after = os.times()
    assert result.utilisation is not None
    assert result.timing is not None
    cells = [*result.utilisation, "asked", "routed", "Yosys", "nextpnr", "ecppack", "CPU in all"]
    used = [f"{use['used']:,.0f} of {use['offered']:,.0f}" for use in result.utilisation.values()]
    clocks = [f"{mhz:.4g} MHz" for mhz in (result.clock_mhz, result.timing["fmax_mhz"])]
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    seconds = [f"{tool:.0f} s" for tool in (*clock.seconds, cpu)]
    for row in (cells, ["---"] * len(cells), [*used, *clocks, *seconds]):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
