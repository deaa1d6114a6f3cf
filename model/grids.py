"""The arithmetic of post-training quantisation: values and weights on integer grids, scales by search.

Weights are (groups, outputs, inputs) and what a kernel sees is (groups, inputs, samples): a dense convolution
has one group, a depthwise one a group per channel.
"""

from __future__ import annotations

import torch
from torch import Tensor

RATIOS = torch.linspace(0.1, 1.0, 46)  # scales tried, as shares of the one that clips nothing
RIDGE = 0.01  # how much a least-squares solution holds on to the given weights, of the mean variance


def quantised(x: Tensor, limit: Tensor, bits: int, signed: bool) -> Tensor:
    """x on the grid that reaches from 0 to `limit`, or signed from -limit to just under it.

    >>> quantised(torch.tensor([-1.0, 0.4, 0.6, 9.0]), torch.tensor(3.0), 2, False).tolist()
    [0.0, 0.0, 1.0, 3.0]
    >>> quantised(torch.tensor([-9.0, 0.4, 0.6, 9.0]), torch.tensor(2.0), 2, True).tolist()
    [-2.0, 0.0, 1.0, 1.0]
    """
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    scale = limit / (-low if signed else high)
    return torch.clamp(torch.round(x / scale), low, high) * scale


def best_limits(x: Tensor, bits: int, signed: bool) -> Tensor:
    """For each row of x, (channels, samples), the limit of the grid with the least squared error: (channels,)."""
    largest = x.abs().amax(1, keepdim=True).clamp_min(1e-6)
    tried = [ratio * largest for ratio in RATIOS]
    errors = torch.stack([(quantised(x, limit, bits, signed) - x).square().mean(1) for limit in tried])
    return largest[:, 0] * RATIOS[errors.argmin(0)]


def refit(weight: Tensor, have: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares weights that make of `have` what `weight` makes of `wanted`, up to a mean.

    The fewer samples there are for the inputs, the more it holds on to `weight`. Returns the weights and the
    second moments (groups, inputs, inputs) of `have`, both in double.
    """
    have, wanted = (x.double() - x.double().mean(2, keepdim=True) for x in (have, wanted))
    inputs, samples = have.shape[1:]
    moment = have @ have.mT / samples
    share = max(RIDGE, inputs / samples)
    ridge = share * moment.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-10)
    ridge = ridge[:, None, None] * torch.eye(inputs, dtype=moment.dtype)
    moment = moment + ridge
    cross = wanted @ have.mT / samples + ridge
    return torch.linalg.solve(moment, (weight.double() @ cross).mT).mT, moment


def weight_scales(weight: Tensor, moment: Tensor, bits: int) -> Tensor:
    """The scale per output channel, (groups, outputs, 1), with the least output error of rounded weights."""
    top = 2 ** (bits - 1) - 1
    largest = weight.abs().amax(2, keepdim=True).clamp_min(1e-8) / top
    best, least = largest, torch.full_like(largest, torch.inf)
    for ratio in RATIOS:
        scale = ratio * largest
        wrong = torch.clamp(torch.round(weight / scale), -top, top) * scale - weight
        error = ((wrong @ moment) * wrong).sum(2, keepdim=True)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return best


def round_weights(weight: Tensor, moment: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Weights on their grids, by GPTQ (Frantar et al., ICLR 2023).

    One input is rounded at a time, and the weights of the inputs that follow make up for its error as far as
    the second moments let them.
    """
    top = 2 ** (bits - 1) - 1
    weight, scale = weight.clone(), scale[..., 0]
    inverse = torch.linalg.cholesky(torch.linalg.inv(moment), upper=True)
    for k in range(weight.shape[2]):
        rounded = torch.clamp(torch.round(weight[:, :, k] / scale), -top, top) * scale
        error = (weight[:, :, k] - rounded) / inverse[:, k, k, None]
        weight[:, :, k:] -= error[:, :, None] * inverse[:, None, k, k:]
        weight[:, :, k] = rounded
    return weight
