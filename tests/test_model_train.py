from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import train as module
from model.checkpoint import load_checkpoint, read_provenance
from model.distributed import Place
from model.errors import UserError
from model.train import begin, learning_rate, resume, train, train_step
from model.train_files import load_state
from tests.networks import small_spec
from tests.training_world import losses, make_world, settings, values

ARCFACE = {"kind": "arcface", "scale": 16.0}
FLOAT = {"weight_bits": 32, "act_bits": 32, "width": 0.0625, "input_size": 32, "embedding": 6}
W8A8 = {**FLOAT, "weight_bits": 8, "act_bits": 8}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


def resumed(run: Path) -> module.Training:
    return resume(run, load_state(run))


def test_loss_falls_and_the_best_state_is_a_checkpoint(world: Path, tmp_path: Path) -> None:
    train(begin(settings(world)), tmp_path)
    curve = [float(loss) for loss in losses(tmp_path)]
    assert len(curve) == 24
    assert np.mean(curve[-8:]) < 0.8 * np.mean(curve[:4])

    rows = [line.split(",") for line in (tmp_path / "validation.csv").read_text().splitlines()]
    assert rows[0] == ["step", "cosine", "accuracy", "auc"]
    assert [int(row[0]) for row in rows[1:]] == [0, 8, 16, 24]
    best = max(float(row[1]) for row in rows[1:])
    assert best > float(rows[1][1])
    text = read_provenance(tmp_path / "best.safetensors")
    assert text.startswith(
        "Drawn from seed 1.\n\nThen trained by `python -m model.train`: distillation from teacher.safetensors"
    )
    assert f"cosine {best:.4f}"[:-1] in text
    assert "1 identities left out" in text
    assert load_checkpoint(tmp_path / "best.safetensors").spec == small_spec(4)
    assert [path.name for path in tmp_path.glob("events*")] == ["events.out.tfevents.0000000000"]


RECIPES: dict[str, dict[str, Any]] = {
    "softmax from random weights, sgd": {
        "start": None,
        "network": FLOAT,
        "head": {"kind": "softmax"},
        "distillation": None,
        "batch_norm": "train",
        "optimiser": "sgd",
        "schedule": "steps",
        "milestones": [4],
    },
    "arcface and distillation, by blocks too, augmented": {
        "head": {**ARCFACE, "weight": 0.1},
        "augmentation": {"shift": 0.05, "contrast": 0.2, "jpeg": 0.5},
    },
}


