"""Training of a QMobileFaceNet: float or quantised, by a classification header, by distillation, or by both.

python -m model.train --config model/recipes/qat_distill.json --out RUN
python -m model.train --resume RUN
torchrun --nproc-per-node=8 -m model.train --config FILE --out RUN

RUN then holds `state.pt` (all that resuming needs), `best.safetensors` (the checkpoint that is best on
held-out people), `train.csv` (a line a step), `validation.csv`, and both for TensorBoard.

A step's batch, its augmentation and its learning rate follow from the seed and the number of the step, so a
state has no random generator to remember, and a resumed training has the same loss curve.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model.checkpoint import save_checkpoint
from model.console import progress, run
from model.distributed import Place, placed
from model.errors import UserError
from model.event_log import log_scalars, open_log
from model.objective import Objective
from model.spec import NetworkSpec
from model.teacher import Vectors, combined, folded_embedding
from model.train_data import TrainingData, batch_of, held_out_people, prepare
from model.train_files import STATE, append, forget_after, load_state, save_state
from model.train_provenance import provenance
from model.train_settings import Settings, load_settings
from model.train_start import (
    State,
    fill,
    network_to_train,
    spec_text,
    spec_to_train,
    teachers_directions,
)
from model.validation import Validation

BEST, LOG, VALIDATION_LOG = "best.safetensors", "train.csv", "validation.csv"


@dataclass
class Training:
    """Everything a step needs. rotations: (E, E) each, see `model.teacher.directions`."""

    settings: Settings
    place: Place
    data: TrainingData
    targets: Vectors | None  # (N, E)
    rotations: list[Vectors]
    validation: Validation
    objective: Objective
    loss: nn.Module  # the same, in as many processes as there are
    optimiser: torch.optim.Optimizer
    origin: str  # how the network was made that it started from
    step: int = 0
    best: float = -1.0

    @property
    def steps(self) -> int:
        """How many it takes in all."""
        of_epoch = len(self.data.rows) // self.settings.batch
        return self.settings.steps or (self.settings.epochs or 0) * of_epoch


# --- the training at its start, or where a state left it ---


def begin(settings: Settings, place: Place | None = None, state: State | None = None) -> Training:
    """Raises UserError with the setting that is wrong."""
    place = place or Place()
    if settings.batch % place.world:
        raise UserError("batch", settings.batch, f"must be a multiple of the {place.world} processes")
    torch.manual_seed(settings.seed)
    spec = spec_to_train(settings, state)
    data = prepared(settings, spec, place)
    network, origin = network_to_train(settings, spec, data, state)
    network = network.to(place.device)
    rotations = teachers_directions(network, data, state)
    targets = combined(data.teachers, rotations) if data.teachers else None
    held = held_out_people(data, targets, settings)
    objective = Objective(network, settings, data.classes).to(place.device)
    loss, optimiser = place.wrapped(objective), make_optimiser(objective, settings)
    parts = (targets, rotations, held, objective, loss, optimiser, origin)
    training = Training(settings, place, data, *parts)
    if state:
        fill(objective.head, state["head"])
        optimiser.load_state_dict(state["optimiser"])
        training.step, training.best = state["step"], state["best"]
    return training


def prepared(settings: Settings, spec: NetworkSpec, place: Place) -> TrainingData:
    """The first process fills the cache, the others read it then."""
    if not place.first:
        place.wait()
    data = prepare(settings, spec)
    if place.first:
        place.wait()
    return data


def make_optimiser(objective: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            objective.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.Adam(objective.parameters(), settings.lr, weight_decay=settings.weight_decay)


def save(training: Training, folder: Path) -> None:
    """All that resuming needs."""
    rotations = [torch.from_numpy(turn) for turn in training.rotations]
    state = {
        "settings": training.settings.model_dump_json(),
        "spec": spec_text(training.objective.network.spec),
        "origin": training.origin,
        "network": training.objective.network.state_dict(),
        "head": training.objective.head.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "rotations": torch.stack(rotations) if rotations else torch.zeros(0),
        "step": training.step,
        "best": training.best,
    }
    save_state(state, folder)


# --- the loop ---


def learning_rate(step: int, settings: Settings, steps: int) -> float:
    """Of step 0 .. steps - 1: a line up, then half a cosine down, or a tenth after each milestone."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    if settings.schedule == "steps":
        return settings.lr * 0.1 ** sum(step >= milestone for milestone in settings.milestones)
    done = (step - settings.warmup) / max(1, steps - settings.warmup)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * done))


