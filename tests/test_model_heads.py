from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from model.heads import UNKNOWN, ArcFace, Softmax, cross_entropy


def embeddings(count: int, length: int = 8) -> torch.Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(3), requires_grad=True)


def test_softmax_is_the_cross_entropy_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    head, x, labels = Softmax(8, 5), embeddings(4), torch.tensor([0, 4, 2, 2])
    assert torch.equal(head(x, labels) * 4, F.cross_entropy(head.linear(x), labels, reduction="sum"))


@pytest.mark.parametrize("margins", [(1.0, 0.5, 0.0), (1.0, 0.0, 0.35), (1.35, 0.0, 0.0), (0.9, 0.4, 0.15)])
def test_margins_are_those_of_insightface(margins: tuple[float, float, float]) -> None:
    """By the formula of the ArcFace paper, equation 4, face by face."""
    torch.manual_seed(0)
    head, x, labels = ArcFace(8, 5, 30.0, margins), embeddings(6), torch.tensor([0, 1, 2, 3, 4, 0])
    expected = 0.0
    m1, m2, m3 = margins
    for face, label in zip(x.detach(), labels, strict=True):
        cosines = [float(F.cosine_similarity(face, centre, dim=0)) for centre in head.weight.detach()]
        angle = math.acos(cosines[label])
        assert m1 * angle + m2 <= math.pi
        cosines[label] = math.cos(m1 * angle + m2) - m3
        exponentials = [math.exp(30 * cosine) for cosine in cosines]
        expected -= math.log(exponentials[label] / sum(exponentials)) / len(labels)
    assert float(head(x, labels).detach()) == pytest.approx(expected, rel=1e-4)


def test_no_margin_is_a_scaled_cosine() -> None:
    head = ArcFace(8, 5, 1.0, (1.0, 0.0, 0.0))
    cosines = torch.linspace(-0.99, 0.99, 50)
    torch.testing.assert_close(head.harder(cosines), cosines, rtol=1e-5, atol=1e-6)


def test_a_larger_angle_is_always_harder() -> None:
    head = ArcFace(8, 5, 64.0, (1.0, 0.5, 0.0))
    curve = head.harder(torch.linspace(-1, 1, 2001))
    assert (curve.diff() > 0).all()
    assert (curve <= torch.linspace(-1, 1, 2001)).all()


def test_the_gradient_is_finite_at_its_own_centre() -> None:
    head = ArcFace(8, 5, 64.0, (1.0, 0.5, 0.0))
    x = head.weight.detach()[:3].clone().requires_grad_()
    head(x, torch.tensor([0, 1, 2])).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_unknown_faces_add_nothing() -> None:
    torch.manual_seed(0)
    for head in (Softmax(8, 5), ArcFace(8, 5, 16.0, (1.0, 0.5, 0.0))):
        x = embeddings(4)
        known = head(x[:2], torch.tensor([1, 3]))
        mixed = head(x, torch.tensor([1, 3, UNKNOWN, UNKNOWN]))
        assert float(mixed.detach()) == pytest.approx(float(known.detach()) / 2)
        assert float(head(x, torch.full((4,), UNKNOWN)).detach()) == 0


def test_shares_of_a_batch_have_the_loss_of_the_batch() -> None:
    logits, labels = embeddings(6, 5), torch.tensor([0, 1, UNKNOWN, 3, UNKNOWN, UNKNOWN])
    halves = [cross_entropy(logits[i : i + 3], labels[i : i + 3]) for i in (0, 3)]
    torch.testing.assert_close(torch.stack(halves).mean(), cross_entropy(logits, labels))
