"""One network of a sweep: made from the float weights, trained or not, and measured.

A result is kept in `trials/` of the experiment's folder, under a name that changes with everything that it
depends on: an experiment that was interrupted goes on, and experiments in one folder share their networks.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from model.checkpoint import load_checkpoint, read_checkpoint
from model.evaluate import brevitas_embedding, evaluate, pairs_source, read_pairs
from model.experiments.plan import Making, Plan, section
from model.experiments.pool import run_all
from model.network import QMobileFaceNet
from model.spec import NetworkSpec, spec_of_section
from model.summary import summarise, totals
from model.table import BLOCKS, FLOAT_BITS
from model.teacher import folded_embedding
from model.train import BEST, begin, resume, train
from model.train_data import prepare
from model.train_files import STATE, load_state

HELD_OUT = "held-out people"  # the benchmark of the training set itself, by which anything is chosen

PTQ_READS = {"faces", "exclude", "calibration_faces", "held_out", "pairs", "distillation"}  # of the settings

Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """label: what it is in its experiment, such as block and width; method: how the network is made."""

    label: dict[str, Any]
    spec: NetworkSpec
    method: Making = "ptq"
    seed: int = 0


def base_spec(plan: Plan) -> NetworkSpec:
    """The specification of the float weights. Raises UserError("checkpoint", ...)."""
    return read_checkpoint(Path(plan.weights))[1]


def quantised(spec: NetworkSpec, bits: Sequence[int], residual: Sequence[int] | None = None) -> NetworkSpec:
    """The network with one width per block, of weights and activations alike."""
    widths = tuple(bits)
    streams = None if residual is None else tuple(residual)
    return replace(spec, weight_bits=widths, act_bits=widths, residual_bits=streams)


def uniform(spec: NetworkSpec, bits: int) -> NetworkSpec:
    return quantised(spec, (bits,) * BLOCKS)


def one_block(spec: NetworkSpec, block: int, bits: int) -> NetworkSpec:
    """Block 1..10 quantised, the rest float."""
    return quantised(spec, [bits if number == block else FLOAT_BITS for number in range(1, BLOCKS + 1)])


def run_trials(pool: Executor, plan: Plan, trials: Sequence[Trial], folder: Path) -> list[Row]:
    """A row per trial: its label, seed, method, footprint, and what was measured."""
    jobs = [(plan.model_dump_json(), section(t.spec), t.method, t.seed, str(folder)) for t in trials]
    if not all(result_file(plan, t.spec, t.method, t.seed, folder).is_file() for t in trials):
        first = trials[0]
        prepare(plan.settings(first.spec, first.seed, first.method), first.spec)  # fill the cache, once
    measured = run_all(pool, run_trial, jobs)
    return [
        {**trial.label, "method": trial.method, "seed": trial.seed, **footprint(trial.spec), **scores}
        for trial, scores in zip(trials, measured, strict=True)
    ]


def footprint(spec: NetworkSpec) -> dict[str, float]:
    """Bits of all weights, and their share of 32-bit weights."""
    total = totals(summarise(spec))
    return {"weight_bits_total": int(total["footprint"]), "share": total["share"]}


def run_trial(plan_json: str, network: dict[str, Any], method: Making, seed: int, folder: str) -> Row:
    """Make and measure one network, or read what was measured; arguments are plain: it may run elsewhere."""
    plan = Plan.model_validate_json(plan_json)
    spec = spec_of_section(network)
    result = result_file(plan, spec, method, seed, Path(folder))
    run = result.with_suffix("")
    if result.is_file():
        return dict(json.loads(result.read_text(encoding="utf-8")))
    settings = plan.settings(spec, seed, method)
    training = begin(settings)
    made = training.objective.network
    if method != "ptq":
        if (run / STATE).is_file():
            training = resume(run, load_state(run))
        train(training, run)
        made = load_checkpoint(run / BEST)
    scores = {HELD_OUT: training.validation.measure(folded_embedding(made)), **benchmarks(plan, made)}
    flat = {
        f"{set_name} {key}": value for set_name, values in scores.items() for key, value in values.items()
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    aside = result.with_name(f".{result.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(flat), encoding="utf-8")
    os.replace(aside, result)
    return flat


def benchmarks(plan: Plan, network: QMobileFaceNet) -> dict[str, dict[str, float]]:
    """Accuracy, its deviation over the folds, and AUC on each verification set."""
    result = {}
    for name, benchmark in plan.benchmarks.items():
        images = Path(benchmark.images)
        pairs = read_pairs(pairs_source(images, Path(benchmark.pairs) if benchmark.pairs else None))
        scores = evaluate(brevitas_embedding(network), images, pairs, size=network.spec.size)
        result[name] = {"accuracy": scores.accuracy, "std": scores.std, "auc": scores.auc}
    return result


def result_file(plan: Plan, spec: NetworkSpec, method: Making, seed: int, folder: Path) -> Path:
    """Named by a hash of all that a trial depends on; of what only training reads, PTQ knows nothing."""
    settings = plan.settings(spec, seed, method)
    told = settings.model_dump(include=PTQ_READS if method == "ptq" else None)
    weights = hashlib.sha256(Path(plan.weights).read_bytes()).hexdigest()
    sets = {name: benchmark.model_dump() for name, benchmark in plan.benchmarks.items()}
    about = json.dumps([told, asdict(spec), method, seed, weights, sets], sort_keys=True, default=str)
    return folder / "trials" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"


def sets_of(plan: Plan) -> list[str]:
    """The names of all sets that a row has scores on."""
    return [HELD_OUT, *plan.benchmarks]
