"""Table I from published weights, on a random network of the published shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from model.checkpoint import load_checkpoint
from model.data import example_faces, pixels
from model.errors import UserError
from model.network import PIXEL_SCALE, QMobileFaceNet
from model.pretrained import FLOAT_SPEC, fit_stem, from_relu_mobilefacenet, main, transplant
from model.table import stages

State = dict[str, Tensor]

BOTTLENECKS = [stage for stage in stages() if stage.kind == "bottleneck"]
STEM = ("block1", "block2", "block3_0")


def published(state: State, x: Tensor, *, training: bool = False, stem: bool = False) -> Tensor:
    """What relu_mobilefacenet computes of pixels minus 128; `stem`: up to its first bottleneck.

    training: batch norms take the statistics of x, and keep them.
    """

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight = state[f"{conv}.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, state.get(f"{conv}.bias"), stride, padding, groups=groups)
        mean, var, gain, bias = (
            state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, gain, bias, training, momentum=1.0, eps=1e-5)

    x = (x + 128 - 116) / 57.5
    x = F.relu6(layer(x, "conv1.0", "conv1.1", 2, 1))
    x = F.relu6(layer(x, "dw_conv.depthwise", "dw_conv.bn1", 1, 1))
    x = F.relu6(layer(x, "dw_conv.pointwise", "dw_conv.bn2"))
    for index, stage in enumerate(BOTTLENECKS[:1] if stem else BOTTLENECKS):
        name = f"features.{index}.conv"
        y = F.relu6(layer(x, f"{name}.0.0", f"{name}.0.1"))
        y = F.relu6(layer(y, f"{name}.1.0", f"{name}.1.1", stage.stride, 1))
        y = layer(y, f"{name}.2", f"{name}.3")
        x = x + y if stage.residual else y
    if stem:
        return x
    x = F.relu6(layer(x, "conv2.0", "conv2.1"))
    x = layer(x, "gdconv.depthwise", "gdconv.bn")
    return layer(x, "conv3", "bn").flatten(1)


def shapes() -> dict[str, tuple[str, tuple[int, ...]]]:
    """Convolution -> (its batch norm, the shape of its weights)."""
    result: dict[str, tuple[str, tuple[int, ...]]] = {
        "conv1.0": ("conv1.1", (64, 3, 3, 3)),
        "dw_conv.depthwise": ("dw_conv.bn1", (64, 1, 3, 3)),
        "dw_conv.pointwise": ("dw_conv.bn2", (64, 64, 1, 1)),
        "conv2.0": ("conv2.1", (512, 128, 1, 1)),
        "gdconv.depthwise": ("gdconv.bn", (512, 1, 7, 7)),
        "conv3": ("bn", (128, 512, 1, 1)),
    }
    for index, stage in enumerate(BOTTLENECKS):
        name = f"features.{index}.conv"
        result[f"{name}.0.0"] = (f"{name}.0.1", (stage.c_mid, stage.c_in, 1, 1))
        result[f"{name}.1.0"] = (f"{name}.1.1", (stage.c_mid, 1, 3, 3))
        result[f"{name}.2"] = (f"{name}.3", (stage.c_out, stage.c_mid, 1, 1))
    return result


def settle(state: State) -> None:
    """Give the batch norms the statistics of some faces."""
    published(state, pixels(example_faces(8)), training=True)


@pytest.fixture
def state() -> State:
    """Random weights whose batch norms have the statistics of some faces."""
    random = torch.Generator().manual_seed(0)
    result: State = {"conv3.bias": torch.randn(128, generator=random)}
    for conv, (norm, shape) in shapes().items():
        result[f"{conv}.weight"] = torch.randn(shape, generator=random)
        result[f"{norm}.weight"] = 0.5 + torch.rand(shape[0], generator=random)
        result[f"{norm}.bias"] = torch.randn(shape[0], generator=random)
        result[f"{norm}.running_mean"] = torch.zeros(shape[0])
        result[f"{norm}.running_var"] = torch.ones(shape[0])
        result[f"{norm}.num_batches_tracked"] = torch.tensor(1)
    settle(result)
    return result


def leave_what_table_i_has(state: State) -> None:
    """No weights that the border meets, and block 2's extra convolution where its ReLU6 does nothing."""
    centre = torch.zeros(3, 3)
    centre[1, 1] = 1
    state["conv1.0.weight"] *= centre
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    state["dw_conv.pointwise.weight"] = torch.eye(64)[order, :, None, None]
    settle(state)
    mean, spread = state["dw_conv.bn2.running_mean"], torch.sqrt(state["dw_conv.bn2.running_var"] + 1e-5)
    state["dw_conv.bn2.weight"] = 0.5 * spread
    state["dw_conv.bn2.bias"] = 0.5 + 0.5 * mean  # 0..6 in, 0.5..3.5 out
    settle(state)


