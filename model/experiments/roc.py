"""Fig. 4: ROC curves of networks on verification sets, with the area under each and its value at 1 % FPR."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from model.errors import UserError
from model.evaluate import angles, pairs_source, read_pairs, score
from model.evaluate import roc as roc_curve
from model.experiments.output import COLOURS, figure, write
from model.experiments.plan import Plan
from model.experiments.pool import run_all
from model.experiments.trial import Row, base_spec
from model.teacher import load_teacher

MARKED = 0.01  # the false positive rate that the paper marks


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError."""
    for name, given in (("networks", plan.networks), ("benchmarks", plan.benchmarks)):
        if not given:
            raise UserError(name, {}, "missing; an ROC needs networks and verification sets")
    places = [(benchmark, network) for benchmark in plan.benchmarks for network in plan.networks]
    found = run_all(pool, curve, [(plan.model_dump_json(), *place) for place in places])
    rows = [row for points, _ in found for row in points]
    summary = [
        {"set": benchmark, "network": network, **scores}
        for (benchmark, network), (_, scores) in zip(places, found, strict=True)
    ]
    return write(folder, "roc", plan, rows, draw(plan, rows, summary), summary)


def curve(plan_json: str, benchmark: str, network: str) -> tuple[list[Row], dict[str, float]]:
    """The corners of one curve, and the scores."""
    plan = Plan.model_validate_json(plan_json)
    size = base_spec(plan).size
    given = plan.benchmarks[benchmark]
    images = Path(given.images)
    pairs = read_pairs(pairs_source(images, Path(given.pairs) if given.pairs else None))
    embed, _ = load_teacher(Path(plan.networks[network]), size)
    found = angles(embed, images, pairs, size=size)
    fpr, tpr = roc_curve(found, pairs)
    rows = [
        {"set": benchmark, "network": network, "fpr": float(x), "tpr": float(y)} for x, y in corners(fpr, tpr)
    ]
    return rows, asdict(score(found, pairs))


def corners(fpr: np.ndarray, tpr: np.ndarray) -> list[tuple[float, float]]:
    """The points of a curve without those within a straight vertical or horizontal run.

    >>> corners(np.array([0, 0, 0, 0.5, 1.0]), np.array([0, 0.5, 1.0, 1.0, 1.0]))
    [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    """
    points = [(float(x), float(y)) for x, y in zip(fpr, tpr, strict=True)]
    within = [
        a[0] == b[0] == c[0] or a[1] == b[1] == c[1]
        for a, b, c in zip(points, points[1:], points[2:], strict=False)
    ]
    return [
        points[0],
        *(point for point, drop in zip(points[1:-1], within, strict=True) if not drop),
        points[-1],
    ]


def draw(plan: Plan, rows: Sequence[Row], summary: Sequence[dict[str, Any]]) -> Figure:
    """A panel per set, a curve per network, the points at 1 % FPR marked."""
    result, axes = figure(1, len(plan.benchmarks), plan.caption(None), height=4.0)
    for panel, benchmark in zip(axes, plan.benchmarks, strict=True):
        for index, scores in enumerate(s for s in summary if s["set"] == benchmark):
            name, colour = scores["network"], COLOURS[index % len(COLOURS)]
            own = [row for row in rows if row["set"] == benchmark and row["network"] == name]
            label = f"{name}, AUC {scores['auc']:.4f}"
            panel.plot([row["fpr"] for row in own], [row["tpr"] for row in own], color=colour, label=label)
            panel.plot(MARKED, scores["tpr_at_fpr_1_percent"], "o", color=colour)
        panel.set(title=benchmark, xlabel="false positive rate", ylabel="true positive rate")
        panel.legend(fontsize=7)
    return result
