"""Rescale and centre the channels of a float network so that one scale a tensor suits them all.

A channel can be divided by a factor where it is written (batch norm, or the convolution where there is none)
and multiplied by it where it is read (the next convolution's weights); a constant can be taken off a residual
stream and given back to the batch norms of its readers. Neither changes what the float network computes, but
a quantiser with one scale for the whole tensor then quantises every channel as well as one with a scale per
channel would.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model.grids import best_limits
from model.network import Bottleneck, ConvUnit, NetworkSpec, QMobileFaceNet
from model.table import FLOAT_BITS

SAMPLES = 16_384  # values a channel that its limit is chosen by


class Cap(nn.Module):
    """Clamp each channel to 0..cap: what becomes of ReLU6 when channels are rescaled."""

    def __init__(self, cap: Tensor) -> None:
        super().__init__()
        self.register_buffer("cap", cap)

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(x.relu(), self.cap[:, None, None])


@dataclass
class Link:
    """One activation, or one residual stream: who writes it and who reads it, in order."""

    bits: int
    signed: bool
    writers: list[ConvUnit] = field(default_factory=list)
    readers: list[ConvUnit] = field(default_factory=list)
    watched: list[nn.Module] = field(default_factory=list)  # modules whose outputs are its values


def links(network: QMobileFaceNet, spec: NetworkSpec) -> list[Link]:
    """The activations of a float network with the widths that `spec` gives them."""
    result: list[Link] = []
    streams = {number: Link(bits, True) for number, bits in enumerate(spec.stream_bits)}
    open_link: Link | None = None  # what the next convolution reads
    for stage in spec.stages():
        module = network.blocks[stage.name.replace(".", "_")]
        inner = [module] if isinstance(module, ConvUnit) else [module.expand, module.depthwise]
        for unit in inner:
            if open_link is not None:
                open_link.readers.append(unit)
            signed = isinstance(unit.act, nn.Identity)
            open_link = Link(spec.act_bits[stage.block - 1], signed, [unit], [], [unit])
            result.append(open_link)
        if isinstance(module, Bottleneck):
            assert open_link is not None and stage.stream is not None
            open_link.readers.append(module.project)
            open_link = streams[stage.stream]
            open_link.writers.append(module.project)
            open_link.watched += [module.project, module] if stage.residual else [module.project]
    return [link for link in (*result, *streams.values()) if link.readers]


def equalise(network: QMobileFaceNet, spec: NetworkSpec, inputs: list[Tensor]) -> None:
    """Rescale and centre the float `network` in place for the widths of `spec`, by what `inputs` make it do."""
    every = links(network, spec)
    values = watch(network, [module for link in every for module in link.watched], inputs)
    for link in every:
        if link.bits == FLOAT_BITS:
            continue
        seen = {module: values[module] for module in link.watched}
        if link.signed and all(isinstance(unit.bn, nn.BatchNorm2d) for unit in (*link.writers, *link.readers)):
            seen = centre(link, seen)
        rescale(link, best_limits(torch.cat(list(seen.values()), 1), link.bits, link.signed))


def watch(network: nn.Module, modules: list[nn.Module], inputs: list[Tensor]) -> dict[nn.Module, Tensor]:
    """Values (channels, samples) that each module gives while the network runs on `inputs`."""
    kept: dict[nn.Module, list[Tensor]] = {module: [] for module in modules}
    share = SAMPLES // sum(len(x) for x in inputs)

    def keep(module: nn.Module, _inputs: object, output: Tensor) -> None:
        values = output.flatten(2)
        step = max(1, values.shape[2] // max(1, share))
        kept[module].append(values[:, :, ::step].transpose(0, 1).flatten(1))

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        for x in inputs:
            network(x)
    finally:
        for handle in handles:
            handle.remove()
    return {module: torch.cat(values, 1) for module, values in kept.items()}


def centre(link: Link, seen: dict[nn.Module, Tensor]) -> dict[nn.Module, Tensor]:
    """Take its mean off everything that is written; give the sum so far back to each reader."""
    total = torch.zeros(len(next(iter(seen.values()))))
    result = dict(seen)
    for writer, reader in zip(link.writers, link.readers, strict=True):
        mean = seen[writer].mean(1)
        total = total + mean
        writer.bn.bias -= mean
        reader.bn.running_mean -= reader.conv.weight.flatten(1) @ total
        result[writer] = seen[writer] - mean[:, None]
        ...
    return result


def rescale(link: Link, factors: Tensor) -> None:
    """Divide the channels by `factors` where they are written, multiply where they are read."""
    for unit in link.writers:
        if isinstance(unit.bn, nn.BatchNorm2d):
            unit.bn.weight /= factors
            unit.bn.bias /= factors
        else:
            unit.conv.weight /= factors[:, None, None, None]
        if isinstance(unit.act, nn.ReLU6 | Cap):
            unit.act = Cap((unit.act.cap if isinstance(unit.act, Cap) else 6.0) / factors)
    for unit in link.readers:
        depthwise = unit.conv.groups > 1
        unit.conv.weight *= factors[:, None, None, None] if depthwise else factors[None, :, None, None]
