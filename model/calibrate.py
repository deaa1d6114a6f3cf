"""Post-training quantisation: scales, rounded weights and batch norms of a QMobileFaceNet from a float one.

python -m model.calibrate --config FILE --weights FLOAT.safetensors --faces ZIP... --out FILE.safetensors

The network is walked unit by unit (a convolution, its batch norm, its quantiser) with two sets of
activations: what the float network computes and what the quantised one computes up to here. Each unit is set
so that the second comes as close to the first as its bits allow:
1. weights: the least-squares weights for the quantised input, a scale per channel by search, then rounding
   one input after the other, each rounding error made good by the weights not yet rounded (GPTQ);
2. batch norm: the statistics of what the quantised convolution gives, mapped onto those of the float unit;
3. activation scale: by search for the least squared error.
Every scale minimises an error that is measured on the calibration faces; nothing is trained.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.checkpoint import load_checkpoint, read_provenance, save_checkpoint, settle
from model.console import progress, run
from model.data import FaceFile, Images, example_faces, list_faces, pixels, read_exclusions, read_faces
from model.network import PIXEL_SCALE, Bottleneck, ConvUnit, QMobileFaceNet
from model.pretrained import conv_units
from model.spec import NetworkSpec, spec_of_config
from model.table import BLOCKS, FLOAT_BITS

Batches = list[Tensor]  # the activations of all calibration faces, some faces a tensor (N, C, H, W)

BATCH = 16
POSITIONS = 64  # positions of a feature map that the moments of a convolution's input are taken from
RIDGE = 0.01  # how much a least-squares solution holds on to the given weights, of the mean variance
SAMPLES = 1_000_000  # values of an activation that its scale is chosen by
RATIOS = torch.linspace(0.2, 1.0, 41)  # scales tried, as shares of the one that clips nothing
STREAM_RATIOS = torch.linspace(0.05, 1.0, 39)  # the same for residual streams, whose tails are longer


def calibrate(source: QMobileFaceNet, spec: NetworkSpec, faces: Images, seed: int = 0) -> QMobileFaceNet:
    """The network of `spec`, quantised from the float network `source` on `faces`, in eval mode."""
    network = QMobileFaceNet(spec).eval()
    for unit, given in zip(conv_units(network), conv_units(source), strict=True):
        unit.conv.load_state_dict(given.conv.state_dict(), strict=False)
        unit.bn.load_state_dict(given.bn.state_dict())
    settle(network)
    walk = Walk(seed)
    wanted = [x * PIXEL_SCALE for x in pixels(faces).split(BATCH)]
    have = wanted
    with torch.no_grad():
        set_stream_scales(network, source, faces)
        for name in progress(network.blocks, "calibrating"):
            have, wanted = walk.stage(network.blocks[name], source.blocks[name], have, wanted)
    return network


class Walk:
    """Calibrates one stage after the other; holds the random positions at which moments are taken."""

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)

    def stage(self, ours: Any, given: Any, have: Batches, wanted: Batches) -> tuple[Batches, Batches]:
        if isinstance(ours, ConvUnit):
            return self.unit(ours, given, have, wanted)
        assert isinstance(ours, Bottleneck)
        y, target = self.unit(ours.expand, given.expand, have, wanted)
        y, target = self.unit(ours.depthwise, given.depthwise, y, target)
        y, target = self.unit(ours.project, given.project, y, target, scale=False)
        if ours.residual:
            y = [ours.project.act(a + b) for a, b in zip(y, have, strict=True)]
            target = [a + b for a, b in zip(target, wanted, strict=True)]
        return y, target

    def unit(
        self, ours: ConvUnit, given: ConvUnit, have: Batches, wanted: Batches, scale: bool = True
    ) -> tuple[Batches, Batches]:
        """Set one unit; its outputs, ours and the wanted ones."""
        set_weights(ours, given, *self.patches(ours.conv, have, wanted))
        sums = [given.bn(given.conv(x)) for x in wanted]
        have = [ours.conv(x) for x in have]
        set_batch_norm(ours.bn, have, sums)
        have = [ours.bn(x) for x in have]
        wanted = [given.act(x) for x in sums]
        if scale and hasattr(ours.act, "act_quant"):
            set_act_scale(ours.act, have, wanted)
        return [ours.act(x) for x in have], wanted

    def patches(self, conv: Any, *inputs: Batches) -> list[Tensor]:
        """What the kernel sees at random positions, the same in every input: (groups, inputs, samples)."""
        results: list[list[Tensor]] = [[] for _ in inputs]
        for batch in zip(*inputs, strict=True):
            chosen = None
            for x, result in zip(batch, results, strict=True):
                columns = F.unfold(x, conv.kernel_size, padding=conv.padding, stride=conv.stride)
                columns = columns.unflatten(1, (conv.groups, -1))
                if chosen is None:
                    chosen = torch.randperm(columns.shape[-1], generator=self.random)[:POSITIONS]
                result.append(columns[..., chosen].permute(1, 2, 0, 3).flatten(2))
        return [torch.cat(result, 2) for result in results]


def set_weights(ours: ConvUnit, given: ConvUnit, have: Tensor, wanted: Tensor) -> None:
    """Weights on the grid of their scales: ours on `have` comes near given on `wanted`, up to a mean."""
    groups = ours.conv.groups
    weight = given.conv.weight.double().flatten(1).unflatten(0, (groups, -1))
    have, wanted = (x.double() - x.double().mean(2, keepdim=True) for x in (have, wanted))
    moment = have @ have.mT / have.shape[2]
    ridge = RIDGE * moment.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-8)[:, None, None]
    ridge = ridge * torch.eye(moment.shape[1], dtype=moment.dtype)
    moment = moment + ridge
    cross = wanted @ have.mT / have.shape[2] + ridge
    weight = torch.linalg.solve(moment, (weight @ cross).mT).mT
    if ours.conv.weight_quant.is_quant_enabled:
        top = 2 ** (int(ours.conv.weight_quant.bit_width()) - 1) - 1
        scale = weight_scales(weight, moment, top)
        weight = round_weights(weight, moment, scale, top)
        value = ours.conv.weight_quant.tensor_quant.scaling_impl.value
        value.copy_((scale * top).reshape(value.shape))
    ours.conv.weight.copy_(weight.reshape(ours.conv.weight.shape))


def weight_scales(weight: Tensor, moment: Tensor, top: int) -> Tensor:
    """The scale per output channel, (groups, outputs, 1), with the least output error of rounded weights."""
    largest = weight.abs().amax(2, keepdim=True).clamp_min(1e-8) / top
    best, least = largest, torch.full_like(largest, torch.inf)
    for ratio in RATIOS:
        scale = ratio * largest
        wrong = torch.clamp(torch.round(weight / scale), -top, top) * scale - weight
        error = ((wrong @ moment) * wrong).sum(2, keepdim=True)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best


def round_weights(weight: Tensor, moment: Tensor, scale: Tensor, top: int) -> Tensor:
    """GPTQ (Frantar et al. 2022): round one input at a time, let the later ones make up for its error."""
    weight = weight.clone()
    inverse = torch.linalg.cholesky(torch.linalg.inv(moment), upper=True)
    for k in range(weight.shape[2]):
        rounded = torch.clamp(torch.round(weight[:, :, k] / scale[..., 0]), -top, top) * scale[..., 0]
        error = (weight[:, :, k] - rounded) / inverse[:, k, k, None]
        weight[:, :, k:] -= error[:, :, None] * inverse[:, None, k, k:]
        weight[:, :, k] = rounded
    return weight


def set_batch_norm(bn: Any, have: Batches, wanted: Batches) -> None:
    """Statistics of `have`; gain and bias such that the result has the mean and spread of `wanted`."""
    if isinstance(bn, nn.Identity):
        return
    mean, wanted_mean = _mean(have), _mean(wanted)
    x = [batch - mean[:, None, None] for batch in have]
    y = [batch - wanted_mean[:, None, None] for batch in wanted]
    var, wanted_var, covariance = _mean(x, x), _mean(y, y), _mean(x, y)
    gain = covariance.sign() * torch.sqrt(wanted_var / var.clamp_min(bn.eps))
    bn.running_mean.copy_(mean)
    bn.running_var.copy_(var)
    bn.bias.copy_(wanted_mean)
    bn.weight.copy_(gain * torch.sqrt(var + bn.eps))


def _mean(*factors: Batches) -> Tensor:
    """Mean per channel of one tensor, or of the product of two."""
    count = sum(x.numel() // x.shape[1] for x in factors[0])
    return (
        sum(math.prod(batch).double().sum((0, 2, 3)) for batch in zip(*factors, strict=True)) / count
    ).float()


def set_act_scale(act: Any, have: Batches, wanted: Batches) -> None:
    """The scale with which `act` of `have` is nearest to `wanted`."""
    bits, signed = int(act.act_quant.bit_width()), not isinstance(act, nn.ReLU | qnn.QuantReLU)
    x, y = (
        torch.cat([batch.flatten()[:: stride(batches)] for batch in batches]) for batches in (have, wanted)
    )
    tried = RATIOS * y.abs().max()
    errors = [(quantised(x, value, bits, signed) - y).square().mean() for value in tried]
    scale_of(act).fill_(tried[torch.stack(errors).argmin()])


def stride(batches: Batches) -> int:
    """Every how manieth value to look at, so that there are about SAMPLES."""
    return max(1, sum(x.numel() for x in batches) // SAMPLES)


def quantised(x: Tensor, value: Tensor, bits: int, signed: bool) -> Tensor:
    """x under a quantiser that goes up to `value` (unsigned), or from -value up (signed)."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    scale = value / (-low if signed else high)
    return torch.clamp(torch.round(x / scale), low, high) * scale


