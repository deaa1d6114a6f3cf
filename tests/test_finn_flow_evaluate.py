"""The accelerator and Brevitas score the same on the same pairs, because their integers are the same."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finn_flow import card
from finn_flow.config import load_config
from finn_flow.console import Console
from finn_flow.evaluate import HOST, accelerator_embedding, main
from finn_flow.pipeline import Pipeline
from finn_flow.steps import STEPS
from model.checkpoint import load_checkpoint, save_checkpoint
from model.data import list_faces, read_faces
from model.evaluate import brevitas_embedding, evaluate, read_pairs
from tests.networks import random_network, small_spec
from tests.toy_build import config_object
from verification.compare import reference_accumulators

PEOPLE, FOLDS = 10, 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, its build up to fold, random faces of ten people, and pairs of them in five folds."""
    folder = tmp_path_factory.mktemp("place")
    save_checkpoint(random_network(small_spec(4), seed=5).float(), folder / "toy.safetensors")
    network = {"checkpoint": "toy.safetensors", "weight_bits": 4, "act_bits": 4, "width": 0.0625}
    config = config_object(network={**network, "input_size": 32, "embedding": 6})
    (folder / "toy.json").write_text(json.dumps({**config, "output_dir": str(folder / "build")}))
    loaded = load_config(folder / "toy.json")
    Pipeline(STEPS, loaded, loaded.build_folder, Console(io.StringIO())).build(None, "fold", False)

    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        face = random.integers(0, 256, (32, 32, 3))
        for number in (1, 2, 3):
            noisy = np.clip(face + random.normal(0, 40, face.shape), 0, 255).astype(np.uint8)
            path = folder / f"faces/P{person}/P{person}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noisy).save(path, quality=95)
    lines = [f"{FOLDS} 2"]
    for fold in range(FOLDS):
        a, b = 2 * fold, 2 * fold + 1
        lines += [f"P{a} 1 2", f"P{b} 1 3", f"P{a} 1 P{b} 1", f"P{b} 2 P{a} 3"]
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_accelerator_and_brevitas_score_the_same(place: Path) -> None:
    accelerator = accelerator_embedding(place / "build")
    brevitas = brevitas_embedding(load_checkpoint(place / "toy.safetensors").double())
    faces = read_faces(list_faces([place / "faces"]), 32).images
    host = np.load(place / "build" / HOST)
    integers, reference = (
        reference_accumulators(embed(faces), host["scale"], host["offset"])
        for embed in (accelerator, brevitas)
    )
    assert np.array_equal(integers, reference)
    assert len(np.unique(integers, axis=0)) > 2 * PEOPLE

    pairs = read_pairs(place / "pairs.txt")
    for flip in (False, True):
        ours, wanted = (evaluate(e, place / "faces", pairs, flip, 32) for e in (accelerator, brevitas))
        assert (ours.accuracy, ours.std, ours.auc) == (wanted.accuracy, wanted.std, wanted.auc)
        assert ours.threshold_degrees == pytest.approx(wanted.threshold_degrees, rel=1e-9)
        assert ours.pairs == 4 * FOLDS
        assert 0 < ours.accuracy < 1  # a random network: neither perfect nor always wrong


def test_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--config", str(place / "toy.json"), "--images", str(place / "faces")]
    assert main([*options, "--pairs", str(place / "pairs.txt"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["pairs"] == 4 * FOLDS
    assert 0 < scores["accuracy"] < 1
    assert main([*options, "--pairs", str(place / "pairs.txt"), "--flip"]) == 0
    assert capsys.readouterr().out.startswith("[pairs]Accuracy-Flip: 0.")

    assert main(options) == 2
    message = "error: pairs = None: missing; give pairs.txt (a .bin holds its pairs itself)\n"
    assert capsys.readouterr().err == message


def test_the_card_has_the_accelerators_scores(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(random_network(small_spec(32), seed=6).float(), place / "float.safetensors")
    given = ["--config", str(place / "toy.json"), "--images", str(place / "faces")]
    given += ["--pairs", str(place / "pairs.txt")]
    assert main([*given, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert card.main([*given, "--weights", str(place / "float.safetensors")]) == 0
    assert capsys.readouterr().out == f"{place / 'toy.md'}\n"
    text = (place / "toy.md").read_text()
    accuracy = f"{scores['accuracy']:.2%} ± {scores['std']:.2%} |"
    assert re.search(rf"\| LFW, 20 pairs: accuracy \| [\d.]+% ± [\d.]+% \| {accuracy}\n", text)
    assert "cosine to the float embedding" not in text

    faces = ["--faces", str(place / "faces")]
    assert card.main([*given, "--weights", str(place / "float.safetensors"), *faces]) == 0
    assert "unseen training faces | 1 | " in (place / "toy.md").read_text()


def test_a_build_must_be_there(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--config", str(place / "toy.json"), "--output-dir", str(tmp_path)]
    pairs = ["--images", str(place / "faces"), "--pairs", str(place / "pairs.txt")]
    assert main([*options, *pairs]) == 2
    rule = "has no fold/model.onnx; run build.py with --to fold first"
    assert capsys.readouterr().err == f"error: --config = '{tmp_path}': {rule}\n"
