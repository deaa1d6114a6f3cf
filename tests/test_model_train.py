from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model import train as module
from model.checkpoint import load_checkpoint, read_provenance, save_checkpoint
from model.errors import UserError
from model.train import Settings, begin, resume, train
from tests.networks import random_network, small_spec

PEOPLE, EACH = 12, 6


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random faces of 12 people, the last of whom is in LFW; a student and a float teacher."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        (folder / f"faces/p{person:02d}").mkdir(parents=True)
        face = random.integers(0, 256, (32, 32, 3))
        for number in range(EACH):
            noisy = np.clip(face + random.normal(0, 30, face.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"faces/p{person:02d}/{number}.png")
    (folder / "exclude.txt").write_text("# in LFW\nfaces/p11\nfaces/nobody\n")
    teacher, start = (random_network(small_spec(bits), seed=1).float() for bits in (32, 4))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in start.parameters():
            parameter *= 1 + 0.2 * torch.randn_like(parameter)
    save_checkpoint(start, folder / "start.safetensors", "Drawn from seed 1.")
    save_checkpoint(teacher, folder / "teacher.safetensors")
    return folder


def settings(world: Path, **changes: object) -> Settings:
    given = Settings(
        start=str(world / "start.safetensors"),
        teachers=(str(world / "teacher.safetensors"),),
        faces=(str(world / "faces"),),
        exclude=str(world / "exclude.txt"),
        cache=str(world / "cache"),
        steps=24,
        batch=8,
        lr=0.01,
        warmup=2,
        every=8,
        held_out=12,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def losses(run: Path) -> list[str]:
    return [line.split(",")[1] for line in (run / "train.csv").read_text().splitlines()[1:]]


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
    trained = begin(settings(world, start=str(tmp_path / "best.safetensors")))
    text = read_provenance(tmp_path / "best.safetensors")
    assert text.startswith("Drawn from seed 1.\n\nThen trained")
    assert f"cosine {best:.4f}"[:-1] in text
    assert "1 identities left out" in text
    assert load_checkpoint(tmp_path / "best.safetensors").spec == small_spec(4)
    assert not trained.network.training


def test_resumed_training_has_the_same_curve(world: Path, tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(begin(settings(world, steps=9, every=3)), whole)

    first = begin(settings(world, steps=9, every=3))
    steps = iter(range(5))

    def interrupted(training: module.Training) -> float:
        next(steps)
        return step(training)

    step, module.train_step = module.train_step, interrupted
    try:
        with pytest.raises(StopIteration):
            train(first, halves)
    finally:
        module.train_step = step
    assert len(losses(halves)) == 5
    second = resume(halves)
    assert second.step == 3
    train(second, halves)

    assert losses(halves) == losses(whole)
    assert (halves / "validation.csv").read_text() == (whole / "validation.csv").read_text()
    a, b = (load_checkpoint(run / "best.safetensors").state_dict() for run in (whole, halves))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_excluded_people_are_left_out(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = begin(settings(world))
    assert "6 faces of 1 excluded identities left out" in capsys.readouterr().out
    assert set(training.faces.identities) == {f"faces/p{person:02d}" for person in range(PEOPLE - 1)}
    everyone = begin(settings(world, exclude=None))
    assert len(everyone.faces) == PEOPLE * EACH
    assert "0 faces of 0 excluded identities left out" in capsys.readouterr().out


def test_held_out_people_are_not_trained_on(world: Path) -> None:
    training = begin(settings(world))
    seen = {training.faces.identities[row] for row in training.rows}
    held = set(training.faces.identities) - seen
    assert len(held) == 2
    assert len(training.validation.images) == 2 * EACH
    batches = [module.batch_of(training, step)[0] for step in range(20)]
    assert all(batch.shape == (8, 3, 32, 32) for batch in batches)
    assert not torch.equal(batches[0], batches[6])  # another epoch, another order


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "w5a5"}, r"start = 'w5a5': no such file: .*; shipped checkpoints: .*"),
        ({"teachers": ("t.onnx",)}, "teacher = 't.onnx': no such file"),
        ({"faces": ("nowhere",)}, "images = 'nowhere': does not exist"),
        ({"batch": 55}, "batch = 55: more than the 54 faces to train on"),
        ({"lr": 0.0}, "lr = 0.0: must be more than 0"),
        (
            {"held_out": 0},
            r"faces = \('.*faces',\): 0 held-out faces make fewer than 10 pairs; give more people, .*",
        ),
        ({"exclude": "no.txt"}, r"exclude = 'no.txt': cannot be read as text \(No such file or directory\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_settings(world: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        begin(settings(world, **changes))


def test_a_teacher_must_fit(world: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(random_network(small_spec(32, size=48)).float(), path)
    with pytest.raises(UserError, match=r"takes 48 pixels a side, the student 32$"):
        begin(settings(world, teachers=(str(path),)))
    save_checkpoint(random_network(small_spec(32, embedding=5)).float(), path)
    with pytest.raises(UserError, match=r"embeds in 5 dimensions, the student in 6$"):
        begin(settings(world, teachers=(str(path),)))
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(UserError, match="is no ONNX network"):
        begin(settings(world, teachers=(str(path),)))


def test_the_command(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        name: str(world / name) for name in ("start.safetensors", "teacher.safetensors", "faces", "cache")
    }
    start, teacher, faces, cache = names.values()
    run = ["train", "--out", str(tmp_path), "--start", start, "--teachers", teacher]
    numbers = ["--steps", "2", "--every", "1", "--batch", "4", "--held-out", "12"]
    monkeypatch.setattr("sys.argv", run)
    with pytest.raises(UserError, match=r"^faces = None: missing; a new training needs it$"):
        module.main()
    monkeypatch.setattr("sys.argv", [*run, "--faces", faces, "--cache", cache, *numbers])
    module.main()
    with pytest.raises(UserError, match=r"^out = '.*': holds a training already; go on with it by --resume$"):
        module.main()
    monkeypatch.setattr("sys.argv", ["train", "--resume", str(tmp_path)])
    module.main()
    assert len(losses(tmp_path)) == 2


def test_resuming_needs_a_state(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no state of a training"):
        resume(tmp_path)
    torch.save({"settings": json.dumps({"colour": "blue"})}, tmp_path / "state.pt")
    with pytest.raises(
        UserError, match=r"does not fit this program \(.*unexpected keyword argument 'colour'\)$"
    ):
        resume(tmp_path)