def scale_of(act: nn.Module) -> Tensor:
    """The parameter of an activation quantiser: the largest value that it represents (or minus the least)."""
    return act.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value  # type: ignore


def set_stream_scales(network: QMobileFaceNet, source: QMobileFaceNet, faces: Images) -> None:
    """One scale per residual stream, from the float network: projections round and clip, adds only clip."""
    seen: dict[str, list[Tensor]] = {}
    handles = []
    for name, stage in source.blocks.items():
        if isinstance(stage, Bottleneck):
            for key, module in ((f"{name}.project", stage.project), (f"{name}.add", stage)):
                keep = lambda _m, _x, y, key=key: seen.setdefault(key, []).append(y)  # noqa: E731
                handles.append(module.register_forward_hook(keep))
    for x in pixels(faces[:64]).split(BATCH):
        source(x)
    for handle in handles:
        handle.remove()
    streams: dict[Any, list[str]] = {}
    for name, stage in network.blocks.items():
        if isinstance(stage, Bottleneck) and hasattr(stage.project.act, "act_quant"):
            streams.setdefault(stage.project.act, []).append(name)
    for act, names in streams.items():
        value = scale_of(act)
        bits = int(act.act_quant.bit_width())
        projected = torch.cat([y.flatten() for name in names for y in seen[f"{name}.project"]])
        added = torch.cat([y.flatten() for name in names for y in seen[f"{name}.add"]])
        tried = STREAM_RATIOS * added.abs().max()
        errors = []
        for top in tried:
            value.fill_(top)
            clipped = added.clamp(-top, top * (1 - 2.0 ** (1 - bits)))
            rounding = (act(projected) - projected).square().sum()
            errors.append(rounding + (clipped - added).square().sum())
        value.fill_(tried[torch.stack(errors).argmin()])


