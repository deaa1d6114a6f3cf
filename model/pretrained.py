"""A float QMobileFaceNet from published weights.

python -m model.pretrained --weights PT --faces ZIP... --out FILE

The weights are those of relu_mobilefacenet (MobileFaceNet-PyTorch, Apache-2.0), a MobileFaceNet with ReLU6.
It differs from Table I in three ways:
- its input is (x - 116) / 57.5: folded into the first convolution and its batch norm. Exact but at the
  border, where zero padding now stands for the value 128 instead of 116;
- its embedding convolution has a bias: folded into the batch norm behind it, exactly;
- its block 2 has one more 1x1 convolution with batch norm and ReLU6, which cannot be folded. Blocks 1 to 3.0
  are fitted to what its own first blocks compute for training faces, by gradient descent; the rest of the
  network is taken as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.checkpoint import load_foreign, save_checkpoint
from model.console import progress, run
from model.data import Images, list_faces, pixels, read_exclusions, read_faces
from model.errors import UserError
from model.network import BN_EPS, PIXEL_OFFSET, PIXEL_SCALE, ConvUnit, QMobileFaceNet
from model.spec import NetworkSpec
from model.table import BLOCKS, FLOAT_BITS

State = Mapping[str, Tensor]

FLOAT_SPEC = NetworkSpec((FLOAT_BITS,) * BLOCKS, (FLOAT_BITS,) * BLOCKS)
SOURCE_MEAN, SOURCE_STD = 116.0, 57.5  # relu_mobilefacenet normalises its pixels with these
SOURCE_EPS = 1e-5  # of its batch norms


def from_relu_mobilefacenet(path: Path, faces: Images, *, steps: int = 2000, seed: int = 0) -> QMobileFaceNet:
    """The published weights as a float Table I network (`FLOAT_SPEC`), in eval mode.

    faces: uint8 (N, 112, 112, 3), what blocks 1 to 3.0 are fitted to for `steps` batches.
    Raises UserError("weights", ...) if the file is not a state dict of that network.
    """
    state = load_foreign(path)
    network = transplant(state, path)
    fit_stem(network, state, faces, steps, seed)
    return network


def transplant(state: State, path: Path) -> QMobileFaceNet:
    """Table I with the weights of the source; block 3.0's expansion composed as if no ReLU6 lay between."""
    network = QMobileFaceNet(FLOAT_SPEC).eval()
    try:
        for unit, (conv, norm) in zip(conv_units(network), _source_names(), strict=True):
            unit.load_state_dict(_unit_state(state, conv, norm))
        first, expand = network.blocks["block1"], network.blocks["block3_0"].expand
        _fold_normalisation(first)
        _compose_pointwise(expand, state)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())  # torch's has several lines
        raise UserError("weights", str(path), f"is no relu_mobilefacenet state dict ({reason})") from None
    return network


def conv_units(network: QMobileFaceNet) -> list[ConvUnit]:
    """The convolutions with what follows each, in order."""
    return [module for module in network.modules() if isinstance(module, ConvUnit)]


def _source_names() -> list[tuple[str, str]]:
    """(convolution, batch norm) in the source's state dict for each convolution of Table I."""
    names = [("conv1.0", "conv1.1"), ("dw_conv.depthwise", "dw_conv.bn1")]
    for index in range(15):
        block = f"features.{index}.conv"
        names += [(f"{block}.{at}.0", f"{block}.{at}.1") for at in (0, 1)] + [(f"{block}.2", f"{block}.3")]
    return [*names, ("conv2.0", "conv2.1"), ("gdconv.depthwise", "gdconv.bn"), ("conv3", "bn")]


def _unit_state(state: State, conv: str, norm: str) -> dict[str, Tensor]:
    """A ConvUnit's state; a bias of the convolution moves the mean that batch norm subtracts.

    The variance makes up for our other epsilon, which is not small beside that of a channel hardly in use.
    """
    result = {"conv.weight": state[f"{conv}.weight"]}
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        result[f"bn.{name}"] = state[f"{norm}.{name}"]
    result["bn.running_var"] = result["bn.running_var"] + (SOURCE_EPS - BN_EPS)
    if f"{conv}.bias" in state:
        result["bn.running_mean"] = result["bn.running_mean"] - state[f"{conv}.bias"]
    return result


