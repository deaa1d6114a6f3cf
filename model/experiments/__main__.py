"""The command: `python -m model.experiments NAME --config FILE.json --out FOLDER`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from model.console import run
from model.experiments import depthwise, layerwise, mixed, ptq_vs_qat, roc, tsne
from model.experiments.plan import Plan, load_plan
from model.experiments.pool import executor

EXPERIMENTS: dict[str, Callable[[Plan, Executor, Path], list[Path]]] = {
    "layerwise": layerwise.run,
    "ptq_vs_qat": ptq_vs_qat.run,
    "mixed": mixed.run,
    "tsne": tsne.run,
    "roc": roc.run,
    "depthwise": depthwise.run,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="model.experiments",
        description="The paper's experiments. What was measured already in the folder is not measured again.",
    )
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the plan, as JSON")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help="processes (%(default)s)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://...; sees --out too")
    args = parser.parse_args(arguments)
    plan = load_plan(args.config)
    with executor(args.jobs, args.scheduler) as pool:
        for path in EXPERIMENTS[args.experiment](plan, pool, args.out):
            print(path)


if __name__ == "__main__":
    run(main)
