"""The card of a checkpoint: what it is, how it was made, what it scores, what it is for.

python -m model.card --checkpoint w4a4 --weights FLOAT.safetensors --faces ZIP... --exclude LIST \
    --images LFW.zip --pairs PAIRS
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from model.calibrate import agreement, held_out
from model.checkpoint import load_checkpoint
from model.console import run
from model.data import list_faces, read_exclusions, read_faces
from model.evaluate import Scores, brevitas_embedding, evaluate, read_pairs
from model.spec import NetworkSpec, find_checkpoint
from model.summary import summarise, totals

UNSEEN = 96  # held-out training faces that the cosine is measured on

CARD = """# {name}

QMobileFaceNet (Table I of Bunda, Spreeuwers, Zeinstra), post-training quantised. Nothing was trained after
quantisation.

| | |
| --- | --- |
| weight bits, blocks 1 to 10 | {weights} |
| activation bits, blocks 1 to 10 | {acts} |
| residual streams | {streams} |
| depthwise stage | {depthwise} |
| weights | {count:,}, {share:.1%} of their 32-bit footprint |

Source: relu_mobilefacenet (Apache-2.0), fitted to Table I by `python -m model.pretrained`, then
`python -m model.calibrate` on 96 faces of celebrity photographs without the people of LFW.

## Scores

| | float | this checkpoint |
| --- | --- | --- |
| cosine to the float embedding, {unseen} unseen training faces | 1 | {cosine:.3f} |
{lfw}
Measured by `python -m model.card` with the Brevitas network, one image per face (no flip).

## Use

**Research use only**: the weights were calibrated on photographs of celebrities. It turns an aligned 112×112
face into an embedding. {advice} It was not examined for differences between groups of people, and recognition
of people without their consent is not an intended use.
"""
LFW = """| LFW, {pairs} pairs: accuracy | {source:.2%} ± {float_std:.2%} | {accuracy:.2%} ± {std:.2%} |
| LFW: area under the ROC | {float_auc:.4f} | {auc:.4f} |
"""
NO_LFW = "| LFW | not measured | not measured |\n"
GOOD = 0.9  # cosine to the float embedding above which the embeddings are of use
ADVICE = {
    True: "Its embeddings are near those of the float network.",
    False: "**Its embeddings are too far from the float network's to recognise faces reliably**: it serves "
    "to build and verify the accelerator until a trained one takes its place.",
}


@dataclass(frozen=True)
class Facts:
    """What was measured. lfw: scores of the float network and of this one."""

    cosine: float
    unseen: int
    lfw: tuple[Scores, Scores] | None


def card(name: str, spec: NetworkSpec, facts: Facts) -> str:
    """The card as Markdown."""
    total = totals(summarise(spec))
    lfw = NO_LFW
    if facts.lfw is not None:
        source, ours = facts.lfw
        lfw = LFW.format(
            pairs=ours.pairs,
            accuracy=ours.accuracy,
            std=ours.std,
            auc=ours.auc,
            source=source.accuracy,
            float_std=source.std,
            float_auc=source.auc,
        )
    return CARD.format(
        name=name,
        weights=", ".join(map(str, spec.weight_bits)),
        acts=", ".join(map(str, spec.act_bits)),
        streams=", ".join(map(str, spec.stream_bits)),
        depthwise=spec.depthwise,
        count=total["weights"],
        share=total["share"],
        cosine=facts.cosine,
        unseen=facts.unseen,
        lfw=lfw,
        advice=ADVICE[facts.cosine >= GOOD],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.card", description="Measure a checkpoint, write its card.")
    parser.add_argument("--checkpoint", required=True, help="name of a shipped one, or a file")
    parser.add_argument("--weights", type=Path, required=True, help="the float checkpoint it was made from")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="those of model.calibrate")
    parser.add_argument("--exclude", type=Path)
    parser.add_argument("--images", type=Path, help="LFW, folder or zip")
    parser.add_argument("--pairs", type=Path, help="LFW's pairs.txt")
    parser.add_argument("--seed", type=int, default=0, help="that of model.calibrate")
    args = parser.parse_args()
    path = find_checkpoint("checkpoint", args.checkpoint, Path())
    network, source = load_checkpoint(path), load_checkpoint(args.weights)
    files = list_faces(args.faces, read_exclusions(args.exclude) if args.exclude else ())
    faces = read_faces(held_out(files, args.seed)[1][:UNSEEN], network.spec.size).images
    lfw = None
    if args.images and args.pairs:
        pairs = read_pairs(args.pairs)
        with torch.no_grad():
            source_scores, scores = (
                evaluate(brevitas_embedding(net), args.images, pairs, size=net.spec.size)
                for net in (source, network)
            )
        lfw = source_scores, scores
    facts = Facts(agreement(network, source, faces), len(faces), lfw)
    path.with_suffix(".md").write_text(card(path.stem, network.spec, facts), encoding="utf-8")


if __name__ == "__main__":
    run(main)