def train_step(training: Training) -> float:
    """One step on one batch; the loss before it."""
    data, device = training.data, training.place.device
    for group in training.optimiser.param_groups:
        group["lr"] = learning_rate(training.step, training.settings, training.steps)
    x, rows = batch_of(data, training.settings, training.place, training.step)
    labels = torch.from_numpy(data.labels[rows]).to(device)
    targets = None if training.targets is None else torch.from_numpy(training.targets[rows]).to(device)
    loss = training.loss(x, labels, targets)
    training.optimiser.zero_grad()
    loss.backward()
    training.optimiser.step()
    training.step += 1
    return training.place.mean(loss)


def validate(training: Training, folder: Path) -> dict[str, float]:
    """Measure on held-out people, log, and keep the state if it is the best so far."""
    network, held = training.objective.network, training.validation
    measured = held.measure(folded_embedding(network))
    append(folder / VALIDATION_LOG, {"step": training.step, **measured})
    print(f"step {training.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in measured.items()), flush=True)
    if measured[held.criterion] > training.best:
        training.best = measured[held.criterion]
        text = provenance(training.settings, training.origin, training.data, held, training.step, measured)
        save_checkpoint(network, folder / BEST, text)
    return measured


def train(training: Training, folder: Path) -> None:
    """To the last step, with a state in `folder` at every validation."""
    first, events = training.place.first, Path()
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        for log in (LOG, VALIDATION_LOG):
            forget_after(folder / log, training.step)
        events = open_log(folder, training.step)
        if training.step == 0:
            log_scalars(events, 0, validate(training, folder))
    for _ in progress(range(training.step, training.steps), "training"):
        started = time.perf_counter()
        loss = train_step(training)
        if not first:
            continue
        seconds = round(time.perf_counter() - started, 3)
        append(folder / LOG, {"step": training.step, "loss": loss, "seconds": seconds})
        log_scalars(events, training.step, {"loss": loss})
        if training.step % training.settings.every == 0 or training.step == training.steps:
            log_scalars(events, training.step, validate(training, folder))
            save(training, folder)


def resume(folder: Path, state: State, place: Place | None = None) -> Training:
    """The training in a folder, where its last state is. Raises UserError("resume", ...)."""
    try:
        return begin(settings_of(folder, state), place, state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError("resume", str(folder), f"its state does not fit this program ({error})") from None


def settings_of(folder: Path, state: State) -> Settings:
    try:
        return Settings.model_validate_json(state["settings"])
    except (KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError("resume", str(folder), f"its state does not fit this program ({reason})") from None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="model.train", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, metavar="FILE", help="a new training, see model/recipes/")
    parser.add_argument("--out", type=Path, metavar="RUN", help="its folder")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with the training in this folder")
    args = parser.parse_args(arguments)
    if args.resume:
        state = load_state(args.resume)
        with placed(settings_of(args.resume, state).device) as place:
            train(resume(args.resume, state, place), args.resume)
        return
    for name in ("config", "out"):
        if getattr(args, name) is None:
            raise UserError(name, None, "missing; a new training needs it")
    if (args.out / STATE).exists():
        raise UserError("out", str(args.out), "holds a training already; go on with it by --resume")
    settings = load_settings(args.config)
    with placed(settings.device) as place:
        train(begin(settings, place), args.out)


if __name__ == "__main__":
    run(main)
