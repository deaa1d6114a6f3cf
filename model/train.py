"""Quantisation-aware training of a QMobileFaceNet by distillation: it learns the embeddings of teachers.

python -m model.train --start w4a4 --teachers FILE... --faces ZIP... --exclude LIST --cache DIR --out RUN
python -m model.train --resume RUN

RUN holds `state.pt` (all that resuming needs), `best.safetensors` (the checkpoint with the highest cosine to
the teachers on held-out people), `train.csv` (a line a step) and `validation.csv`.

The loss is 1 - cosine between the student's embedding and the teachers' mean, computed once per face. A
face and its mirror image have the same target, so the student learns the mean of both. The batch norms'
statistics are frozen, see `model.folded`. A step's batch, its mirroring and its learning rate follow from the
seed and the number of the step, so a state has no random generator to remember.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.checkpoint import load_checkpoint, read_provenance, save_checkpoint
from model.console import progress, run
from model.data import list_faces, pixels, read_exclusions
from model.errors import UserError
from model.face_cache import CachedFaces, cached_embeddings, cached_faces
from model.folded import FoldedNetwork
from model.network import QMobileFaceNet
from model.spec import NetworkSpec, find_checkpoint
from model.teacher import Vectors, combined, directions, folded_embedding, load_teacher, normalised
from model.train_files import STATE, append, forget_after, load_state, save_state
from model.validation import FOLDS, Rows, Validation, hold_out, random_pairs

BEST, LOG, VALIDATION_LOG = "best.safetensors", "train.csv", "validation.csv"
ALIGNED = 2000  # faces by which the teachers' embeddings are turned into the same directions


@dataclass(frozen=True)
class Settings:
    """What defines a training; kept in its state."""

    start: str  # checkpoint to start from: a shipped one's name, or a file
    teachers: tuple[str, ...]  # .safetensors or .onnx, first the float network that `start` was made from
    faces: tuple[str, ...]  # folders and zips
    exclude: str | None  # list of identities to leave out
    cache: str  # folder for decoded faces and the teacher's embeddings
    steps: int = 4000
    batch: int = 32
    lr: float = 1e-3  # Adam's; the paper's value for QAT
    warmup: int = 100  # steps until the learning rate is reached; from there on half a cosine down to 0
    every: int = 200  # steps from one validation, and saved state, to the next
    held_out: int = 600  # faces of held-out people, about
    pairs: int = 1500  # of one person each, and as many of two
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "every", "lr"):
            if getattr(self, name) <= 0:
                raise UserError(name, getattr(self, name), "must be more than 0")


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings of the command line or of a state, where lists stand for tuples."""
    given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    return Settings(**given)


@dataclass
class Training:
    """Everything a step needs. rotations: (E, E) each, see `model.teacher.directions`."""

    settings: Settings
    network: QMobileFaceNet
    student: FoldedNetwork  # the same, as it is trained
    optimiser: torch.optim.Optimizer
    faces: CachedFaces
    rows: Rows
    targets: Vectors
    validation: Validation
    rotations: list[Vectors]
    excluded: int  # identities
    origin: str  # provenance of the checkpoint that it started from
    step: int = 0
    best: float = -1.0


# --- data ---


@lru_cache(maxsize=1)
def epoch_order(count: int, epoch: int, seed: int) -> tuple[Tensor, Tensor]:
    """The faces of an epoch in their order, and which of them are mirrored."""
    random = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    return torch.randperm(count, generator=random), torch.rand(count, generator=random) < 0.5


