"""Fig. 1: each block alone at 8, 4 and 2 bits with the rest float, and how many parameters it has.

A residual stream has the width of the block that opens it: where a block only stays on a stream (5 and 7, and
all but the first bottleneck of each), its adds stay float.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from matplotlib.figure import Figure

from model.experiments.output import COLOURS, figure, grouped, mean_std, write
from model.experiments.plan import Plan
from model.experiments.trial import HELD_OUT, Row, Trial, base_spec, one_block, run_trials, sets_of
from model.summary import summarise
from model.table import BLOCKS


def trials(plan: Plan) -> list[Trial]:
    """Block by block, from the first to the last."""
    spec = base_spec(plan)
    weights = {row.block: row.weights for row in summarise(spec)}
    return [
        Trial(
            {"block": block, "bits": bits, "parameters": weights[block]},
            one_block(spec, block, bits),
            method,
            seed,
        )
        for block in range(1, BLOCKS + 1)
        for bits in plan.bits
        for method in plan.methods
        for seed in plan.seeds
    ]


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError."""
    rows = run_trials(pool, plan, trials(plan), folder)
    return write(folder, "layerwise", plan, rows, draw(plan, rows))


def draw(plan: Plan, rows: Sequence[Row]) -> Figure:
    """A panel per set and, below, the parameters per block."""
    sets = sets_of(plan)
    result, axes = figure(len(sets) + 1, 1, plan.caption("qat"), height=2.6, sharex=True)
    for panel, name in zip(axes, sets, strict=False):
        for index, ((bits, method), own) in enumerate(
            grouped(rows, lambda row: (row["bits"], row["method"]))
        ):
            blocks = list(grouped(own, lambda row: row["block"]))
            values = [mean_std(group, f"{name} accuracy") for _, group in blocks]
            panel.errorbar(
                [block for block, _ in blocks],
                [100 * mean for mean, _ in values],
                [100 * std for _, std in values],
                marker="o",
                linestyle="--" if method == "ptq" else "-",
                color=COLOURS[index % len(COLOURS)],
                label=f"{bits} bit {method.upper()}",
            )
        panel.set_ylabel("accuracy, %")
        panel.set_title("held-out people of the training set" if name == HELD_OUT else name)
        panel.legend(fontsize=7)
    parameters = {row["block"]: row["parameters"] for row in rows}
    axes[-1].bar(list(parameters), list(parameters.values()), color=COLOURS[5])
    axes[-1].set(yscale="log", ylabel="parameters", xlabel="block", xticks=list(parameters))
    return result
