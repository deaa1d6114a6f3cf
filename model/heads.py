"""Classification headers: they stand behind the embedding while a network is trained, and are dropped after.

Each keeps one vector per identity, (classes, E), and gives the loss of a batch of embeddings (N, E) whose
identities are `labels` (N,) int64; -1 marks a face whose identity is not known: it adds nothing. The loss is
the sum over the batch divided by N, so that the mean over equal shares of a batch is that of the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNKNOWN = -1
NEAR_ONE = 1 - 1e-6  # arccos has no gradient at 1


class Softmax(nn.Module):
    """Cross-entropy of a linear layer with bias."""

    def __init__(self, embedding: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, classes)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(self.linear(embeddings.float()), labels)


class ArcFace(nn.Module):
    """Cross-entropy of `scale` times the cosines to the identities' vectors, with a margin for the right one.

    margins: insightface's margin_list (m1, m2, m3): the right one's cosine cos(t) is made harder to
    cos(m1 t + m2) - m3. ArcFace is (1, 0.5, 0), CosFace (1, 0, 0.35), SphereFace (1.35, 0, 0).
    """

    def __init__(
        self, embedding: int, classes: int, scale: float, margins: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.scale, self.margins = scale, margins
        self.weight = nn.Parameter(torch.randn(classes, embedding) * 0.01)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        cosines = F.linear(F.normalize(embeddings.float()), F.normalize(self.weight))
        right = F.one_hot(labels.clamp(min=0), cosines.shape[1]).bool()
        return cross_entropy(self.scale * torch.where(right, self.harder(cosines), cosines), labels)

    def harder(self, cosines: Tensor) -> Tensor:
        """cos(m1 t + m2) - m3, and beyond m1 t + m2 = pi the mirrored curve, so that it always falls."""
        m1, m2, m3 = self.margins
        angle = m1 * torch.arccos(cosines.clamp(-NEAR_ONE, NEAR_ONE)) + m2
        return torch.where(angle <= math.pi, torch.cos(angle), -2 - torch.cos(angle)) - m3


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Over the faces with a label, as a share of all."""
    return F.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction="sum") / len(labels)