def random_network(spec: NetworkSpec, faces: Images, seed: int = 0) -> QMobileFaceNet:
    """A float network with seeded random weights whose batch norms have the statistics of `faces`."""
    floats = (FLOAT_BITS,) * BLOCKS
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = QMobileFaceNet(replace(spec, weight_bits=floats, act_bits=floats, residual_bits=None))
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # the plain average
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0.3, 0.3)
    network.train()
    with torch.no_grad():
        network(pixels(faces))
    return network.eval()


def held_out(files: list[FaceFile], seed: int, share: float = 0.2) -> tuple[list[FaceFile], list[FaceFile]]:
    """The faces in a random order, those of `share` of the identities apart: (for calibration, held out)."""
    random = np.random.default_rng(seed)
    identities = sorted({file.identity or file.name for file in files})
    apart = set(random.permutation(identities)[: max(1, round(share * len(identities)))])
    shuffled = [files[i] for i in random.permutation(len(files))]
    chosen = ([f for f in shuffled if ((f.identity or f.name) in apart) == out] for out in (False, True))
    return next(chosen), next(chosen)


def agreement(network: QMobileFaceNet, source: QMobileFaceNet, faces: Images) -> float:
    """Mean cosine between the embeddings of both networks."""
    with torch.no_grad():
        batches = [F.cosine_similarity(network(x), source(x)) for x in pixels(faces).split(BATCH)]
    return float(torch.cat(batches).mean())


def provenance(args: argparse.Namespace, faces: int) -> str:
    """What the checkpoint says of how it was made."""
    origin = read_provenance(args.weights) if args.weights else f"Random weights of seed {args.seed}."
    seen = (
        ", ".join(path.stem for path in args.faces) if args.faces else "views of one public-domain photograph"
    )
    return (
        f"{origin}\n\nThen post-training quantised by `python -m model.calibrate` on {faces} faces ({seen}); "
        "nothing was trained after quantisation."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="whose network is calibrated")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write (.safetensors)")
    parser.add_argument("--weights", type=Path, help="float checkpoint; without it, seeded random weights")
    parser.add_argument("--faces", type=Path, nargs="+", help="folders or zips; without, the example faces")
    parser.add_argument("--exclude", type=Path, help="identities to leave out, one a line")
    parser.add_argument("--count", type=int, default=96, help="faces to calibrate on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    spec = spec_of_config(args.config)
    if args.faces:
        files = list_faces(args.faces, read_exclusions(args.exclude) if args.exclude else ())
        ours, others = held_out(files, args.seed)
        faces, unseen = (read_faces(part[: args.count], spec.size).images for part in (ours, others))
    else:
        faces, unseen = (example_faces(2 * args.count, spec.size)[start::2] for start in (0, 1))
    source = load_checkpoint(args.weights) if args.weights else random_network(spec, faces, args.seed)
    network = calibrate(source, spec, faces, args.seed)
    save_checkpoint(network, args.out, provenance(args, len(faces)))
    print(
        f"cosine to the float network on {len(unseen)} unseen faces: {agreement(network, source, unseen):.4f}"
    )


if __name__ == "__main__":
    run(main)