def _fold_normalisation(unit: Any) -> None:
    """(x - mean) / std = gain * x_ours + offset, where x_ours = (x - 128) / 128."""
    gain = 1 / (PIXEL_SCALE * SOURCE_STD)
    offset = (PIXEL_OFFSET - SOURCE_MEAN) / SOURCE_STD
    with torch.no_grad():
        unit.bn.running_mean -= offset * unit.conv.weight.sum((1, 2, 3))
        unit.conv.weight *= gain


def _compose_pointwise(expand: Any, state: State) -> None:
    """expand := expand after block 2's extra 1x1 convolution and batch norm, but not its ReLU6."""
    gain, shift = _affine(state, "dw_conv.bn2")
    with torch.no_grad():
        weight = expand.conv.weight.flatten(1)
        expand.bn.running_mean -= weight @ shift
        inner = gain[:, None] * state["dw_conv.pointwise.weight"].flatten(1)
        expand.conv.weight.copy_((weight @ inner)[:, :, None, None])


def fit_stem(network: QMobileFaceNet, state: State, faces: Images, steps: int, seed: int = 0) -> None:
    """Fit blocks 1 to 3.0 to the source's, on `faces` and their mirror images; batch norm statistics stay."""
    stem = nn.Sequential(*(network.blocks[name] for name in ("block1", "block2", "block3_0")))
    optimiser = torch.optim.Adam(stem.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    for x in progress(_batches(faces, steps, seed), "fitting block 2", total=steps):
        with torch.no_grad():
            target = _source_stem(state, x)
        loss = F.mse_loss(stem(x * PIXEL_SCALE), target) / target.var()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _batches(faces: Images, steps: int, seed: int, size: int = 16) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = pixels(faces[torch.randint(len(faces), (size,), generator=random).numpy()])
        yield x.flip(3) if torch.rand((), generator=random) < 0.5 else x


def _source_stem(state: State, x: Tensor) -> Tensor:
    """What the source computes up to its first bottleneck: pixels minus 128 -> (N, 64, 28, 28)."""

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, None, stride, weight.shape[2] // 2, groups=groups)
        gain, shift = _affine(state, norm)
        return x * gain[:, None, None] + shift[:, None, None]

    x = (x + (PIXEL_OFFSET - SOURCE_MEAN)) / SOURCE_STD
    x = F.relu6(layer(x, "conv1.0", "conv1.1", stride=2))
    x = F.relu6(layer(x, "dw_conv.depthwise", "dw_conv.bn1"))
    x = F.relu6(layer(x, "dw_conv.pointwise", "dw_conv.bn2"))
    x = F.relu6(layer(x, "features.0.conv.0.0", "features.0.conv.0.1"))
    x = F.relu6(layer(x, "features.0.conv.1.0", "features.0.conv.1.1", stride=2))
    return layer(x, "features.0.conv.2", "features.0.conv.3")


def _affine(state: State, norm: str) -> tuple[Tensor, Tensor]:
    """A batch norm in eval mode as gain and shift."""
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + SOURCE_EPS)
    return gain, state[f"{norm}.bias"] - gain * state[f"{norm}.running_mean"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.pretrained", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="relu_mobilefacenet state dict (.pt)")
    parser.add_argument("--faces", type=Path, nargs="+", required=True, help="folders or zips of faces")
    parser.add_argument("--exclude", type=Path, help="identities to leave out, one a line")
    parser.add_argument("--count", type=int, default=4000, help="faces to fit to (%(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="batches of 16 faces (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="float checkpoint (.safetensors)")
    args = parser.parse_args()
    files = list_faces(args.faces, read_exclusions(args.exclude) if args.exclude else ())
    chosen = torch.randperm(len(files), generator=torch.Generator().manual_seed(args.seed))[: args.count]
    faces = read_faces([files[i] for i in sorted(chosen.tolist())])
    network = from_relu_mobilefacenet(args.weights, faces.images, steps=args.steps, seed=args.seed)
    sources = ", ".join(path.stem for path in args.faces)
    provenance = (
        f"Made from relu_mobilefacenet (Apache-2.0), fitted to Table I by `python -m model.pretrained` with "
        f"{len(faces)} faces ({sources}), {args.steps:,} steps, seed {args.seed}."
    )
    save_checkpoint(network, args.out, provenance)


if __name__ == "__main__":
    run(main)
