from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from model.calibrate import agreement, calibrate, held_out, random_network
from model.checkpoint import load_checkpoint, load_foreign, save_checkpoint
from model.data import FaceFile, example_faces, pixels
from model.errors import UserError
from model.network import QMobileFaceNet, integer_activations
from model.pretrained import conv_units
from model.spec import shipped
from tests.networks import random_network as quantised_network
from tests.networks import random_pixels, small_spec

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    save_checkpoint(quantised_network(small_spec()).float(), path)
    return path


def test_a_checkpoint_gives_the_same_integers(checkpoint: Path) -> None:
    first, second = (load_checkpoint(checkpoint, small_spec()).double() for _ in range(2))
    x = random_pixels(small_spec(), 2)
    a, b = integer_activations(first, x), integer_activations(second, x)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_specification_travels_in_the_file(checkpoint: Path) -> None:
    assert load_checkpoint(checkpoint).spec == small_spec()


def test_another_specification_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_checkpoint(checkpoint, small_spec(8))
    rule = f"was made for weight_bits {(4,) * 10}, not {(8,) * 10}"
    assert str(caught.value) == f"checkpoint = {str(checkpoint)!r}: {rule}"


def rewritten(checkpoint: Path, path: Path, changes: dict[str, torch.Tensor | None]) -> Path:
    """A copy of the checkpoint with other tensors (None: without that one)."""
    with safe_open(checkpoint, framework="pt") as file:
        metadata = file.metadata()
    tensors = {
        name: value for name, value in {**load_file(checkpoint), **changes}.items() if value is not None
    }
    save_file(tensors, path, metadata=metadata)
    return path


WEIGHT = "blocks.block1.conv.weight"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({WEIGHT: torch.zeros(3, 3, 3, 3)}, f"its tensor {WEIGHT} has shape (3, 3, 3, 3), not (4, 3, 3, 3)"),
        ({WEIGHT: None}, f"lacks the tensor {WEIGHT}"),
        ({"extra": torch.zeros(1)}, "has a tensor extra that the network does not"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    checkpoint: Path, tmp_path: Path, changes: dict[str, torch.Tensor | None], rule: str
) -> None:
    path = rewritten(checkpoint, tmp_path / "other.safetensors", changes)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    assert str(caught.value) == f"checkpoint = {str(path)!r}: {rule}"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"format": "pt"}, "KeyError('spec')"),
        (
            {"spec": "{"},
            "JSONDecodeError('Expecting property name enclosed in double quotes: line 1 column 2 (char 1)')",
        ),
        ({"spec": "[]"}, "AttributeError(\"'list' object has no attribute 'items'\")"),
        (
            {"spec": '{"weight_bits": [4], "act_bits": [4]}'},
            "UserError('weight_bits', (4,), 'must be 10 widths of 2..8 or 32 (float)')",
        ),
    ],
)
def test_a_file_without_a_specification_is_refused(
    tmp_path: Path, metadata: dict[str, str], reason: str
) -> None:
    path = tmp_path / "bare.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    rule = f"its metadata has no network specification ({reason})"
    assert str(caught.value) == f"checkpoint = {str(path)!r}: {rule}"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"0123456789abcdef")
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    rule = "is no safetensors file (Error while deserializing header: header too large)"
    assert str(caught.value) == f"checkpoint = {str(path)!r}: {rule}"


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(Evil(), tmp_path / "evil.pt")
    with pytest.raises(UserError):
        load_foreign(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_shipped_checkpoints_load_and_have_cards() -> None:
    assert shipped() == ["ecp5_tiny", "mixed", "tiny", "w2a2", "w4a4", "w8a8"]
    for name in shipped():
        path = ROOT / "model" / "checkpoints" / f"{name}.safetensors"
        network = load_checkpoint(path)
        assert network.spec.is_float is False
        card = path.with_suffix(".md").read_text()
        assert "## Scores" in card
        assert "esearch use only" in card or name in ("ecp5_tiny", "tiny")


def test_calibration_beats_unset_scales() -> None:
    spec, faces = small_spec(8), example_faces(24, 32)
    source = random_network(spec, faces)
    network = calibrate(source, spec, faces[:16])
    unseen, unset = faces[16:], QMobileFaceNet(spec).eval()
    for ours, given in zip(conv_units(unset), conv_units(source), strict=True):
        ours.conv.load_state_dict(given.conv.state_dict(), strict=False)
        ours.bn.load_state_dict(given.bn.state_dict())
    assert agreement(network, source, unseen) > agreement(unset, source, unseen)
    assert agreement(network, source, unseen) > 0.6  # 0.7 to 0.9: the order of sums depends on the threads
    assert agreement(network, source, faces[:16]) > 0.99
    again = calibrate(source, spec, faces[:16])
    assert torch.equal(network(pixels(unseen)), again(pixels(unseen)))


def test_held_out_faces_are_of_other_people() -> None:
    files = [FaceFile(Path("z"), f"{i}", identity=f"p{i % 10}") for i in range(50)]
    ours, others = held_out(files, seed=0)
    assert len(ours) == 40
    assert len(others) == 10
    assert not {f.identity for f in ours} & {f.identity for f in others}


def test_calibrate_command_makes_the_shipped_tiny_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model.calibrate", "--config", "hw_configs/tiny.json", "--out"]
    out = tmp_path / "tiny.safetensors"
    subprocess.run([*command, str(out)], cwd=ROOT, check=True, capture_output=True)
    assert load_checkpoint(out).spec == load_checkpoint(ROOT / "model/checkpoints/tiny.safetensors").spec
