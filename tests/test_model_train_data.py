from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.checkpoint import save_checkpoint
from model.distributed import Place
from model.errors import UserError
from model.objective import Objective
from model.train_data import batch_of, epoch_order, held_out_people, prepare
from tests.networks import random_network, small_spec
from tests.training_world import EACH, PEOPLE, make_world, settings

SPEC = small_spec(4)
HEAD = {"kind": "arcface"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


def test_excluded_people_are_left_out(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = prepare(settings(world), SPEC)
    assert capsys.readouterr().out == "6 faces of 1 excluded identities left out\n"
    assert set(data.faces.identities) == {f"faces/p{person:02d}" for person in range(PEOPLE - 1)}
    assert data.excluded == 1
    everyone = prepare(settings(world, exclude=None), SPEC)
    assert len(everyone.faces) == PEOPLE * EACH
    assert capsys.readouterr().out == "0 faces of 0 excluded identities left out\n"


def test_held_out_people_are_not_trained_on(world: Path) -> None:
    given = settings(world, head=HEAD)
    data = prepare(given, SPEC)
    seen = {data.faces.identities[row] for row in data.rows}
    assert len(set(data.faces.identities) - seen) == 2
    assert len(held_out_people(data, None, given).images) == 2 * EACH
    assert (data.labels[data.held] == -1).all()
    assert set(data.labels[data.rows]) == set(range(data.classes)) == set(range(9))
    batches = [batch_of(data, given, Place(), step) for step in range(20)]
    assert all(x.shape == (8, 3, 32, 32) for x, _ in batches)
    assert not {row for _, rows in batches for row in rows} & set(data.held)
    assert not set(data.sample(20)) & set(data.held)


def test_an_epoch_sees_each_face_once_in_another_order(world: Path) -> None:
    given = settings(world)
    data = prepare(given, SPEC)
    epochs = [[batch_of(data, given, Place(), 6 * epoch + i)[1] for i in range(6)] for epoch in range(2)]
    for batches in epochs:
        assert len(np.unique(np.concatenate(batches))) == 48  # of 54, the last batch is not full
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    assert sorted(epoch_order(54, 0, 0)) == list(range(54))


def test_shares_make_the_batch(world: Path) -> None:
    given = settings(world, augmentation={"shift": 0.1, "jpeg": 0.5})
    data = prepare(given, SPEC)
    whole, rows = batch_of(data, given, Place(), 3)
    shares = [batch_of(data, given, Place(rank=rank, world=2), 3) for rank in range(2)]
    assert torch.equal(whole, torch.cat([x for x, _ in shares]))
    assert np.array_equal(rows, np.concatenate([own for _, own in shares]))


def test_a_sample_is_even_and_exact(world: Path) -> None:
    data = prepare(settings(world), SPEC)
    assert len(data.sample(20)) == 20
    assert np.diff(np.searchsorted(data.rows, data.sample(20))).max() == 3
    assert np.array_equal(data.sample(1000), data.rows)


def test_faces_of_nobody_are_distilled_but_not_classified(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "faces/p00", tmp_path / "strangers")
    both = [str(world / "faces"), str(tmp_path / "strangers")]
    assert len(prepare(settings(world, faces=both), SPEC).rows) == 54 + EACH
    data = prepare(settings(world, faces=both, head=HEAD), SPEC)
    assert (data.labels[data.rows] == -1).sum() == EACH
    assert len(prepare(settings(world, faces=both, head=HEAD, distillation=None), SPEC).rows) == 54


def test_unreadable_images_are_counted_and_named(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(world / "faces", tmp_path / "faces")
    for number in range(7):
        (tmp_path / f"faces/p00/broken{number}.png").write_bytes(b"no image")
    prepare(settings(world, faces=[str(tmp_path / "faces")]), SPEC)
    output = capsys.readouterr().out
    assert "7 images cannot be read:\n  faces:p00/broken0.png: not a readable image" in output
    assert "broken4" in output
    assert "broken5" not in output


def test_a_teacher_must_fit(world: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    given = settings(world, distillation={"teachers": [str(path)], "layer_weight": 1.0})
    save_checkpoint(random_network(small_spec(32, size=48)).float(), path)
    with pytest.raises(UserError, match=r"takes 48 pixels a side, the student 32$"):
        prepare(given, SPEC)
    save_checkpoint(random_network(small_spec(32, embedding=5)).float(), path)
    with pytest.raises(UserError, match=r"embeds in 5 dimensions, the student in 6$"):
        prepare(given, SPEC)
    with pytest.raises(UserError, match=r"has blocks of other shapes; layer_weight must be 0$"):
        Objective(random_network(SPEC).float(), given, 0)
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    given = settings(world, distillation={"teachers": [str(path)], "layer_weight": 1.0})
    with pytest.raises(UserError, match="is no ONNX network"):
        prepare(given, SPEC)
    with pytest.raises(UserError, match=r"^teachers = '.*': layer_weight needs a checkpoint as the first .*"):
        Objective(random_network(SPEC).float(), given, 0)
