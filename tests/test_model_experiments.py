"""Each experiment on a tiny network and random faces: what it makes, measures, writes and refuses."""

from __future__ import annotations

import csv
import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import UserError
from model.experiments import depthwise, layerwise, mixed, ptq_vs_qat, roc, trial, tsne
from model.experiments.__main__ import EXPERIMENTS, main
from model.experiments.plan import Plan, load_plan
from model.experiments.pool import Here
from model.experiments.trial import base_spec, one_block, run_trials
from model.spec import spec_of_section
from model.summary import summarise
from tests.training_world import PEOPLE, make_world, write_bin


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_bin(folder)
    return folder


def values(world: Path, **changes: Any) -> dict[str, Any]:
    return {
        "weights": str(world / "teacher.safetensors"),
        "faces": [str(world / "faces")],
        "exclude": str(world / "exclude.txt"),
        "cache": str(world / "cache"),
        "benchmarks": {"Random": {"images": str(world / "pairs.bin")}},
        "training": {"steps": 2, "every": 1, "batch": 8, "held_out": 12, "pairs": 20},
        "calibration_faces": 16,
        "bits": [4],
        "networks": {"float": str(world / "teacher.safetensors"), "w4a4": str(world / "start.safetensors")},
        **changes,
    }


def plan(world: Path, folder: Path, **changes: Any) -> Plan:
    path = folder / "plan.json"
    path.write_text(json.dumps(values(world, **changes)))
    return load_plan(path)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_files(folder: Path, name: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The three files of an experiment, the table and the data."""
    assert {path.suffix for path in folder.glob(f"{name}.*")} == {".csv", ".json", ".png"}
    with Image.open(folder / f"{name}.png") as picture:
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10
    data = json.loads((folder / f"{name}.json").read_text())
    rows = table(folder / f"{name}.csv")
    assert len(rows) == len(data["rows"]) > 0
    return rows, data


def test_ptq_against_qat(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = plan(world, tmp_path, seeds=[0, 1])
    ptq_vs_qat.run(given, Here(), tmp_path)
    rows, data = check_files(tmp_path, "ptq_vs_qat")
    assert [(row["bits"], row["method"], row["seed"]) for row in rows] == [
        *(("32", "ptq", "0"), ("32", "ptq", "1"), ("4", "ptq", "0"), ("4", "ptq", "1")),
        *(("4", "qat", "0"), ("4", "qat", "1")),
    ]
    assert float(rows[0]["held-out people cosine"]) == pytest.approx(1)  # the float network is the teacher
    assert float(rows[2]["held-out people cosine"]) < 0.99
    assert rows[4]["held-out people cosine"] != rows[2]["held-out people cosine"]
    assert {row["share"] for row in rows} == {"1.0", "0.125"}
    line = next(row for row in data["summary"] if row["set"] == "Random" and row["method"] == "qat")
    both = [float(row["Random accuracy"]) for row in rows[4:]]
    assert line["mean"] == pytest.approx(np.mean(both))
    assert line["std"] == pytest.approx(np.std(both, ddof=1))
    assert (line["bits"], line["runs"]) == (4, 2)

    # nothing is made again, by another experiment of the same folder either
    monkeypatch.setattr(trial, "begin", None)
    ptq_vs_qat.run(given, Here(), tmp_path)
    assert table(tmp_path / "ptq_vs_qat.csv") == rows
    longer = plan(world, tmp_path, seeds=[0], training={**given.training, "steps": 5})
    with pytest.raises(TypeError):
        ptq_vs_qat.run(longer, Here(), tmp_path)  # QAT of five steps is another training


def test_one_block_alone_is_quantised(world: Path, tmp_path: Path) -> None:
    given = plan(world, tmp_path)
    spec = one_block(base_spec(given), 3, 2)
    assert (spec.weight_bits, spec.stream_bits) == ((32, 32, 2) + (32,) * 7, [2, 32, 32])
    last = trial.Trial({}, one_block(base_spec(given), 10, 4))
    everything = trial.Trial({}, trial.uniform(base_spec(given), 2))
    rows = run_trials(Here(), given, [last, everything], tmp_path)
    assert 0.9 < rows[0]["held-out people cosine"] < 1
    assert rows[1]["held-out people cosine"] < 0.5
    assert rows[0]["weight_bits_total"] > rows[1]["weight_bits_total"]


HURT = {3: 0.4, 4: 0.3, 5: 0.2}  # blocks that suffer from few bits, in `fake_trial`


def fake_trial(plan_json: str, network: dict[str, Any], method: str, seed: int, folder: str) -> trial.Row:
    """Scores that fall with the bits of each block, more in some."""
    widths = spec_of_section(network).weight_bits
    loss = sum(HURT.get(block, 0.01) / width for block, width in enumerate(widths, 1) if width != 32)
    names = ("held-out people", *Plan.model_validate_json(plan_json).benchmarks)
    scores = {"accuracy": 1 - loss - 0.001 * seed, "auc": 1 - loss / 2}
    return {"held-out people cosine": 1 - loss} | {f"{n} {k}": v for n in names for k, v in scores.items()}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "run_trial", fake_trial)
    monkeypatch.setattr(trial, "prepare", lambda settings, spec: None)


@pytest.mark.usefixtures("fake")
def test_layerwise(world: Path, tmp_path: Path) -> None:
    given = plan(world, tmp_path, bits=[8, 2], methods=["ptq", "qat"], seeds=[0, 1])
    layerwise.run(given, Here(), tmp_path)
    rows, data = check_files(tmp_path, "layerwise")
    assert len(rows) == 10 * 2 * 2 * 2
    weights = {str(row.block): str(row.weights) for row in summarise(base_spec(given))}
    assert {row["block"]: row["parameters"] for row in rows} == weights
    worst = min(rows, key=lambda row: float(row["Random accuracy"]))
    assert (worst["block"], worst["bits"]) == ("3", "2")
    assert data["plan"]["seeds"] == [0, 1]


@pytest.mark.usefixtures("fake")
def test_mixed(world: Path, tmp_path: Path) -> None:
    given = plan(world, tmp_path, bits=[8, 4, 2], footprints=[0.01, 0.09, 0.125])
    mixed.run(given, Here(), tmp_path)
    rows, data = check_files(tmp_path, "mixed")
    kinds: dict[str, list[str]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row["network"])
    assert kinds["uniform"] == ["8" * 10, "4" * 10, "2" * 10]
    assert kinds["paper"] == ["88" + "4" * n + "2" * (8 - n) for n in range(9)]
    assert kinds["streams"] == [f"8844422222 streams {bits}" for bits in (2, 4, 8)]
    assert len(kinds["search"]) == 2  # nothing fits 1 %
    assert len(data["summary"]["sensitivities"]) == 30

    def best(kind: str, share: float) -> float:
        fitting = [row for row in rows if row["kind"] == kind and float(row["share"]) <= share]
        return max(float(row["held-out people cosine"]) for row in fitting)

    for share in (0.09, 0.125):
        assert best("search", share) > best("paper", share)


def test_a_benchmark_is_not_looked_at_by_the_search(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run_trials(pool: Executor, given: Plan, trials: list[trial.Trial], folder: Path) -> list[trial.Row]:
        asked.append(list(given.benchmarks))
        label = [{**t.label, "method": t.method, "seed": t.seed, **trial.footprint(t.spec)} for t in trials]
        scores = [fake_trial(given.model_dump_json(), trial.section(t.spec), "ptq", 0, "") for t in trials]
        return [{**a, **b} for a, b in zip(label, scores, strict=True)]

    monkeypatch.setattr(mixed, "run_trials", run_trials)
    mixed.run(plan(world, tmp_path), Here(), tmp_path)
    assert asked == [[], ["Random"]]  # sensitivities first


def test_tsne(world: Path, tmp_path: Path) -> None:
    given = plan(world, tmp_path, identities=3)
    tsne.run(given, Here(), tmp_path)
    rows, data = check_files(tmp_path, "tsne")
    assert len(rows) == 2 * 3 * 6
    assert {row["network"] for row in rows} == {"float", "w4a4"}
    assert {row["person"] for row in rows} == {"1", "2", "3"}
    angles = data["summary"]["float"]
    assert 0 < angles["mated"] < angles["non_mated"] < 180
    with pytest.raises(UserError, match=r"^identities = 12: only 11 people have at least 4 faces$"):
        tsne.run(plan(world, tmp_path, identities=PEOPLE), Here(), tmp_path)


def test_roc(world: Path, tmp_path: Path) -> None:
    roc.run(plan(world, tmp_path), Here(), tmp_path)
    rows, data = check_files(tmp_path, "roc")
    for scores in data["summary"]:
        own = [row for row in rows if row["network"] == scores["network"]]
        fpr, tpr = ([float(row[name]) for row in own] for name in ("fpr", "tpr"))
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(tpr, fpr) == pytest.approx(scores["auc"])
        assert scores["set"] == "Random"


@pytest.mark.parametrize(
    ("experiment", "changes", "message"),
    [
        ("tsne", {"networks": {}}, "networks = {}: missing; name the checkpoints to show"),
        ("roc", {"networks": {}}, "networks = {}: missing; an ROC needs networks and verification sets"),
        ("roc", {"benchmarks": {}}, "benchmarks = {}: missing; an ROC needs networks and verification sets"),
        ("mixed", {"bits": [4, 9]}, "bits = 9: must be 2..8"),
        ("mixed", {"bitz": [4]}, "bitz = [4]: unknown key; did you mean 'bits'?"),
        (
            "layerwise",
            {"training": {"seed": 3}},
            "training.seed = 3: is set by the experiment; leave it out",
        ),
        ("layerwise", {"training": {"epoch": 3}}, "epoch = 3: unknown key; did you mean 'epochs'?"),
        ("layerwise", {"methods": ["dorefa"]}, "methods.0 = 'dorefa': must be 'ptq' or 'qat'"),
    ],
)
def test_mistakes(
    world: Path, tmp_path: Path, experiment: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        EXPERIMENTS[experiment](plan(world, tmp_path, **changes), Here(), tmp_path)
    assert str(caught.value) == message


def test_the_command(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(values(world)))
    main(["roc", "--config", str(file), "--out", str(tmp_path / "out"), "--jobs", "1"])
    assert capsys.readouterr().out.split() == [str(tmp_path / f"out/roc.{s}") for s in ("csv", "json", "png")]


def test_both_depthwise_stages_are_trained_from_the_same_random_start(world: Path, tmp_path: Path) -> None:
    given = plan(world, tmp_path)
    depthwise.run(given, Here(), tmp_path)
    rows, _ = check_files(tmp_path, "depthwise")
    assert [(row["depthwise"], row["method"]) for row in rows] == [
        ("bn_relu", "scratch"),
        ("linear", "scratch"),
    ]
    for made, row in zip(depthwise.trials(given), rows, strict=True):
        steps = depthwise.curve(given, made, tmp_path)
        assert [step["step"] for step in steps] == [0, 1, 2]
        assert float(row["held-out people cosine"]) == pytest.approx(
            max(s["cosine"] for s in steps), abs=1e-5
        )
        assert len({step["cosine"] for step in steps}) == 3


@pytest.mark.parametrize("name", ["lfw", "depthwise"])
def test_the_shipped_plans_load(name: str) -> None:
    given = load_plan(Path(f"model/recipes/experiments/{name}.json"))
    assert given.exclude == "data/lfw-overlap.txt"
    assert not any("lfw" in Path(source).stem for source in given.faces)
    qat = given.settings(spec_of_section({"weight_bits": 4, "act_bits": 4}), 1)
    assert (qat.epochs, qat.steps) == {"lfw": (20, None), "depthwise": (None, 1500)}[name]
