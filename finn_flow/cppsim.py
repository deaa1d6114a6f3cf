"""Compiles and runs the C++ of FINN's HLS layers of a network: one alone, or all of them in one program.

    python -m finn_flow.cppsim --config hw_configs/tiny.json [--frames N]
    python -m finn_flow.cppsim --config hw_configs/tiny.json --node MVAU_3 [--code DIR]

The streams are compared with the executor's integers. Exit code: 0 all equal, 1 something differs,
2 bad input.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from finn_flow.command import exit_code
from model.config_errors import similar
from model.errors import UserError
from verification.errors import MismatchError

if TYPE_CHECKING:
    from finn_flow.config import BuildConfig

MODEL = "model.onnx"


def simulate(config: BuildConfig, build: Path, options: argparse.Namespace) -> str:
    """All layers, or the one that is named; what to tell the user. Raises as `verification.cppsim.check`."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.console import Console
    from finn_flow.hls.generate import cpp_network
    from finn_flow.simulate import int8_frames

    model = ModelWrapper(str(build / "fold" / MODEL))
    names = [node.name for node in model.graph.node]
    if options.node is not None and options.node not in names:
        raise UserError("--node", options.node, similar(options.node, names))
    pixels = int8_frames(options.frames, options.images, config.network.input_size)
    with ExitStack() as stack:
        folder = options.code or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network = cpp_network(model, config.device, folder)
        if options.node is not None:
            elements = network.check_layer(options.node, pixels)
            return f"{options.node}: {elements:,} integers of {len(pixels)} frames equal"
        checked = network.check(pixels, Console().progress)
        return f"{checked.layers} layers: {checked.elements:,} integers of {len(pixels)} frames equal"


def _run(options: argparse.Namespace) -> str:
    from finn_flow.config import load_config

    if options.frames < 1:
        raise UserError("--frames", options.frames, "must be at least 1")
    if options.code is not None and options.code.exists():
        raise UserError("--code", str(options.code), "exists; give a folder that does not")
    config = load_config(options.config)
    build = options.output_dir or config.build_folder
    if not (build / "fold" / MODEL).is_file():
        rule = f"no folded graph in {build}; run build.py --config {options.config} --to fold first"
        raise UserError("--config", str(options.config), rule)
    return simulate(config, build, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, simulate, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="finn_flow.cppsim",
        description="Compile and run the C++ of FINN's HLS layers; compare its integers with the executor's.",
        epilog="Exit code: 0 all integers equal, 1 something differs, 2 bad input.",
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where its build is (default: the configuration's)")
    add("--node", metavar="NAME", help="a layer as the report names it (MVAU_3); default: all of them")
    add("--frames", type=int, default=2, metavar="N", help="(default: %(default)s)")
    add("--images", type=Path, metavar="DIR", help="faces to simulate (default: free ones)")
    add("--code", type=Path, metavar="DIR", help="keep the generated C++ there")
    options = parser.parse_args(arguments)
    return exit_code(lambda: print(_run(options)), (MismatchError,))


if __name__ == "__main__":
    sys.exit(main())
