"""Random quantised networks whose activations use their whole range, for tests."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from torch import Tensor, nn

from model.network import QMobileFaceNet
from model.spec import NetworkSpec

SMALL: dict[str, Any] = {"width": 0.0625, "size": 32, "embedding": 6}


def small_spec(bits: int = 4, **changes: Any) -> NetworkSpec:
    """A network of 4 to 32 channels on 32x32 pixels, all widths `bits` unless changed."""
    return NetworkSpec(**{"weight_bits": (bits,) * 10, "act_bits": (bits,) * 10, **SMALL, **changes})


def random_pixels(spec: NetworkSpec, frames: int, seed: int = 0) -> Tensor:
    """(N, 3, size, size) float64 pixels minus 128."""
    values = np.random.default_rng(seed).integers(-128, 128, (frames, 3, spec.size, spec.size))
    return torch.from_numpy(values.astype(np.float64))


def random_network(spec: NetworkSpec, seed: int = 0) -> QMobileFaceNet:
    """A float64 network in evaluation mode: random weights, batch norms of either sign, fitted scales."""
    torch.manual_seed(seed)
    network = QMobileFaceNet(spec)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight.data *= torch.where(torch.rand_like(module.weight) < 0.2, -1.0, 1.0)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = None  # average over all batches
    network = network.double()
    with torch.no_grad():
        network.train()(random_pixels(spec, 8, seed))
        network.eval()
        _fit_scales(network, random_pixels(spec, 4, seed + 1))
    return network


def _fit_scales(network: QMobileFaceNet, pixels: Tensor) -> None:
    """Set each activation scale so that the largest input about saturates; shared ones at their first use."""
    done: set[nn.Module] = set()

    def fit(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module not in done:
            done.add(module)
            largest = float(inputs[0].abs().max()) or 1.0
            value = module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value
            value.data.fill_(largest * float(torch.empty(1).uniform_(0.4, 1.1)))

    quantisers = [m for m in network.modules() if isinstance(m, qnn.QuantReLU | qnn.QuantIdentity)]
    handles = [module.register_forward_pre_hook(fit) for module in quantisers]
    network(pixels)
    for handle in handles:
        handle.remove()
