"""The faces that a build looks at: the user's, or those with a free licence that scikit-image ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data import example_faces, list_faces, read_faces

EXAMPLES = 8  # shown in the report when the user gives no images
MOST_SHOWN = 24  # a similarity matrix of more is no picture


@dataclass(frozen=True)
class NamedFaces:
    """names and uint8 images (N, size, size, 3) RGB."""

    names: list[str]
    images: NDArray[np.uint8]


def faces_to_show(folder: Path | None, size: int) -> NamedFaces:
    """The user's images, at most `MOST_SHOWN` of them, else examples. Raises UserError naming a bad image."""
    if folder is None:
        names = [f"example {number}" for number in range(1, EXAMPLES + 1)]
        return NamedFaces(names, example_faces(EXAMPLES, size))
    files = list_faces([folder])[:MOST_SHOWN]
    return NamedFaces([file.name for file in files], read_faces(files, size, strict=True).images)


def frames_to_verify(count: int, folder: Path | None, size: int) -> NDArray[np.uint8]:
    """`count` distinct faces (count, size, size, 3): the user's first, then examples."""
    given = faces_to_show(folder, size).images[:count] if folder is not None else None
    if given is None:
        return example_faces(count, size)
    return np.concatenate([given, example_faces(count, size)])[:count]
