"""Held-out training identities: whose faces a training never sees, and by which its best state is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data import Images
from model.evaluate import FOLDS, Embed, Pairs, score
from model.teacher import Vectors, normalised

Rows = NDArray[np.int64]

IMAGES_EACH = 2, 50  # faces of a person who may be held out: enough for a pair, not a share of the training
BATCH = 32


@dataclass(frozen=True)
class Validation:
    """Faces (N, size, size, 3) of held-out people, the teachers' embeddings (N, E), and pairs of them."""

    images: Images
    targets: Vectors | None
    pairs: Pairs

    @property
    def criterion(self) -> str:
        """The measure by which the best state is chosen."""
        return "auc" if self.targets is None else "cosine"

    def measure(self, embed: Embed) -> dict[str, float]:
        """accuracy, auc: on the pairs, by the paper's protocol. cosine: the mean one to the targets."""
        rows = range(0, len(self.images), BATCH)
        ours = normalised(np.concatenate([embed(self.images[i : i + BATCH]) for i in rows]))
        cosine = (ours[self.pairs.left] * ours[self.pairs.right]).sum(1, dtype=np.float64)
        scores = score(np.degrees(np.arccos(np.clip(cosine, -1, 1))), self.pairs)
        measured = {"accuracy": scores.accuracy, "auc": scores.auc}
        if self.targets is None:
            return measured
        return {"cosine": float((ours * self.targets).sum(1, dtype=np.float64).mean()), **measured}


def hold_out(identities: Sequence[str | None], count: int, seed: int) -> tuple[Rows, Rows]:
    """(rows to train on, rows held out): whole identities, at random, until `count` faces are held out.

    Faces without identity are trained on. At most a fifth of all faces is held out.
    """
    few, many = IMAGES_EACH
    faces = Counter(name for name in identities if name is not None)
    eligible = sorted(name for name, number in faces.items() if few <= number <= many)
    count = min(count, len(identities) // 5)
    held: set[str | None] = set()
    for name in np.random.default_rng(seed).permutation(eligible):
        if count <= 0:
            break
        held.add(str(name))
        count -= faces[str(name)]
    out = np.array([name in held for name in identities], bool)
    return np.flatnonzero(~out), np.flatnonzero(out)


def random_pairs(identities: Sequence[str | None], count: int, seed: int) -> Pairs:
    """Up to `count` pairs of one person's faces and as many of two people's, in FOLDS folds."""
    random = np.random.default_rng(seed)
    names = np.array(identities, dtype=str)
    left, right = np.triu_indices(len(names), 1)
    same = names[left] == names[right]
    count = min(count, int(same.sum()))
    chosen = np.concatenate([random.permutation(np.flatnonzero(kind))[:count] for kind in (same, ~same)])
    fold = np.tile(np.arange(count) % FOLDS, 2)
    return Pairs([], left[chosen], right[chosen], same[chosen], fold)