def batch_of(training: Training, step: int) -> tuple[Tensor, Tensor]:
    """Pixels minus 128 (B, 3, size, size) and targets (B, E); an epoch ends with its last full batch."""
    settings, rows = training.settings, training.rows
    epoch, at = divmod(step, len(rows) // settings.batch)
    order, mirrored = epoch_order(len(rows), epoch, settings.seed)
    chosen = order[at * settings.batch : (at + 1) * settings.batch]
    faces = rows[chosen.numpy()]
    x = pixels(training.faces.images[faces])
    x = torch.where(mirrored[chosen][:, None, None, None], x.flip(3), x)
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(training.targets[faces])


def prepare(settings: Settings, spec: NetworkSpec) -> tuple[CachedFaces, list[Vectors], int]:
    """The decoded faces, each teacher's embeddings of them (N, E), and how many identities were left out."""
    excluded = read_exclusions(Path(settings.exclude)) if settings.exclude else []
    sources = [Path(source) for source in settings.faces]
    everything, files = list_faces(sources), list_faces(sources, excluded)
    found = {file.identity for file in everything} & set(excluded)
    print(f"{len(everything) - len(files)} faces of {len(found)} excluded identities left out", flush=True)
    faces = cached_faces(files, spec.size, Path(settings.cache))
    for line in faces.rejected:
        print(f"left out: {line}")
    raw = []
    for path in settings.teachers:
        teacher, name = load_teacher(Path(path), spec.size)
        raw.append(cached_embeddings(teacher, name, faces, Path(settings.cache)))
        if raw[-1].shape[1] != spec.embedding:
            rule = f"embeds in {raw[-1].shape[1]} dimensions, the student in {spec.embedding}"
            raise UserError("teachers", path, rule)
    return faces, raw, len(found)


# --- model, from a checkpoint or as a state left it ---


def begin(settings: Settings, state: dict[str, Any] | None = None) -> Training:
    """A training at its start, or where `state` is."""
    start = find_checkpoint("start", settings.start, Path())
    network = load_checkpoint(start)
    faces, raw, excluded = prepare(settings, network.spec)
    rows, held = hold_out(faces.identities, settings.held_out, settings.seed)
    if len(rows) < settings.batch:
        raise UserError("batch", settings.batch, f"more than the {len(rows)} faces to train on")
    rotations = list(state["rotations"].numpy()) if state else _rotations(network, faces, raw, rows)
    targets = combined(raw, rotations)
    pairs = random_pairs([faces.identities[row] for row in held], settings.pairs, settings.seed)
    if pairs.same.sum() < FOLDS:
        rule = f"{len(held)} held-out faces make fewer than {FOLDS} pairs; give more people, in folders"
        raise UserError("faces", settings.faces, rule)
    training = Training(
        settings,
        network,
        FoldedNetwork(network),
        torch.optim.Adam(network.parameters(), lr=settings.lr),
        faces,
        rows,
        targets,
        Validation(np.asarray(faces.images[held]), targets[held], pairs),
        rotations,
        excluded,
        read_provenance(start),
    )
    if state:
        with torch.no_grad():  # in place: load_state_dict makes Brevitas replace its parameters by new ones
            for name, tensor in network.state_dict().items():
                tensor.copy_(state["network"][name])
        training.optimiser.load_state_dict(state["optimiser"])
        training.step, training.best = state["step"], state["best"]
    return training


def _rotations(network: QMobileFaceNet, faces: CachedFaces, raw: list[Vectors], rows: Rows) -> list[Vectors]:
    """By the first embeddings of the student, on faces that it trains on."""
    chosen = rows[:: max(1, len(rows) // ALIGNED)]
    embed = folded_embedding(network)
    ours = np.concatenate([embed(faces.images[chosen[i : i + 32]]) for i in range(0, len(chosen), 32)])
    return directions([own[chosen] for own in raw], normalised(ours))


def provenance(training: Training, measured: dict[str, float]) -> str:
    """What the checkpoint of this step says of how it was made."""
    settings = training.settings
    sources = ", ".join(Path(source).stem for source in settings.faces)
    held = training.validation
    return (
        f"{training.origin}\n\n"
        f"Then trained, quantised as it is here, by `python -m model.train`: distillation from "
        f"{' and '.join(Path(teacher).name for teacher in settings.teachers)} (loss: 1 - cosine of the "
        f"embeddings), step {training.step:,} of "
        f"{settings.steps:,} with {settings.batch} of {len(training.rows):,} faces ({sources}; "
        f"{training.excluded} identities left out), Adam at {settings.lr:g}, seed {settings.seed}. Chosen as "
        f"the state nearest to the teachers on {len(held.images)} faces of people held out of the training: "
        f"cosine {measured['cosine']:.4f}, accuracy on {len(held.pairs.same):,} pairs "
        f"{measured['accuracy']:.2%}."
    )


def save(training: Training, folder: Path) -> None:
    """All that resuming needs."""
    state = {
        "settings": json.dumps(asdict(training.settings)),
        "network": training.network.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "rotations": torch.from_numpy(np.stack(training.rotations)),
        "step": training.step,
        "best": training.best,
    }
    save_state(state, folder)


def resume(folder: Path) -> Training:
    """The training in a folder, where its last state is. Raises UserError("resume", ...)."""
    state = load_state(folder)
    try:
        settings = settings_from(json.loads(state["settings"]))
        return begin(settings, state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError("resume", str(folder), f"its state does not fit this program ({error})") from None


# --- evaluation ---


def validate(training: Training, folder: Path) -> None:
    """Measure on held-out people, log, and keep the state if it is the best so far."""
    measured = training.validation.measure(folded_embedding(training.network))
    append(folder / VALIDATION_LOG, {"step": training.step, **measured})
    print(f"step {training.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in measured.items()), flush=True)
    if measured["cosine"] > training.best:
        training.best = measured["cosine"]
        save_checkpoint(training.network, folder / BEST, provenance(training, measured))


# --- loop ---


def learning_rate(step: int, settings: Settings) -> float:
    """Of step 0 .. steps - 1: a line up, then half a cosine down.

    >>> s = Settings("w4a4", "t", (), None, "c", steps=110, warmup=10, lr=1.0)
    >>> [round(learning_rate(step, s), 3) for step in (0, 4, 9, 60, 109)]
    [0.1, 0.5, 1.0, 0.5, 0.0]
    """
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * done))


def train_step(training: Training) -> float:
    """One step of Adam on one batch; the loss before it."""
    for group in training.optimiser.param_groups:
        group["lr"] = learning_rate(training.step, training.settings)
    x, target = batch_of(training, training.step)
    loss = (1 - F.cosine_similarity(training.student(x), target)).mean()
    training.optimiser.zero_grad()
    loss.backward()
    training.optimiser.step()
    training.step += 1
    return loss.item()


def train(training: Training, folder: Path) -> None:
    """To the last step, with a state in `folder` at every validation."""
    settings = training.settings
    folder.mkdir(parents=True, exist_ok=True)
    for log in (LOG, VALIDATION_LOG):
        forget_after(folder / log, training.step)
    if training.step == 0:
        validate(training, folder)
    for _ in progress(range(training.step, settings.steps), "training"):
        started = time.perf_counter()
        loss = train_step(training)
        seconds = time.perf_counter() - started
        append(folder / LOG, {"step": training.step, "loss": loss, "seconds": round(seconds, 3)})
        if training.step % settings.every == 0 or training.step == settings.steps:
            validate(training, folder)
            save(training, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.train", description=__doc__.splitlines()[0])
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with the training in this folder")
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder of a new training")
    parser.add_argument("--start", help="checkpoint to start from: name of a shipped one, or a file")
    parser.add_argument(
        "--teachers",
        nargs="+",
        help="float checkpoints (.safetensors) or .onnx; first the one that the start was made from",
    )
    parser.add_argument("--faces", nargs="+", help="folders or zips of faces")
    parser.add_argument("--exclude", help="identities to leave out, one a line")
    parser.add_argument("--cache", help="folder for decoded faces and the teacher's embeddings")
    for name, kind in (("steps", int), ("batch", int), ("lr", float), ("warmup", int), ("every", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Settings, name), help="(%(default)s)")
    parser.add_argument("--held-out", type=int, default=Settings.held_out, help="faces (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.resume:
        train(resume(args.resume), args.resume)
        return
    for name in ("out", "start", "teachers", "faces", "cache"):
        if not getattr(args, name):
            raise UserError(name, None, "missing; a new training needs it")
    if (args.out / STATE).exists():
        raise UserError("out", str(args.out), "holds a training already; go on with it by --resume")
    given = {key: value for key, value in vars(args).items() if key not in ("resume", "out")}
    train(begin(settings_from(given)), args.out)


if __name__ == "__main__":
    run(main)