@pytest.mark.parametrize("changes", RECIPES.values(), ids=list(RECIPES))
def test_resumed_training_has_the_same_curve(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    given = settings(world, steps=6, every=2, **changes)
    train(begin(given), whole)

    steps = iter(range(3))

    def interrupted(training: module.Training) -> float:
        next(steps)
        return train_step(training)

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_step", interrupted)
        with pytest.raises(StopIteration):
            train(begin(given), halves)
    assert len(losses(halves)) == 3
    second = resumed(halves)
    assert second.step == 2
    train(second, halves)

    assert losses(halves) == losses(whole)
    assert len(set(losses(whole))) == 6
    assert (halves / "validation.csv").read_text() == (whole / "validation.csv").read_text()
    a, b = (load_checkpoint(run / "best.safetensors").state_dict() for run in (whole, halves))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_softmax_learns_the_identities(world: Path, tmp_path: Path) -> None:
    """As the float network of the paper begins: random weights, SGD; then ArcFace goes on from there."""
    softmax = {**RECIPES["softmax from random weights, sgd"], "milestones": [40]}
    train(begin(settings(world, lr=0.05, steps=48, **softmax)), tmp_path / "softmax")
    curve = [float(loss) for loss in losses(tmp_path / "softmax")]
    assert np.mean(curve[-12:]) < 0.95 * np.mean(curve[:12])
    best = tmp_path / "softmax/best.safetensors"
    assert "a softmax header over 9 identities" in read_provenance(best)
    assert "Random weights of seed 0." in read_provenance(best)

    arcface = settings(world, start=str(best), head=ARCFACE, distillation=None, lr=0.003)
    train(begin(arcface), tmp_path / "arcface")
    curve = [float(loss) for loss in losses(tmp_path / "arcface")]
    assert np.mean(curve[-8:]) < 0.9 * np.mean(curve[:8])
    header = (tmp_path / "arcface/validation.csv").read_text().splitlines()[0]
    assert header == "step,accuracy,auc"


def test_quantised_training_starts_from_a_float_checkpoint(world: Path) -> None:
    given = settings(world, start=str(world / "teacher.safetensors"), network=W8A8, calibration_faces=16)
    training = begin(given)
    assert training.objective.network.spec == small_spec(8)
    assert training.origin == "The teacher.\n\nThen post-training quantised on 16 of the training faces."
    assert train_step(training) < 0.5  # its float source is the teacher; 1 - cosine of strangers is 1


def test_block_outputs_of_the_teacher_are_learned(world: Path) -> None:
    teacher = str(world / "teacher.safetensors")
    given = {"teachers": [teacher], "weight": 0.0, "layer_weight": 1.0}
    training = begin(settings(world, distillation=given))
    curve = [train_step(training) for _ in range(12)]
    assert np.mean(curve[-4:]) < 0.95 * np.mean(curve[:4])
    itself = begin(settings(world, start=teacher, distillation=given))
    assert train_step(itself) < 1e-10


def test_bfloat16_is_near_float32(world: Path) -> None:
    arcface = {"start": str(world / "teacher.safetensors"), "head": ARCFACE, "batch_norm": "train"}
    exact, coarse = (
        train_step(begin(settings(world, precision=p, **arcface))) for p in ("float32", "bfloat16")
    )
    assert exact != coarse
    assert coarse == pytest.approx(exact, rel=0.05)


def test_two_processes_have_the_loss_of_one(world: Path, tmp_path: Path) -> None:
    """By torchrun's own launcher, on gloo. The order of additions differs, hence not to the last digit."""
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(values(world, steps=6, every=3, head=ARCFACE, device="cpu")))
    launcher = shutil.which("torchrun", path=str(Path(sys.executable).parent))
    assert launcher
    command = [launcher, "--nproc-per-node=2", "--standalone", "-m", "model.train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    module.main(["--config", str(file), "--out", str(tmp_path / "one")])
    done = subprocess.run(
        [*command, "--config", str(file), "--out", str(tmp_path / "two")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = ([float(loss) for loss in losses(tmp_path / run)] for run in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-3)
    assert two[0] == pytest.approx(one[0], rel=1e-6)
    assert load_state(tmp_path / "two")["step"] == 6


def test_a_batch_must_be_shared_evenly(world: Path) -> None:
    with pytest.raises(UserError, match=r"^batch = 8: must be a multiple of the 3 processes$"):
        begin(settings(world), Place(world=3))


def test_learning_rates_of_the_paper(world: Path) -> None:
    paper = settings(world, lr=0.1, warmup=0, schedule="steps", milestones=[36000, 52000, 58000], steps=60000)
    rates = [learning_rate(step, paper, 60000) for step in (0, 35999, 36000, 52000, 59999)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.0001])
    cosine = settings(world, lr=1.0, warmup=10)
    rates = [learning_rate(step, cosine, 110) for step in (0, 4, 9, 60, 109)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 0.5, 0.0], abs=1e-3)


def test_an_epoch_has_only_full_batches(world: Path) -> None:
    assert begin(settings(world, steps=None, epochs=3)).steps == 3 * (54 // 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "w5a5"}, r"start = 'w5a5': no such file: .*; shipped checkpoints: .*"),
        ({"distillation": {"teachers": ["t.onnx"]}}, "teacher = 't.onnx': no such file"),
        ({"faces": ["nowhere"]}, "images = 'nowhere': does not exist"),
        ({"batch": 55}, "batch = 55: more than the 54 faces to train on"),
        (
            {"held_out": 0},
            r"faces = \('.*faces',\): 0 held-out faces make fewer than 10 pairs; give more people, .*",
        ),
        ({"exclude": "no.txt"}, r"exclude = 'no.txt': cannot be read as text \(No such file or directory\)"),
        ({"network": W8A8}, r"checkpoint = '.*': was made for weight_bits \(4, .*\), not \(8, .*\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_settings(world: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        begin(settings(world, **changes))


def test_a_float_start_must_have_the_networks_shape(world: Path) -> None:
    start = str(world / "teacher.safetensors")
    message = r"^start = '.*': differs from the network in more than its widths$"
    with pytest.raises(UserError, match=message):
        begin(settings(world, start=start, network={**W8A8, "depthwise": "linear"}))


def test_the_command(world: Path, tmp_path: Path) -> None:
    file, run = tmp_path / "settings.json", tmp_path / "run"
    file.write_text(json.dumps(values(world, steps=2, every=1, batch=4)))
    with pytest.raises(UserError, match=r"^out = None: missing; a new training needs it$"):
        module.main(["--config", str(file)])
    module.main(["--config", str(file), "--out", str(run)])
    with pytest.raises(UserError, match=r"^out = '.*': holds a training already; go on with it by --resume$"):
        module.main(["--config", str(file), "--out", str(run)])
    module.main(["--resume", str(run)])
    assert len(losses(run)) == 2


def test_resuming_needs_a_state(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no state of a training"):
        load_state(tmp_path)
    torch.save({"settings": json.dumps({"colour": "blue"})}, tmp_path / "state.pt")
    message = "its state does not fit this program"
    with pytest.raises(
        UserError, match=rf"^resume = '.*': {message} \(\d+ validation errors for Settings\)$"
    ):
        resumed(tmp_path)
    torch.save({"settings": settings(world).model_dump_json()}, tmp_path / "state.pt")
    with pytest.raises(UserError, match=rf"^resume = '.*': {message} \('spec'\)$"):
        resumed(tmp_path)
