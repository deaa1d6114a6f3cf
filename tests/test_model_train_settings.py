from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.errors import UserError
from model.table import TABLE_I
from model.train_settings import Settings, load_settings
from tests.training_world import values

RECIPES = sorted(Path("model/recipes").glob("*.json"))


def load(folder: Path, **changes: object) -> Settings:
    path = folder / "settings.json"
    path.write_text(json.dumps(values(Path("world"), **changes)))
    return load_settings(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_load(path: Path) -> None:
    settings = load_settings(path)
    assert settings.exclude == "data/lfw-overlap.txt"
    if path.stem.startswith("float"):
        assert (settings.optimiser, settings.momentum, settings.batch) == ("sgd", 0.9, 512)
        assert settings.lr == (0.1 if path.stem == "float_softmax" else 0.01)
        assert (settings.milestones, settings.steps) == ((36000, 52000, 58000), 60000)
    else:
        assert settings.optimiser == "adam"
        assert settings.lr == (0.003 if path.stem == "qat_distill" else 0.001)  # 0.001: the paper's, for QAT
        assert settings.spec is not None
        assert len(settings.spec.weight_bits) == len(TABLE_I)


def test_recipes_are_there() -> None:
    assert {path.stem for path in RECIPES} >= {"float_softmax", "float_arcface", "qat", "qat_distill"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "step = 3: unknown key; did you mean 'steps'?"),
        (
            {"head": {"kind": "arcface", "s": 3}},
            "head.s = 3: unknown key; known keys: kind, weight, scale, margin_list",
        ),
        ({"head": {"kind": "cosface"}}, "head.kind = 'cosface': must be 'softmax' or 'arcface'"),
        ({"lr": 0.0}, "lr = 0.0: must be greater than 0"),
        ({"batch": "8"}, "batch = '8': must be a valid integer"),
        ({"augmentation": {"mirror": 2.0}}, "augmentation.mirror = 2.0: must be less than or equal to 1"),
        ({"faces": None}, "faces = None: missing; add it. Folders, zips and .rec files of faces."),
        ({"start": None}, "start = None: missing; give a checkpoint to start from, or a network, or both"),
        ({"distillation": None}, "head = None: missing; give a head, or a distillation, or both"),
        ({"epochs": 3}, "steps = 24: give either steps or epochs"),
        ({"steps": None}, "steps = None: give either steps or epochs"),
        ({"schedule": "steps"}, "milestones = (): belong to schedule 'steps', which needs them"),
        ({"milestones": [3]}, "milestones = (3,): belong to schedule 'steps', which needs them"),
        (
            {"start": None, "network": {"weight_bits": 32, "act_bits": 32}},
            "batch_norm = 'folded': random weights have no statistics of batch norms yet; choose 'train'",
        ),
        (
            {"network": {"weight_bits": 9, "act_bits": 4}},
            "network.weight_bits = 9: must be 10 widths of 2..8 or 32 (float)",
        ),
    ],
    ids=str,
)
def test_mistakes(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, **changes)
    assert str(caught.value) == message


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(
        UserError, match=rf"^--config = '{path}': no such file; examples are in model/recipes/$"
    ):
        load_settings(path)
