from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import UserError
from model.evaluate import (
    Pairs,
    Scores,
    best_threshold,
    evaluate,
    pairs_source,
    read_pairs,
    report,
    roc,
    score,
    threshold_at,
)


def pairs_of(same: list[bool], folds: int) -> Pairs:
    n = len(same)
    fold = np.arange(n) // (n // folds)
    return Pairs([], np.zeros(n, int), np.zeros(n, int), np.array(same), fold)


def naive_accuracy(angle: np.ndarray, pairs: Pairs) -> float:
    """The protocol by trying every threshold."""
    results = []
    for fold in np.unique(pairs.fold):
        train, test = pairs.fold != fold, pairs.fold == fold
        tried = np.concatenate([[-1], np.sort(angle), [181]])
        tried = (tried[1:] + tried[:-1]) / 2
        right = [((angle[train] <= t) == pairs.same[train]).mean() for t in tried]
        best = max(right)
        chosen = [t for t, r in zip(tried, right, strict=True) if r == best]
        results.append({float(((angle[test] <= t) == pairs.same[test]).mean()) for t in chosen})
    return float(np.mean([max(result) for result in results]))


def test_separable_pairs_score_one() -> None:
    pairs = pairs_of([True, False] * 20, folds=10)
    angle = np.where(pairs.same, 30.0, 80.0) + np.linspace(0, 1, 40)
    scores = score(angle, pairs)
    assert (scores.accuracy, scores.std, scores.auc) == (1.0, 0.0, 1.0)
    assert scores.tpr_at_fpr_1_percent == 1.0
    assert 31 < scores.threshold_degrees < 80


def test_accuracy_is_no_better_than_the_best_threshold_of_each_fold_allows() -> None:
    random = np.random.default_rng(0)
    pairs = pairs_of(list(random.random(200) < 0.5), folds=10)
    angle = np.where(pairs.same, 50, 70) + random.normal(0, 15, 200)
    scores = score(angle, pairs)
    assert 0.5 < scores.accuracy <= naive_accuracy(angle, pairs)
    greater = (angle[~pairs.same][:, None] > angle[pairs.same]).mean()
    assert scores.auc == pytest.approx(greater)


def test_equal_angles_cannot_be_told_apart() -> None:
    pairs = pairs_of([True, False] * 10, folds=2)
    scores = score(np.full(20, 40.0), pairs)
    assert scores.accuracy == 0.5
    assert scores.auc == 0.5


def test_best_threshold_may_call_all_pairs_different() -> None:
    assert best_threshold(np.array([10.0, 20.0]), np.array([False, False])) < 10


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Two people with two images each, and a list of one fold with two pairs of either kind."""
    for number, (name, colour) in enumerate([("A", 20), ("B", 200)]):
        (tmp_path / "img" / name).mkdir(parents=True)
        for i in (1, 2):
            image = np.full((16, 16, 3), colour + i + number, np.uint8)
            Image.fromarray(image).save(tmp_path / "img" / name / f"{name}_{i:04d}.jpg", quality=100)
    (tmp_path / "pairs.txt").write_text("1 2\nA 1 2\nB 1 2\nA 1 B 1\nA 2 B 2\n")
    return tmp_path / "img", tmp_path / "pairs.txt"


def embed(faces: np.ndarray) -> np.ndarray:
    mean = faces.mean((1, 2, 3)) / 255
    return np.stack([mean, 1 - mean], 1)


def test_evaluate_reads_only_what_the_pairs_name(data: tuple[Path, Path]) -> None:
    images, path = data
    (images / "A" / "A_0003.jpg").write_bytes(b"not an image")
    pairs = read_pairs(path)
    assert pairs.names == ["A/A_0001.jpg", "A/A_0002.jpg", "B/B_0001.jpg", "B/B_0002.jpg"]
    assert pairs.same.tolist() == [True, True, False, False]
    scores = evaluate(embed, images, Pairs(**{**vars(pairs), "fold": np.arange(4) % 2}), size=16)
    assert scores.auc == 1.0
    assert evaluate(embed, images, Pairs(**{**vars(pairs), "fold": np.arange(4) % 2}), True, 16).auc == 1.0


def test_a_missing_image_is_named(data: tuple[Path, Path]) -> None:
    images, path = data
    (images / "B" / "B_0002.jpg").unlink()
    with pytest.raises(UserError) as caught:
        evaluate(embed, images, read_pairs(path), size=16)
    assert str(caught.value) == f"images = {str(images)!r}: lacks B/B_0002.jpg, which the pairs name"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "is no list of pairs as LFW has it"),
        ("1 2\nA 1 2\n", "its first line promises 4 pairs, it has 1"),
    ],
)
def test_bad_pairs(tmp_path: Path, text: str, start: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(UserError) as caught:
        read_pairs(tmp_path / "pairs.txt")
    assert caught.value.rule.startswith(start)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 1.0])
def test_the_threshold_at_a_rate_lets_no_more_through_and_no_larger_one_would(rate: float) -> None:
    random = np.random.default_rng(0)
    same = random.random(400) < 0.5
    angle = np.round(np.where(same, 50, 70) + random.normal(0, 15, 400))  # many equal ones
    threshold = threshold_at(rate, angle, same)
    assert (angle[~same] <= threshold).mean() <= rate
    larger = angle[angle > threshold]
    assert not len(larger) or (angle[~same] <= larger[larger > threshold].min()).mean() >= rate
    if rate == 1.0:
        assert threshold == angle.max()


def test_the_roc_has_a_point_for_each_angle() -> None:
    pairs = pairs_of([True, True, False, False], folds=2)
    fpr, tpr = roc(np.array([10.0, 30.0, 20.0, 30.0]), pairs)
    assert fpr.tolist() == [0, 0, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 0.5, 1]
    scores = score(np.array([10.0, 30.0, 20.0, 30.0]), pairs)
    assert (scores.auc, scores.tpr_at_fpr_1_percent, scores.tpr_at_fpr_0_1_percent) == (0.625, 0.5, 0.5)


def test_what_is_printed() -> None:
    scores = Scores(0.98765, 0.004, 0.999, 0.97, 0.9, 71.5, 6000, 65.0)
    assert report(scores, "lfw", False, False) == (
        "[lfw]Accuracy: 0.98765+-0.00400\nAUC 0.99900, TPR@FPR=1% 0.9700, TPR@FPR=0.1% 0.9000"
    )
    assert report(scores, "lfw", True, False).startswith("[lfw]Accuracy-Flip: 0.98765")
    assert json.loads(report(scores, "lfw", True, True))["tpr_at_fpr_0_1_percent"] == 0.9


def test_pairs_must_be_somewhere() -> None:
    assert pairs_source(Path("lfw.bin"), None) == Path("lfw.bin")
    assert pairs_source(Path("lfw.zip"), Path("pairs.txt")) == Path("pairs.txt")
    with pytest.raises(UserError, match=r"^pairs = None: missing; give pairs.txt \(a .bin holds its .*\)$"):
        pairs_source(Path("lfw.zip"), None)
