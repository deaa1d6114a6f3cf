"""QMobileFaceNet: MobileFaceNet (Table I of the paper) with Brevitas quantisers, built to streamline.

What makes it lower to integers without a remainder:
- the input is integer pixels minus 128 under a constant scale of 1/128;
- weights have signed per-channel scales, activations unsigned (after ReLU) or signed per-tensor scales;
- one shared signed quantiser per residual stream, at each projection that writes the stream and after each
  add, so that both sides of an add have the same scale;
- the embedding is left as the accumulators of the last layer under a per-channel scale and offset.
"""

from __future__ import annotations

from collections.abc import Sequence

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from model.quantizers import SignedActPerTensor, SignedWeightPerChannel, UnsignedActPerTensor
from model.spec import NetworkSpec
from model.table import FLOAT_BITS, Stage

PIXEL_OFFSET = 128  # subtracted from uint8 pixels by the host; the accelerator's input is INT8
PIXEL_SCALE = 1.0 / 128.0
BN_EPS = 2.0**-17  # ONNX keeps it in float32: a power of two is the same number in the float64 reference


def _relu(bits: int) -> nn.Module:
    """ReLU under an unsigned quantiser; in float ReLU6, the range that the quantiser starts with."""
    if bits == FLOAT_BITS:
        return nn.ReLU6()
    return qnn.QuantReLU(act_quant=UnsignedActPerTensor, bit_width=bits)


def _identity(bits: int) -> nn.Module:
    """A signed quantiser."""
    if bits == FLOAT_BITS:
        return nn.Identity()
    return qnn.QuantIdentity(act_quant=SignedActPerTensor, bit_width=bits)


class ConvUnit(nn.Module):
    """Convolution, batch norm unless left out, then an activation quantiser or nothing, in NCHW."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        bits: int,
        act: nn.Module,
        *,
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = qnn.QuantConv2d(
            c_in,
            c_out,
            kernel,
            stride=stride,
            padding=padding,
            groups=c_in if depthwise else 1,
            bias=False,
            weight_quant=None if bits == FLOAT_BITS else SignedWeightPerChannel,
            weight_bit_width=bits,
        )
        self.bn = nn.BatchNorm2d(c_out, eps=BN_EPS) if batch_norm else nn.Identity()
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Inverted residual: expand 1x1, depthwise 3x3, project 1x1 onto the residual stream."""

    def __init__(self, stage: Stage, spec: NetworkSpec, stream: nn.Module) -> None:
        super().__init__()
        w, a = spec.weight_bits[stage.block - 1], spec.act_bits[stage.block - 1]
        bn_relu = spec.depthwise == "bn_relu"
        self.residual = stage.residual
        self.expand = ConvUnit(stage.c_in, stage.c_mid, 1, w, _relu(a))
        self.depthwise = ConvUnit(
            stage.c_mid,
            stage.c_mid,
            3,
            w,
            _relu(a) if bn_relu else _identity(a),
            stride=stage.stride,
            padding=1,
            depthwise=True,
            batch_norm=bn_relu,
        )
        self.project = ConvUnit(stage.c_mid, stage.c_out, 1, w, stream)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return self.project.act(x + y) if self.residual else y


class QMobileFaceNet(nn.Module):
    """The network of `spec`: (N, 3, size, size) RGB pixels minus 128 -> (N, embedding), not normalised.

    `spec.depthwise` chooses the depthwise structure; ReLU replaces PReLU as in the paper (section II.B).
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        streams = [_identity(bits) for bits in spec.stream_bits]
        self.blocks = nn.ModuleDict(
            {stage.name.replace(".", "_"): self._stage(stage, spec, streams) for stage in spec.stages()}
        )

    @staticmethod
    def _stage(stage: Stage, spec: NetworkSpec, streams: Sequence[nn.Module]) -> nn.Module:
        w, a = spec.weight_bits[stage.block - 1], spec.act_bits[stage.block - 1]
        bn = spec.depthwise == "bn_relu"
        c_in, c_out = stage.c_in, stage.c_out
        match stage.kind:
            case "conv":
                return ConvUnit(c_in, c_out, 3, w, _relu(a), stride=stage.stride, padding=1)
            case "depthwise":
                return ConvUnit(c_in, c_out, 3, w, _relu(a), padding=1, depthwise=True, batch_norm=bn)
            case "bottleneck":
                assert stage.stream is not None
                return Bottleneck(stage, spec, streams[stage.stream])
            case "pointwise":
                return ConvUnit(c_in, c_out, 1, w, _relu(a))
            case "gdc":
                return ConvUnit(c_in, c_out, stage.size, w, _identity(a), depthwise=True, batch_norm=bn)
            case "linear":
                return ConvUnit(c_in, c_out, 1, w, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        x = x * PIXEL_SCALE
        for stage in self.blocks.values():
            x = stage(x)
        return x.flatten(1)


def activation_calls(spec: NetworkSpec) -> list[str]:
    """Names of the quantised activations in the order in which a forward pass computes them.

    These names are the contract between the Brevitas network and every graph made of it: the tensor that
    holds an activation keeps its name from the export to the hardware graph.
    """
    names: list[str] = []
    for stage in spec.stages():
        if stage.kind == "bottleneck":
            names += [f"{stage.name}.{role}" for role in ("expand", "depthwise", "project")]
            if stage.residual:
                names.append(f"{stage.name}.add")
        elif stage.kind != "linear":
            names.append(stage.name)
    return names


def integer_activations(network: QMobileFaceNet, x: Tensor) -> dict[str, Tensor]:
    """Every quantised activation of one forward pass as integers, by name: the reference of all checks.

    x: (N, 3, size, size) pixels minus 128. The network is evaluated as it stands: `network.double().eval()`
    is the reference. Returns int64 tensors (N, C, H, W) in order, and "embedding", the float result (N, E).
    """
    outputs: list[Tensor] = []

    def record(module: nn.Module, _args: object, output: Tensor) -> None:
        scale = module.act_quant.scale()  # type: ignore[operator, union-attr]
        outputs.append(torch.round(output / scale).to(torch.int64))

    quantisers = {
        module for module in network.modules() if isinstance(module, qnn.QuantReLU | qnn.QuantIdentity)
    }
    handles = [module.register_forward_hook(record) for module in quantisers]
    try:
        with torch.no_grad():
            embedding = network(x)
    finally:
        for handle in handles:
            handle.remove()
    names = activation_calls(network.spec)
    assert len(names) == len(outputs), (len(names), len(outputs))
    return {**dict(zip(names, outputs, strict=True)), "embedding": embedding}
