"""Simulates one layer of a finished build alone, or the whole accelerator with a waveform.

    python -m finn_flow.rtlsim --config hw_configs/tiny.json --node MVAU_3 [--frames N] [--trace FILE.fst]
    python -m finn_flow.rtlsim --config hw_configs/tiny.json --trace FILE.fst

The streams are compared with the executor's integers. Exit code: 0 all equal, 1 something differs or stalls,
2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finn_flow.command import exit_code
from model.config_errors import similar
from model.errors import UserError
from verification.errors import MismatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "model.onnx"
LEAST_FRAMES = 2


def simulate_layer(build: Path, name: str, pixels: NDArray[np.int8], trace: Path | None) -> str:
    """One layer alone, its Verilog as it lies in <build>/rtl; what to tell the user.

    Raises UserError for an unknown layer, MismatchError and StalledError as `verification.layer`.
    """
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.backends import is_hls, layer_instance, module_name
    from finn_flow.fifo_sizing import close
    from finn_flow.performance import instance_cycles
    from finn_flow.simulate import read_sources, waivers
    from verification.layer import Layer
    from verification.verilator.build import Design
    from verification.verilator.build import build as build_library

    folder = build / "rtl"
    model = ModelWrapper(str(folder / MODEL))
    nodes = {node.name: node for node in model.graph.node}
    if name not in nodes:
        raise UserError("--node", name, similar(name, list(nodes)))
    layer = layer_instance(nodes[name])
    sources = [folder / path.name for path in layer.modules()] + [folder / f"{name}.v"]
    if is_hls(nodes[name]):
        files = read_sources(folder)  # Vitis HLS alone knows which of them it consists of
        sources = [*waivers(files), *files]
    library = build_library(Design(module_name(nodes[name]), tuple(sources), trace is not None))
    estimated = instance_cycles(layer)
    run = Layer(model, name, layer.stream_widths()).run(library, folder, pixels, estimated, trace)
    interval = run.intervals[-1]
    verdict = "as estimated" if close(interval, estimated) else "not as estimated"
    return (
        f"{name}: {run.elements:,} integers of {len(pixels)} frames equal; latency {run.latency:,} cycles, "
        f"{interval:,} cycles a frame, {estimated:,} by the estimate: {verdict} within 1 % or 16 cycles"
    )


def simulate_accelerator(build: Path, pixels: NDArray[np.int8], trace: Path) -> str:
    """The whole accelerator with a waveform, every stream compared; what to tell the user."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.performance import layer_cycles
    from finn_flow.simulate import build_accelerator, read_sources
    from verification.accelerator import Accelerator

    layers, netlist = build / "rtl", build / "fifos"
    library = build_accelerator(read_sources(layers), read_sources(netlist), trace=True)
    interval = max(layer_cycles(ModelWrapper(str(layers / MODEL))).values())
    with Accelerator(library, layers, ModelWrapper(str(netlist / MODEL)), trace) as accelerator:
        run, compared = accelerator.checked_run(pixels, interval)
    return (
        f"accelerator: {compared:,} integers of {len(pixels)} frames equal; latency {run.latency:,} cycles, "
        f"{run.intervals[-1]:,} from frame to frame"
    )


def _run(options: argparse.Namespace) -> str:
    from finn_flow.config import load_config
    from finn_flow.simulate import int8_frames

    if options.node is None and options.trace is None:
        raise UserError("--node", None, "name a layer, or give --trace for the whole accelerator")
    if options.frames < LEAST_FRAMES:
        rule = f"must be at least {LEAST_FRAMES}: cycles a frame are counted from frame to frame"
        raise UserError("--frames", options.frames, rule)
    if options.trace is not None and not options.trace.resolve().parent.is_dir():
        raise UserError("--trace", str(options.trace), "there is no such folder to write in")
    config = load_config(options.config)
    build = options.output_dir or config.build_folder
    if not all((build / step / MODEL).is_file() for step in ("rtl", "fifos")):
        rule = f"no RTL in {build}; run build.py --config {options.config} --to fifos first"
        raise UserError("--config", str(options.config), rule)
    pixels = int8_frames(options.frames, options.images, config.network.input_size)
    if options.node is not None:
        return simulate_layer(build, options.node, pixels, options.trace)
    return simulate_accelerator(build, pixels, options.trace)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, simulate, and return the exit code."""
    from verification.verilator.simulation import StalledError

    parser = argparse.ArgumentParser(
        prog="finn_flow.rtlsim",
        description="Simulate one layer of a finished build, or the whole accelerator with a waveform.",
        epilog="Exit code: 0 all integers equal, 1 something differs or stalls, 2 bad input.",
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where its build is (default: the configuration's)")
    add("--node", metavar="NAME", help="a layer as the report names it (MVAU_3); default: all of them")
    add("--frames", type=int, default=3, metavar="N", help="frames back to back (default: %(default)s)")
    add("--images", type=Path, metavar="DIR", help="faces to simulate (default: free ones)")
    add("--trace", type=Path, metavar="FILE", help="write a waveform in FST format, for GTKWave or Surfer")
    options = parser.parse_args(arguments)
    return exit_code(lambda: print(_run(options)), (MismatchError, StalledError))


if __name__ == "__main__":
    sys.exit(main())
