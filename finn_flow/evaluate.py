"""The accelerator's own verification accuracy: its integers through the protocol of `model.evaluate`.

    python -m finn_flow.evaluate --config hw_configs/w4a4.json --images lfw.zip --pairs pairs.txt [--flip]

Needs a build up to its step fold. Every embedding is scale * accumulators + offset, as the host computes it,
with the accumulators of the folded hardware graph by the integer executor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finn_flow.command import exit_code
from model.errors import UserError

if TYPE_CHECKING:
    from model.evaluate import Embed

MODEL, HOST = Path("fold", "model.onnx"), Path("streamline", "io.npz")


def accelerator_embedding(build: Path) -> Embed:
    """`embed` of the hardware graph in a build folder: uint8 (N, size, size, 3) -> float64 (N, E).

    Raises UserError("--config", ...) if the folder holds no such graph.
    """
    import numpy as np
    from qonnx.core.modelwrapper import ModelWrapper

    from model.data import Images, pixels
    from verification.executor import Executor
    from verification.executor.embed import embedder

    for path in (MODEL, HOST):
        if not (build / path).is_file():
            raise UserError("--config", str(build), f"has no {path}; run build.py with --to fold first")
    host = np.load(build / HOST)
    embed = embedder(Executor(ModelWrapper(str(build / MODEL))), host["scale"], host["offset"])

    def embed_faces(faces: Images) -> np.ndarray:
        return embed(pixels(faces))

    return embed_faces


def _run(options: argparse.Namespace) -> str:
    from finn_flow.config import load_config
    from model.evaluate import evaluate, pairs_source, read_pairs, report

    config = load_config(options.config)
    source = pairs_source(options.images, options.pairs)
    pairs = read_pairs(source)
    embed = accelerator_embedding(options.output_dir or config.build_folder)
    scores = evaluate(embed, options.images, pairs, options.flip, config.network.input_size)
    return report(scores, source.stem, options.flip, options.json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, evaluate, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="finn_flow.evaluate", description="The verification accuracy of the accelerator's integers."
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where its build is (default: the configuration's)")
    add("--images", type=Path, required=True, help="folder, zip or .bin of aligned faces")
    add("--pairs", type=Path, help="pairs.txt; a .bin holds its pairs itself")
    add("--flip", action="store_true", help="add the embedding of the mirror image")
    add("--json", action="store_true")
    options = parser.parse_args(arguments)
    return exit_code(lambda: print(_run(options)))


if __name__ == "__main__":
    sys.exit(main())
