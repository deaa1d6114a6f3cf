"""The card of a checkpoint: what it is, how it was made, what it scores, what it is for.

How it was made is what the checkpoint's file says of itself; `finn_flow.card` measures the scores, which are
those of the accelerator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.evaluate import Scores
from model.spec import NetworkSpec
from model.summary import summarise, totals

CARD = """# {name}

QMobileFaceNet (Table I of Bunda, Spreeuwers, Zeinstra), quantised.

| | |
| --- | --- |
| weight bits, blocks 1 to 10 | {weights} |
| activation bits, blocks 1 to 10 | {acts} |
| residual streams | {streams} |
| depthwise stage | {depthwise} |
| weights | {count:,}, {share:.1%} of their 32-bit footprint |

## How it was made

{provenance}

## Scores

| | float | this checkpoint |
| --- | --- | --- |
{cosine}{lfw}
Measured by `python -m finn_flow.card`, LFW with the accelerator's integers, one image per face (no flip).

## Use

**Research use only**: the weights were made with photographs of celebrities. It turns an aligned 112×112
face into an embedding. {advice} It was not examined for differences between groups of people, and recognition
of people without their consent is not an intended use.
"""
COSINE = "| cosine to the float embedding, {unseen} unseen training faces | 1 | {cosine:.3f} |\n"
LFW = """| LFW, {pairs} pairs: accuracy | {source:.2%} ± {float_std:.2%} | {accuracy:.2%} ± {std:.2%} |
| LFW: area under the ROC | {float_auc:.4f} | {auc:.4f} |
| LFW: threshold of the cosine, best accuracy | {source_best:.4f} | {best:.4f} |
| LFW: threshold of the cosine, FAR 0.1% | {source_far:.4f} | {far:.4f} |
"""
NO_LFW = "| LFW | not measured | not measured |\n"
GOOD_COSINE, GOOD_ACCURACY = 0.9, 0.95  # from where on the embeddings are of use; LFW counts if measured
ADVICE = {
    True: "Its embeddings are near those of the float network.",
    False: "**Its embeddings are too far from the float network's to recognise faces reliably**: it serves "
    "to build and verify the accelerator until a trained one takes its place.",
}


@dataclass(frozen=True)
class Facts:
    """What was measured. lfw: scores of the float network and of this one. cosine: on `unseen` faces."""

    lfw: tuple[Scores, Scores] | None = None
    cosine: float | None = None
    unseen: int = 0

    @property
    def useful(self) -> bool:
        if self.lfw:
            return self.lfw[1].accuracy >= GOOD_ACCURACY
        return self.cosine is not None and self.cosine >= GOOD_COSINE


def card(name: str, spec: NetworkSpec, provenance: str, facts: Facts) -> str:
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
            source_best=_cosine(source.threshold_degrees),
            best=_cosine(ours.threshold_degrees),
            source_far=_cosine(source.threshold_0_1_percent),
            far=_cosine(ours.threshold_0_1_percent),
        )
    return CARD.format(
        name=name,
        weights=", ".join(map(str, spec.weight_bits)),
        acts=", ".join(map(str, spec.act_bits)),
        streams=", ".join(map(str, spec.stream_bits)),
        depthwise=spec.depthwise,
        count=total["weights"],
        share=total["share"],
        provenance=provenance,
        cosine="" if facts.cosine is None else COSINE.format(unseen=facts.unseen, cosine=facts.cosine),
        lfw=lfw,
        advice=ADVICE[facts.useful],
    )


def _cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))
