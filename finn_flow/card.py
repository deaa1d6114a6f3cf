"""Measures the accelerator of a configuration, and writes the card of its checkpoint beside that.

    python -m finn_flow.card --config hw_configs/w4a4.json --weights FLOAT.safetensors \\
        --images LFW.zip --pairs PAIRS [--faces ZIP... --exclude LIST]

Needs a build up to its step fold. LFW is scored with the accelerator's integers (`finn_flow.evaluate`): in
float32, roundings of Brevitas fall to the other side now and then, and another network answers. A checkpoint
that was only calibrated also has a cosine to the float network, on faces that it was not calibrated on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finn_flow.command import exit_code

UNSEEN = 96  # held-out training faces that the cosine is measured on


def _run(options: argparse.Namespace) -> Path:
    from finn_flow.config import load_config
    from finn_flow.evaluate import accelerator_embedding
    from model.calibrate import agreement, held_out
    from model.card import Facts, card
    from model.checkpoint import load_checkpoint, read_provenance
    from model.data import list_faces, read_exclusions, read_faces
    from model.evaluate import evaluate, read_pairs
    from model.teacher import load_teacher

    config = load_config(options.config)
    path, spec = config.checkpoint_file, config.network.spec()
    embeddings = (
        load_teacher(options.weights, spec.size)[0],
        accelerator_embedding(options.output_dir or config.build_folder),
    )
    pairs = read_pairs(options.pairs)
    source, ours = (evaluate(embed, options.images, pairs, size=spec.size) for embed in embeddings)
    facts = Facts(lfw=(source, ours))
    if options.faces:
        files = list_faces(options.faces, read_exclusions(options.exclude) if options.exclude else ())
        faces = read_faces(held_out(files, options.seed)[1][:UNSEEN], spec.size).images
        network = load_checkpoint(path, spec)
        cosine = agreement(network, load_checkpoint(options.weights), faces)
        facts = replace(facts, cosine=cosine, unseen=len(faces))
    result = path.with_suffix(".md")
    result.write_text(card(path.stem, spec, read_provenance(path), facts), encoding="utf-8")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, measure, write, and return the exit code."""
    parser = argparse.ArgumentParser(prog="finn_flow.card", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where its build is (default: the configuration's)")
    add("--weights", type=Path, required=True, help="the float network that it was made from, or .onnx")
    add("--images", type=Path, required=True, help="LFW, folder or zip")
    add("--pairs", type=Path, required=True, help="LFW's pairs.txt")
    add("--faces", type=Path, nargs="+", help="those of model.calibrate, if it was not trained")
    add("--exclude", type=Path, help="those of LFW among them")
    add("--seed", type=int, default=0, help="that of model.calibrate")
    options = parser.parse_args(arguments)
    return exit_code(lambda: print(_run(options)))


if __name__ == "__main__":
    sys.exit(main())
