"""Verification accuracy on pairs of faces, by the protocol of the paper (section II.A) and of LFW.

python -m model.evaluate --checkpoint w4a4 --images lfw.zip --pairs pairs.txt [--flip] [--json]
python -m model.evaluate --checkpoint w4a4 --images agedb_30.bin

Two faces are the same person if the angle between their embeddings is small enough. The threshold of each of
the ten folds is the one with which the other nine are judged best; the accuracy is the mean over the folds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.checkpoint import load_checkpoint
from model.console import progress, run
from model.data import FaceFile, Images, list_faces, pixels, read_faces
from model.errors import UserError
from model.insightface import read_bin
from model.network import QMobileFaceNet
from model.spec import find_checkpoint

Embed = Callable[[Images], NDArray[np.float64]]
BATCH = 32
FOLDS = 10


@dataclass(frozen=True)
class Pairs:
    """left, right: index into `names`; same: whether a pair is of one person; fold: of each pair."""

    names: list[str]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """accuracy: mean and std over the folds. auc: area under the ROC; tpr: at false positive rates.

    Angles: threshold_degrees, with the most right answers on all pairs; threshold_0_1_percent, with that
    false positive rate.
    """

    accuracy: float
    std: float
    auc: float
    tpr_at_fpr_1_percent: float
    tpr_at_fpr_0_1_percent: float
    threshold_degrees: float
    pairs: int
    threshold_0_1_percent: float


def read_pairs(path: Path) -> Pairs:
    """LFW's pairs.txt, or the pairs of insightface's `.bin`. Raises UserError.

    pairs.txt: `folds pairs`, then lines `name i j` or `name1 i name2 j`.
    """
    if path.suffix == ".bin":
        return pairs_of_bin(path)
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        folds, per_fold = (int(number) for number in header.split())
        rows = [line.split() for line in lines if line.strip()]
        names: dict[str, int] = {}
        left: list[int] = []
        right: list[int] = []
        same: list[bool] = []
        for row in rows:
            first, second = (row[0], row[1]), (row[0], row[2]) if len(row) == 3 else (row[2], row[3])
            for ends, (name, number) in ((left, first), (right, second)):
                ends.append(names.setdefault(f"{name}/{name}_{int(number):04d}.jpg", len(names)))
            same.append(len(row) == 3)
    except (OSError, ValueError, IndexError) as error:
        raise UserError("pairs", str(path), f"is no list of pairs as LFW has it ({error})") from None
    if len(rows) != 2 * folds * per_fold:
        rule = f"its first line promises {2 * folds * per_fold} pairs, it has {len(rows)}"
        raise UserError("pairs", str(path), rule)
    fold = np.arange(len(rows)) // (2 * per_fold)
    return Pairs(list(names), np.array(left), np.array(right), np.array(same), fold)


def pairs_of_bin(path: Path) -> Pairs:
    """The pairs of a `.bin`, in FOLDS folds of neighbours, as insightface's verification.py makes them."""
    same = np.array(read_bin(path)[1])
    pairs = np.arange(len(same))
    names = [str(number) for number in range(2 * len(same))]
    return Pairs(names, 2 * pairs, 2 * pairs + 1, same, FOLDS * pairs // len(same))


def evaluate(embed: Embed, images: Path, pairs: Pairs, flip: bool = False, size: int = 112) -> Scores:
    """Scores of `embed`, uint8 (N, size, size, 3) -> (N, E), on the pairs' images in a folder or zip.

    flip: embed the mirror image too and add both. Raises UserError naming an image that is absent.
    """
    return score(angles(embed, images, pairs, flip, size), pairs)


def angles(
    embed: Embed, images: Path, pairs: Pairs, flip: bool = False, size: int = 112
) -> NDArray[np.float64]:
    """The angle of each pair in degrees; arguments and errors as `evaluate`."""
    known = {file.name: file for file in list_faces([images])}
    files = [_find(known, images, name) for name in pairs.names]
    batches = []
    for start in progress(range(0, len(files), BATCH), "embedding"):
        faces = read_faces(files[start : start + BATCH], size, strict=True).images
        batch = embed(faces) + (embed(faces[:, :, ::-1]) if flip else 0)
        batches.append(batch / np.linalg.norm(batch, axis=1, keepdims=True))
    embeddings = np.concatenate(batches)
    cosine = (embeddings[pairs.left] * embeddings[pairs.right]).sum(1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def score(angle: NDArray[np.float64], pairs: Pairs) -> Scores:
    """Scores of the angles (degrees) between the faces of each pair."""
    accuracies = []
    for fold in np.unique(pairs.fold):
        test = pairs.fold == fold
        threshold = best_threshold(angle[~test], pairs.same[~test])
        accuracies.append(float(((angle[test] <= threshold) == pairs.same[test]).mean()))
    fpr, tpr = roc(angle, pairs)
    return Scores(
        float(np.mean(accuracies)),
        float(np.std(accuracies)),
        float(np.trapezoid(tpr, fpr)),
        float(tpr[fpr <= 0.01].max()),
        float(tpr[fpr <= 0.001].max()),
        best_threshold(angle, pairs.same),
        len(angle),
        threshold_at(0.001, angle, pairs.same),
    )


def roc(angle: NDArray[np.float64], pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates of all thresholds, from 0, 0 to 1, 1; a point a distinct angle."""
    order = np.argsort(angle, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(angle[order])), len(order) - 1)  # equal angles stand together
    tpr = np.append(0, np.cumsum(pairs.same[order])[ends] / pairs.same.sum())
    fpr = np.append(0, np.cumsum(~pairs.same[order])[ends] / (~pairs.same).sum())
    return fpr, tpr


def best_threshold(angle: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The angle up to which calling pairs the same is right most often; half-way to the next angle.

    >>> best_threshold(np.array([10.0, 20.0, 40.0, 50.0]), np.array([True, True, False, False]))
    30.0
    """
    order = np.argsort(angle, kind="stable")
    a, s = angle[order], same[order]
    right = np.append((~s).sum(), (~s).sum() + np.cumsum(np.where(s, 1, -1)))
    right[1:-1][np.diff(a) == 0] = -1  # no threshold lies between equal angles
    k = int(right.argmax())
    edges = np.concatenate([[a[0] - 1.0], a, [a[-1] + 1.0]])
    return float((edges[k] + edges[k + 1]) / 2)


def threshold_at(rate: float, angle: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The largest angle that calls no more than that share of the different pairs the same.

    It is half-way to the first pair that is one too many.

    >>> threshold_at(0.5, np.array([10.0, 20.0, 40.0, 50.0]), np.array([True, False, True, False]))
    45.0
    """
    different = np.sort(angle[~same])
    allowed = int(rate * len(different))
    if allowed >= len(different):
        return float(angle.max())
    below = angle[angle < different[allowed]]
    return float((different[allowed] + (below.max() if len(below) else 0)) / 2)


def brevitas_embedding(network: QMobileFaceNet) -> Embed:
    """`embed` of the Brevitas network, in the precision of its parameters."""
    network = network.eval()
    weight = next(network.parameters())

    def embed(faces: Images) -> NDArray[np.float64]:
        with torch.no_grad():
            return network(pixels(faces).to(weight)).double().numpy(force=True)

    return embed


def _find(known: dict[str, FaceFile], images: Path, name: str) -> FaceFile:
    """The file of a pair, in the folder or zip itself or in a single folder within."""
    if name in known:
        return known[name]
    for path, file in known.items():
        if path.endswith(f"/{name}"):
            return file
    raise UserError("images", str(images), f"lacks {name}, which the pairs name")


def pairs_source(images: Path, pairs: Path | None) -> Path:
    """The file that holds the pairs. Raises UserError("pairs", ...) if there is none."""
    if pairs is None and images.suffix != ".bin":
        raise UserError("pairs", None, "missing; give pairs.txt (a .bin holds its pairs itself)")
    return pairs or images


def report(scores: Scores, name: str, flip: bool, as_json: bool) -> str:
    """The scores for a program, or for a person in the form of insightface's log."""
    if as_json:
        return json.dumps(asdict(scores), indent=2)
    label = "Accuracy-Flip" if flip else "Accuracy"
    return (
        f"[{name}]{label}: {scores.accuracy:.5f}+-{scores.std:.5f}\n"
        f"AUC {scores.auc:.5f}, TPR@FPR=1% {scores.tpr_at_fpr_1_percent:.4f}, "
        f"TPR@FPR=0.1% {scores.tpr_at_fpr_0_1_percent:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="name of a shipped one, or a file")
    parser.add_argument("--images", type=Path, required=True, help="folder, zip or .bin of aligned faces")
    parser.add_argument("--pairs", type=Path, help="pairs.txt; a .bin holds its pairs itself")
    parser.add_argument("--flip", action="store_true", help="add the embedding of the mirror image")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    pairs_file = pairs_source(args.images, args.pairs)
    pairs = read_pairs(pairs_file)
    network = load_checkpoint(find_checkpoint("checkpoint", args.checkpoint, Path()))
    if not network.spec.is_float:  # as the accelerator computes: in float32 some roundings differ
        network = network.double()
    scores = evaluate(brevitas_embedding(network), args.images, pairs, args.flip, network.spec.size)
    print(report(scores, pairs_file.stem, args.flip, args.json))


if __name__ == "__main__":
    run(main)
