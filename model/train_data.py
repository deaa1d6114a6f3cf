"""What a training reads: decoded faces, whose they are, what the teachers make of them, who is held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.augment import augment, draw
from model.data import list_faces, read_exclusions
from model.distributed import Place
from model.errors import UserError
from model.evaluate import FOLDS
from model.face_cache import CachedFaces, cached_embeddings, cached_faces
from model.heads import UNKNOWN
from model.spec import NetworkSpec
from model.teacher import Vectors, load_teacher
from model.train_settings import Settings
from model.validation import Rows, Validation, hold_out, random_pairs

NAMED = 5  # unreadable images that are named; the others are counted


@dataclass(frozen=True)
class TrainingData:
    """All faces, N of them, and what is known of them.

    rows: of the faces to train on; held: of the people held out. labels: (N,), the number of the person, or
    UNKNOWN. teachers: (N, E) embeddings each. excluded: identities left out.
    """

    faces: CachedFaces
    rows: Rows
    held: Rows
    labels: NDArray[np.int64]
    classes: int
    teachers: list[Vectors]
    excluded: int

    def sample(self, count: int) -> Rows:
        """`count` of the rows to train on, evenly, or all if there are fewer."""
        count = min(count, len(self.rows))
        return self.rows[np.arange(count) * len(self.rows) // count]


def prepare(settings: Settings, spec: NetworkSpec) -> TrainingData:
    """Decode and embed what the cache does not hold yet. Raises UserError with the setting that is wrong."""
    faces, excluded = read(settings, spec.size)
    teachers = [embedded(path, faces, settings, spec) for path in teacher_files(settings)]
    rows, held = hold_out(faces.identities, settings.held_out, settings.seed)
    if settings.distillation is None:
        rows = rows[[faces.identities[row] is not None for row in rows]]
    if len(rows) < settings.batch:
        raise UserError("batch", settings.batch, f"more than the {len(rows)} faces to train on")
    labels, classes = numbered(faces.identities, rows)
    return TrainingData(faces, rows, held, labels, classes, teachers, excluded)


def read(settings: Settings, size: int) -> tuple[CachedFaces, int]:
    """The decoded faces, and how many identities were left out."""
    names = set(read_exclusions(Path(settings.exclude)) if settings.exclude else ())
    files = list_faces([Path(source) for source in settings.faces])
    kept = [file for file in files if file.identity not in names]
    found = len({file.identity for file in files} & names)
    print(f"{len(files) - len(kept)} faces of {found} excluded identities left out", flush=True)
    faces = cached_faces(kept, size, Path(settings.cache))
    if faces.rejected:
        print(
            f"{len(faces.rejected)} images cannot be read:", *faces.rejected[:NAMED], sep="\n  ", flush=True
        )
    return faces, found


def teacher_files(settings: Settings) -> tuple[str, ...]:
    return settings.distillation.teachers if settings.distillation else ()


def embedded(path: str, faces: CachedFaces, settings: Settings, spec: NetworkSpec) -> Vectors:
    """The embeddings of all faces by one teacher."""
    teacher, name = load_teacher(Path(path), spec.size)
    vectors = cached_embeddings(teacher, name, faces, Path(settings.cache))
    if vectors.shape[1] != spec.embedding:
        rule = f"embeds in {vectors.shape[1]} dimensions, the student in {spec.embedding}"
        raise UserError("teachers", path, rule)
    return vectors


def numbered(identities: tuple[str | None, ...], rows: Rows) -> tuple[NDArray[np.int64], int]:
    """The number of each face's person among those of `rows`, else UNKNOWN; and how many people these are.

    >>> numbered(("b", None, "a", "c", "b"), np.array([0, 1, 2]))
    (array([ 1, -1,  0, -1,  1]), 2)
    """
    people = sorted({name for name in (identities[row] for row in rows) if name is not None})
    number: dict[str | None, int] = {name: index for index, name in enumerate(people)}
    return np.array([number.get(name, UNKNOWN) for name in identities]), len(people)


def held_out_people(data: TrainingData, targets: Vectors | None, settings: Settings) -> Validation:
    """What the best state is chosen by. Raises UserError("faces", ...) if they make too few pairs."""
    pairs = random_pairs([data.faces.identities[row] for row in data.held], settings.pairs, settings.seed)
    if pairs.same.sum() < FOLDS:
        rule = f"{len(data.held)} held-out faces make fewer than {FOLDS} pairs; give more people, in folders"
        raise UserError("faces", settings.faces, rule)
    images = np.asarray(data.faces.images[data.held])
    return Validation(images, None if targets is None else targets[data.held], pairs)


@lru_cache(maxsize=1)
def epoch_order(count: int, epoch: int, seed: int) -> NDArray[np.int64]:
    """The faces of an epoch in their order."""
    random = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    return torch.randperm(count, generator=random).numpy()


def batch_of(
    data: TrainingData, settings: Settings, place: Place, step: int
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """A process's share of the batch of a step: the network's input, and the rows of its faces.

    An epoch ends with its last full batch.
    """
    epoch, at = divmod(step, len(data.rows) // settings.batch)
    order = epoch_order(len(data.rows), epoch, settings.seed)
    share = place.share(settings.batch)
    rows = data.rows[order[at * settings.batch : (at + 1) * settings.batch][share]]
    draws = draw(settings.batch, settings.seed, step)[share]
    return augment(data.faces.images[rows], settings.augmentation, draws, place.device), rows