def stem(network: QMobileFaceNet, x: Tensor) -> Tensor:
    x = x * PIXEL_SCALE
    for name in STEM:
        x = network.blocks[name](x)
    return x


@torch.no_grad()
def test_table_i_computes_what_the_published_network_does_but_for_block_2(state: State) -> None:
    leave_what_table_i_has(state)
    x = pixels(example_faces(3)).double()
    network = transplant(state, Path("a.pt")).double()
    expected = published({name: value.double() for name, value in state.items()}, x)
    assert expected.std(0).min() > 0.01  # it depends on the face
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-3)


def test_a_fit_brings_block_2_nearer_and_leaves_the_rest(state: State) -> None:
    faces = example_faces(4)
    network = transplant(state, Path("a.pt"))
    before = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def distance() -> float:
        target = published(state, pixels(faces), stem=True)
        return float(F.mse_loss(stem(network, pixels(faces)), target) / target.var())

    unfitted = distance()
    fit_stem(network, state, faces, steps=8)
    assert distance() < 0.8 * unfitted
    after = network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert {name.split(".")[1] for name in changed} == set(STEM)
    assert not [name for name in changed if "running" in name]


def test_the_same_seed_gives_the_same_network(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pt")
    first, second = (from_relu_mobilefacenet(tmp_path / "a.pt", example_faces(2), steps=1) for _ in range(2))
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
    other = from_relu_mobilefacenet(tmp_path / "a.pt", example_faces(2), steps=1, seed=1)
    assert not all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))


def test_the_command_writes_a_float_checkpoint(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(state, tmp_path / "a.pt")
    for index, face in enumerate(example_faces(2)):
        (tmp_path / "faces" / str(index)).mkdir(parents=True)
        Image.fromarray(face).save(tmp_path / "faces" / str(index) / "1.png")
    (tmp_path / "exclude.txt").write_text("faces/1\n")
    options = {"weights": "a.pt", "faces": "faces", "exclude": "exclude.txt", "out": "float.safetensors"}
    arguments = [text for name, file in options.items() for text in (f"--{name}", str(tmp_path / file))]
    monkeypatch.setattr("sys.argv", ["pretrained", *arguments, "--steps", "1"])
    main()
    network = load_checkpoint(tmp_path / "float.safetensors")
    assert network.spec == FLOAT_SPEC
    x = pixels(example_faces(1))
    expected = from_relu_mobilefacenet(tmp_path / "a.pt", example_faces(1), steps=1)
    assert torch.equal(network(x), expected(x))


def save(value: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


@pytest.mark.parametrize(
    ("write", "rule"),
    [
        (save({"conv1.0.weight": [1.0]}), "is no plain state dict of tensors"),
        (save(torch.zeros(1)), "is no plain state dict of tensors"),
        (save({}), "is no relu_mobilefacenet state dict ('conv1.0.weight')"),
        (lambda path: path.touch(), "is no plain state dict of tensors (EOFError)"),
        (
            lambda path: None,
            "is no plain state dict of tensors ([Errno 2] No such file or directory: '{path}')",
        ),
    ],
    ids=["lists", "a tensor", "empty", "empty file", "no file"],
)
def test_other_files_are_refused(tmp_path: Path, write: Callable[[Path], None], rule: str) -> None:
    path = tmp_path / "a.pt"
    write(path)
    with pytest.raises(UserError) as caught:
        from_relu_mobilefacenet(path, example_faces(1))
    assert str(caught.value) == f"weights = {str(path)!r}: {rule.format(path=path)}"


def test_a_tensor_of_another_shape_is_named_on_one_line(state: State) -> None:
    state["conv2.0.weight"] = torch.zeros(256, 128, 1, 1)
    with pytest.raises(UserError) as caught:
        transplant(state, Path("a.pt"))
    assert str(caught.value) == (
        "weights = 'a.pt': is no relu_mobilefacenet state dict (Error(s) in loading state_dict for ConvUnit: "
        "size mismatch for conv.weight: copying a param with shape torch.Size([256, 128, 1, 1]) from "
        "checkpoint, the shape in current model is torch.Size([512, 128, 1, 1]).)"
    )
