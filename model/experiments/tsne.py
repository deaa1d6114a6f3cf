"""Fig. 3: the embeddings of ten people's faces in two dimensions by t-SNE, per network.

People are numbered; their names are not shown. The figure gives no numbers by itself, so the JSON has the
mean angle between faces of one person and between those of two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from model.data import Faces, list_faces, read_exclusions, read_faces
from model.errors import UserError
from model.experiments.output import figure, write
from model.experiments.plan import Plan
from model.experiments.pool import run_all
from model.experiments.trial import Row, base_spec
from model.teacher import Vectors, load_teacher, normalised

EACH = 40  # faces of a person that are shown at most
LEAST = 4
BATCH = 32
PERPLEXITY = 30.0


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError("networks" or "identities", ...)."""
    if not plan.networks:
        raise UserError("networks", {}, "missing; name the checkpoints to show")
    jobs = [(plan.model_dump_json(), name) for name in plan.networks]
    found = run_all(pool, project, jobs)
    rows = [row for points, _ in found for row in points]
    summary = dict(zip(plan.networks, [angles for _, angles in found], strict=True))
    return write(folder, "tsne", plan, rows, draw(plan, rows), summary)


def project(plan_json: str, network: str) -> tuple[list[Row], dict[str, float]]:
    """A point per face, and the mean angles in degrees, of one network."""
    plan = Plan.model_validate_json(plan_json)
    size = base_spec(plan).size
    faces = people(plan, size)
    embed, _ = load_teacher(Path(plan.networks[network]), size)
    batches = [embed(faces.images[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
    vectors = normalised(np.concatenate(batches))
    tsne = TSNE(
        metric="cosine",
        init="pca",
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        random_state=plan.seeds[0],
    )
    number = {name: index for index, name in enumerate(dict.fromkeys(faces.identities), 1)}
    numbers = np.array([number[name] for name in faces.identities])
    rows = [
        {"network": network, "person": int(person), "x": float(x), "y": float(y)}
        for person, (x, y) in zip(numbers, tsne.fit_transform(vectors), strict=True)
    ]
    return rows, mean_angles(vectors, numbers)


def people(plan: Plan, size: int) -> Faces:
    """Faces of the people with the most, EACH at most. Raises UserError("identities", ...)."""
    excluded = read_exclusions(Path(plan.exclude)) if plan.exclude else []
    files = [file for file in list_faces(map(Path, plan.faces), excluded) if file.identity]
    counts = Counter(file.identity for file in files)
    chosen = [name for name, count in counts.most_common(plan.identities) if count >= LEAST]
    if len(chosen) < plan.identities:
        rule = f"only {len(chosen)} people have at least {LEAST} faces"
        raise UserError("identities", plan.identities, rule)
    kept = [[file for file in files if file.identity == name][:EACH] for name in chosen]
    return read_faces([file for own in kept for file in own], size)


def mean_angles(vectors: Vectors, numbers: np.ndarray) -> dict[str, float]:
    """Degrees between faces of one person (mated) and of two."""
    left, right = np.triu_indices(len(vectors), 1)
    cosine = (vectors[left] * vectors[right]).sum(1, dtype=np.float64)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    mated = numbers[left] == numbers[right]
    return {"mated": float(angle[mated].mean()), "non_mated": float(angle[~mated].mean())}


def draw(plan: Plan, rows: Sequence[Row]) -> Figure:
    """A panel per network, a colour per person."""
    result, axes = figure(1, len(plan.networks), plan.caption(None))
    for panel, name in zip(axes, plan.networks, strict=True):
        own: list[dict[str, Any]] = [row for row in rows if row["network"] == name]
        points = np.array([(row["x"], row["y"]) for row in own])
        panel.scatter(points[:, 0], points[:, 1], c=[row["person"] for row in own], cmap="tab10", s=8)
        panel.set(title=name, xticks=[], yticks=[])
    return result
