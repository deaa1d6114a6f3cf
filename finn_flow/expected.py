"""The integers that an accelerator must make of faces, for the driver to compare with on the board:

    python -m finn_flow.expected --config hw_configs/w4a4.json --images lfw.zip --out lfw.npz
    python -m driver evaluate --images lfw.zip --expected lfw.npz          # on the board

They are the integer executor's, of the folded graph that `verify` compared with Brevitas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.command import exit_code
from finn_flow.config import load_config
from model.console import progress
from model.data import list_faces, read_faces
from model.errors import UserError
from model.network import PIXEL_OFFSET
from verification.executor import Executor

BATCH = 32
MODEL = Path("fold", "model.onnx")


def expected(executor: Executor, faces: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Accumulators (N, E) of faces (N, size, size, 3)."""
    frames = faces.astype(np.int16) - PIXEL_OFFSET
    accumulators = executor.run(frames)[executor.outputs[0]]
    return accumulators.reshape(len(faces), -1).astype(np.int32)


def write_expected(path: Path, names: Sequence[str], accumulators: NDArray[np.int32]) -> None:
    """`names` (N,) and `accumulators` (N, E) int32, as `driver/evaluate.py` reads them."""
    np.savez(path, names=np.array(names), accumulators=accumulators)


def _run(options: argparse.Namespace) -> str:
    config = load_config(options.config)
    model = (options.output_dir or config.build_folder) / MODEL
    if not model.is_file():
        rule = f"no graph in {model.parent}; run build.py --config {options.config} --to fold first"
        raise UserError("--config", str(options.config), rule)
    if options.out.suffix != ".npz" or not options.out.resolve().parent.is_dir():
        raise UserError("--out", str(options.out), "give a .npz file in a folder that is there")
    executor, files = Executor(ModelWrapper(str(model))), list_faces([options.images])
    batches = []
    for start in progress(range(0, len(files), BATCH), "faces"):
        faces = read_faces(files[start : start + BATCH], config.network.input_size, strict=True)
        batches.append(expected(executor, faces.images))
    write_expected(options.out, [file.name for file in files], np.concatenate(batches))
    return f"{options.out}: the integers of {len(files)} faces"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, compute, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="finn_flow.expected", description="Write the integers that an accelerator must make of faces."
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where its build is (default: the configuration's)")
    add("--images", type=Path, required=True, metavar="DIR", help="folder or zip of aligned faces")
    add("--out", type=Path, required=True, metavar="FILE", help="a .npz file")
    options = parser.parse_args(arguments)
    return exit_code(lambda: print(_run(options)))


if __name__ == "__main__":
    sys.exit(main())
