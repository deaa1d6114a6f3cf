"""What an experiment leaves: `NAME.csv`, `NAME.json` and `NAME.png`, each written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.experiments.plan import Plan
from model.experiments.trial import Row

COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8e6c8a", "#c77d0a", "#555555", "#17a2a2", "#a0522d")
DPI = 140


def write(
    folder: Path, name: str, plan: Plan, rows: Sequence[Row], figure: Figure, summary: Any = None
) -> list[Path]:
    """The three files; `summary` is what the JSON says beside the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    data = {"experiment": name, "plan": plan.model_dump(), "summary": summary, "rows": list(rows)}
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    contents = {
        "csv": text.getvalue().encode(),
        "json": (json.dumps(data, indent=2) + "\n").encode(),
        "png": picture.getvalue(),
    }
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{name}.{suffix}"
        aside = path.with_name(f".{path.name}.part")
        aside.write_bytes(content)
        os.replace(aside, path)
        paths.append(path)
    return paths


def figure(
    rows: int, columns: int, caption: str, *, height: float = 3.4, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of axes and a caption below that states what it was made of."""
    result = Figure(figsize=(max(6.4, 4.6 * columns), height * rows + 0.4), layout="constrained")
    axes = np.atleast_1d(np.asarray(result.subplots(rows, columns, **options))).flatten().tolist()
    result.supxlabel(caption, fontsize=7, color="#555555")
    return result, axes


def grouped(rows: Sequence[Row], key: Callable[[Row], Any]) -> Iterator[tuple[Any, list[Row]]]:
    """The rows by `key`, in the order of its first values."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    yield from groups.items()


def mean_std(rows: Sequence[Row], column: str) -> tuple[float, float]:
    """Over the seeds; the deviation is that of the sample (n - 1), 0 of a single one."""
    values = [row[column] for row in rows]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
