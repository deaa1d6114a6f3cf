"""What a training minimises: the losses of headers and teachers, weighted and added."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.checkpoint import load_checkpoint
from model.errors import UserError
from model.folded import FoldedNetwork
from model.heads import ArcFace, Softmax
from model.network import PIXEL_SCALE, QMobileFaceNet
from model.spec import NetworkSpec
from model.train_settings import Head, Settings

BlockOutputs = Callable[[Tensor], list[Tensor]]


class Objective(nn.Module):
    """The loss of a batch: its parameters are those of the network and of the header, which are trained."""

    def __init__(self, network: QMobileFaceNet, settings: Settings, classes: int) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.head = make_head(settings.head, network.spec.embedding, classes)
        self.teacher = layer_teacher(settings, network)
        if settings.batch_norm == "train":
            self.outputs: BlockOutputs = lambda x: block_outputs(network.train(), x)
        else:
            self.outputs = FoldedNetwork(network.eval()).outputs

    def forward(self, x: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
        """x: (N, 3, size, size) pixels minus 128. labels: (N,). targets: (N, E) of the teachers, length 1."""
        bfloat16 = self.settings.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            outputs = self.outputs(x)
        embeddings = outputs[-1].flatten(1).float()
        loss = embeddings.new_zeros(())
        if self.settings.head:
            loss = loss + self.settings.head.weight * self.head(embeddings, labels)
        if self.settings.distillation and targets is not None:
            near = F.cosine_similarity(embeddings, targets).mean()
            loss = loss + self.settings.distillation.weight * (1 - near)
        if self.settings.distillation and self.teacher:
            loss = loss + self.settings.distillation.layer_weight * layer_error(outputs, self.teacher(x))
        return loss


def make_head(head: Head | None, embedding: int, classes: int) -> nn.Module:
    """The header of the settings; nothing where there is none."""
    if head is None:
        return nn.Identity()
    if head.kind == "softmax":
        return Softmax(embedding, classes)
    return ArcFace(embedding, classes, head.scale, head.margin_list)


def layer_teacher(settings: Settings, network: QMobileFaceNet) -> BlockOutputs | None:
    """What the first teacher's blocks give; None if the loss does not look at it.

    Raises UserError("teachers", ...) if they give other shapes than the student's.
    """
    if settings.distillation is None or settings.distillation.layer_weight == 0:
        return None
    path = settings.distillation.teachers[0]
    if Path(path).suffix != ".safetensors":
        raise UserError("teachers", path, "layer_weight needs a checkpoint as the first teacher")
    teacher = load_checkpoint(Path(path))
    if shape(teacher.spec) != shape(network.spec):
        raise UserError("teachers", path, "has blocks of other shapes; layer_weight must be 0")
    folded = FoldedNetwork(teacher.to(next(network.parameters()).device))

    def outputs(x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return folded.outputs(x)

    return outputs


def shape(spec: NetworkSpec) -> tuple[float, int, int]:
    return spec.width, spec.size, spec.embedding


def layer_error(ours: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean over the blocks but the last, which is the embedding: squared error, as a share of the square."""
    pairs = zip(ours[:-1], wanted[:-1], strict=True)
    errors = [F.mse_loss(a.float(), b) / b.square().mean().clamp_min(1e-8) for a, b in pairs]
    return torch.stack(errors).mean()


def block_outputs(network: QMobileFaceNet, x: Tensor) -> list[Tensor]:
    """What each stage gives, by the Brevitas network as it stands."""
    outputs = []
    x = x * PIXEL_SCALE
    for stage in network.blocks.values():
        x = stage(x)
        outputs.append(x)
    return outputs
