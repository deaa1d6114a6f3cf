from __future__ import annotations

import pytest
import torch

from model.folded import FoldedNetwork
from model.network import QMobileFaceNet
from tests.networks import random_network, random_pixels, small_spec

MIXED = (8, 8, 4, 4, 4, 2, 2, 2, 3, 5)


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(4),
        small_spec(2, depthwise="linear"),
        small_spec(4, weight_bits=MIXED, act_bits=MIXED, residual_bits=(8, 4, 2)),
        small_spec(32),
        small_spec(4, weight_bits=(32,) * 5 + (4,) * 5, act_bits=(4,) * 5 + (32,) * 5),
    ],
    ids=["w4a4", "linear", "mixed", "float", "half float"],
)
def test_outputs_and_gradients_are_those_of_brevitas(spec) -> None:  # type: ignore[no-untyped-def]
    network = random_network(spec)
    x = random_pixels(spec, 3, seed=7)
    expected, gradients = _run(network, network, x)
    output, folded = _run(network, FoldedNetwork(network), x)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    assert folded.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(folded[name], gradient, rtol=1e-5, atol=1e-8, msg=name)


def _run(network: QMobileFaceNet, forward, x):  # type: ignore[no-untyped-def]
    network.zero_grad()
    output = forward(x)
    (output * torch.arange(1, output.shape[1] + 1)).sum().backward()
    return output.detach(), {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
