"""Fig. 2: footprint of the weights against accuracy, over mixed-precision networks.

Four kinds: uniform widths; the paper's (blocks 1 and 2 at 8 bits, then 4 bits up to some block, then 2);
those that the search proposes for a footprint; and the paper's best with residual streams of 2, 4 and 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from matplotlib.figure import Figure

from model.experiments import layerwise
from model.experiments.output import COLOURS, figure, grouped, mean_std, write
from model.experiments.plan import Plan
from model.experiments.search import propose
from model.experiments.trial import HELD_OUT, Row, Trial, base_spec, quantised, run_trials, sets_of
from model.spec import NetworkSpec
from model.summary import summarise
from model.table import BLOCKS, FLOAT_BITS, residual_streams

PAPER_BEST = (8, 8, 4, 4, 4, 2, 2, 2, 2, 2)  # 98.17 % on LFW at 10 % of the footprint
STREAM_BITS = (2, 4, 8)


def candidates(plan: Plan, sensitivities: Sequence[Row]) -> dict[str, dict[str, NetworkSpec]]:
    """Networks by kind and name, each network once in a kind."""
    spec = base_spec(plan)
    weights = [row.weights for row in summarise(spec)]
    paper = [(8, 8) + (4,) * fours + (2,) * (BLOCKS - 2 - fours) for fours in range(BLOCKS - 1)]
    losses = {(block, bits): _loss(own) for (block, bits), own in grouped(sensitivities, _place)}
    budgets = [share * FLOAT_BITS * sum(weights) for share in plan.footprints]
    found = [propose(losses, weights, plan.bits, int(budget)) for budget in budgets]
    kinds = {
        "uniform": [(bits,) * BLOCKS for bits in plan.bits],
        "paper": paper,
        "search": [widths for widths in dict.fromkeys(found) if widths is not None],
    }
    result = {
        kind: {named(widths): quantised(spec, widths) for widths in each} for kind, each in kinds.items()
    }
    streams = len(residual_streams())
    result["streams"] = {
        f"{named(PAPER_BEST)} streams {bits}": quantised(spec, PAPER_BEST, (bits,) * streams)
        for bits in STREAM_BITS
    }
    return result


def named(widths: Sequence[int]) -> str:
    """A network by its widths, such as 8844422222."""
    return "".join(map(str, widths))


def _place(row: Row) -> tuple[int, int]:
    return row["block"], row["bits"]


def _loss(rows: Sequence[Row]) -> float:
    """How far the embeddings of held-out people are from the float network's."""
    column = f"{HELD_OUT} cosine" if f"{HELD_OUT} cosine" in rows[0] else f"{HELD_OUT} auc"
    return 1 - mean_std(rows, column)[0]


def run(plan: Plan, pool: Executor, folder: Path) -> list[Path]:
    """Raises UserError."""
    quick = plan.model_copy(update={"methods": ("ptq",), "seeds": plan.seeds[:1], "benchmarks": {}})
    sensitivities = run_trials(pool, quick, layerwise.trials(quick), folder)
    trials = [
        Trial({"kind": kind, "network": name}, spec, method, seed)
        for kind, specs in candidates(plan, sensitivities).items()
        for name, spec in specs.items()
        for method in plan.methods
        for seed in plan.seeds
    ]
    rows = run_trials(pool, plan, trials, folder)
    return write(folder, "mixed", plan, rows, draw(plan, rows), {"sensitivities": sensitivities})


def draw(plan: Plan, rows: Sequence[Row]) -> Figure:
    """A panel per set: million bits of weights against accuracy."""
    sets = sets_of(plan)
    result, axes = figure(1, len(sets), plan.caption("qat"))
    for panel, name in zip(axes, sets, strict=True):
        for index, ((kind, method), own) in enumerate(
            grouped(rows, lambda row: (row["kind"], row["method"]))
        ):
            networks = [group for _, group in grouped(own, lambda row: row["network"])]
            networks.sort(key=lambda group: group[0]["weight_bits_total"])
            panel.plot(
                [group[0]["weight_bits_total"] / 1e6 for group in networks],
                [100 * mean_std(group, f"{name} accuracy")[0] for group in networks],
                marker="os^D"[index % 4],
                linestyle="" if kind == "streams" else "-",
                color=COLOURS[index % len(COLOURS)],
                label=f"{kind} {method.upper()}",
            )
        panel.set(title=name, xlabel="weights, million bits", ylabel="accuracy, %")
        panel.legend(fontsize=7)
    return result
