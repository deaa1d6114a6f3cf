"""Table II: uniform widths, post-training quantised and trained, mean and deviation over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from matplotlib.figure import Figure

from model.experiments.output import COLOURS, figure, grouped, mean_std, write
from model.experiments.plan import Method, Plan
from model.experiments.trial import Row, Trial, base_spec, run_trials, sets_of, uniform
from model.table import FLOAT_BITS

METHODS: tuple[Method, ...] = ("ptq", "qat")
PAPER = {  # Table II: set, method, bits -> accuracy in %
    ("LFW", "ptq"): {32: 98.85, 8: 94.65, 4: 63.15, 2: 51.55},
    ("LFW", "qat"): {32: 98.85, 8: 98.68, 4: 98.63, 2: 93.45},
    ("AgeDB-30", "ptq"): {32: 90.38, 8: 73.42, 4: 54.98, 2: 50.55},
    ("AgeDB-30", "qat"): {32: 90.38, 8: 88.79, 4: 88.20, 2: 75.62},
}


def trials(plan: Plan) -> list[Trial]:
    """The float network, then each width by both methods."""
    spec = base_spec(plan)
    floats = [Trial({"bits": FLOAT_BITS}, uniform(spec, FLOAT_BITS), "ptq", seed) for seed in plan.seeds]
    return floats + [
        Trial({"bits": bits}, uniform(spec, bits), method, seed)
        for method in METHODS
        for bits in plan.bits
        for seed in plan.seeds
    ]


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError."""
    rows = run_trials(pool, plan, trials(plan), folder)
    return write(folder, "ptq_vs_qat", plan, rows, draw(plan, rows), table(plan, rows))


def table(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Mean and deviation per set, method and width, beside the paper's mean where it has one."""
    return [
        {
            "set": name,
            "method": method,
            "bits": bits,
            **dict(zip(("mean", "std"), mean_std(own, f"{name} accuracy"), strict=True)),
            "runs": len(own),
            "paper_percent": PAPER.get((name, method), {}).get(bits),
        }
        for name in sets_of(plan)
        for (method, bits), own in grouped(rows, lambda row: (row["method"], row["bits"]))
    ]


def draw(plan: Plan, rows: Sequence[Row]) -> Figure:
    """A panel per set: accuracy over width, a line per method, the float network dashed."""
    sets = sets_of(plan)
    trained = plan.model_copy(update={"methods": METHODS})
    result, axes = figure(1, len(sets), trained.caption("qat"))
    for panel, name in zip(axes, sets, strict=True):
        own = [row for row in table(plan, rows) if row["set"] == name]
        for method, colour in zip(METHODS, COLOURS, strict=False):
            line = [row for row in own if row["method"] == method and row["bits"] != FLOAT_BITS]
            panel.errorbar(
                [str(row["bits"]) for row in line],
                [100 * row["mean"] for row in line],
                [100 * row["std"] for row in line],
                marker="o",
                capsize=3,
                color=colour,
                label=method.upper(),
            )
        panel.axhline(100 * own[0]["mean"], linestyle="--", color="#555555", label="float")
        panel.set(title=name, xlabel="bits", ylabel="accuracy, %")
        panel.legend(fontsize=7)
    return result
