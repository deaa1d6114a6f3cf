"""The two depthwise stages: batch norm and ReLU (MobileFaceNet), or neither (the paper's section II.B).

Both are trained in float from random weights on the same batches: only one of them has pretrained weights, so
that fine-tuning would compare the weights and not the structures.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import get_args

from matplotlib.figure import Figure

from model.experiments.output import COLOURS, figure, write
from model.experiments.plan import Plan
from model.experiments.trial import HELD_OUT, Row, Trial, base_spec, result_file, run_trials, uniform
from model.spec import DepthwiseStage
from model.table import FLOAT_BITS
from model.train import VALIDATION_LOG


def trials(plan: Plan) -> list[Trial]:
    """A training per structure and seed."""
    spec = uniform(base_spec(plan), FLOAT_BITS)
    return [
        Trial({"depthwise": stage}, replace(spec, depthwise=stage), "scratch", seed)
        for stage in get_args(DepthwiseStage)
        for seed in plan.seeds
    ]


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError."""
    made = trials(plan)
    rows = run_trials(pool, plan, made, folder)
    return write(folder, "depthwise", plan, rows, draw(plan, made, folder))


def curve(plan: Plan, trial: Trial, folder: Path) -> list[Row]:
    """What was measured on held-out people in the course of a training."""
    log = result_file(plan, trial.spec, trial.method, trial.seed, folder).with_suffix("") / VALIDATION_LOG
    with log.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def draw(plan: Plan, made: Sequence[Trial], folder: Path) -> Figure:
    """Accuracy on held-out people, and where there is a teacher the cosine to it, over the steps."""
    curves = [(trial, curve(plan, trial, folder)) for trial in made]
    columns = [name for name in ("accuracy", "cosine") if name in curves[0][1][0]]
    result, axes = figure(1, len(columns), plan.caption("scratch"))
    stages = list(get_args(DepthwiseStage))
    for panel, column in zip(axes, columns, strict=True):
        for trial, rows in curves:
            panel.plot(
                [row["step"] for row in rows],
                [row[column] for row in rows],
                color=COLOURS[stages.index(trial.spec.depthwise)],
                label=f"{trial.spec.depthwise}, seed {trial.seed}",
            )
        panel.set(title=HELD_OUT, xlabel="step", ylabel=column)
        panel.legend(fontsize=7)
    return result
