"""What a trained checkpoint says of how it was made; its card quotes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model.train_data import TrainingData
from model.train_settings import Settings
from model.validation import Validation

OPTIMISERS = {"adam": "Adam", "sgd": "SGD"}


def provenance(
    settings: Settings,
    origin: str,
    data: TrainingData,
    held: Validation,
    step: int,
    measured: Mapping[str, float],
) -> str:
    """`origin` is what was true of the network before; `measured` is that of this step."""
    sources = ", ".join(Path(source).stem for source in settings.faces)
    values = ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
    return (
        f"{origin}\n\n"
        f"Then trained by `python -m model.train`: {' and '.join(losses(settings, data))}, step {step:,} "
        f"with {settings.batch} of {len(data.rows):,} faces ({sources}; {data.excluded} identities left "
        f"out), {OPTIMISERS[settings.optimiser]} at {settings.lr:g}, seed {settings.seed}. Chosen as the "
        f"state with the highest {held.criterion} on {len(held.images)} faces of people held out of the "
        f"training ({len(held.pairs.same):,} pairs): {values}."
    )


def losses(settings: Settings, data: TrainingData) -> list[str]:
    """What it was trained by, in words."""
    found = []
    if settings.head:
        name = {"softmax": "softmax", "arcface": "ArcFace"}[settings.head.kind]
        found.append(f"a {name} header over {data.classes:,} identities")
    if settings.distillation:
        names = " and ".join(Path(teacher).name for teacher in settings.distillation.teachers)
        layers = " and of block outputs" if settings.distillation.layer_weight else ""
        found.append(f"distillation from {names} (1 - cosine of the embeddings{layers})")
    return found
