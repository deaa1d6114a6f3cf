"""The accelerator on many faces: against the integers that the build expects, and by LFW's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.accelerator import FaceAccelerator
from driver.errors import InputError
from driver.host import normalise
from driver.images import Pictures, Pixels
from driver.protocol import Accuracy, Pairs, accuracy, compare

BATCHES = 4  # that are read from the folder or zip at a time: more overlap, more memory


@dataclass(frozen=True)
class Expected:
    """names of images; accumulators: int32 (N, E) that the build's executor computes of them."""

    names: list[str]
    accumulators: NDArray[np.int32]


def read_expected(path: Path) -> Expected:
    """The integers in a .npz file of the build. Raises InputError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names, accumulators = [str(name) for name in file["names"]], file["accumulators"]
    except FileNotFoundError:
        raise InputError("expected", str(path), "no such file") from None
    except (OSError, ValueError, KeyError) as error:
        raise InputError("expected", str(path), f"holds no expected integers ({error})") from None
    if accumulators.dtype != np.int32 or accumulators.ndim != 2 or len(accumulators) != len(names):
        raise InputError("expected", accumulators.shape, "want an int32 row for each name")
    return Expected(names, accumulators)


def check_expected(accelerator: FaceAccelerator, pictures: Pictures, expected: Expected) -> int:
    """Run the images and compare every integer; returns how many. Raises MismatchError, InputError."""
    width = accelerator.deployment.output.count
    if expected.accumulators.shape[1] != width:
        raise InputError("expected", expected.accumulators.shape, f"this accelerator makes {width} numbers")
    got = np.concatenate(list(_runs(accelerator, pictures, expected.names, accelerator.execute)))
    return compare(expected.names, got, expected.accumulators)


def evaluate_pairs(
    accelerator: FaceAccelerator, pictures: Pictures, pairs: Pairs, flip: bool = False
) -> Accuracy:
    """Accuracy on the pairs' images. flip: add the embedding of the mirror image, before it is normalised."""

    def embed(faces: Pixels) -> NDArray[Any]:
        deployment = accelerator.deployment
        first = accelerator.execute(faces) * deployment.scale + deployment.offset
        if not flip:
            return first
        mirrored = np.ascontiguousarray(faces[:, :, ::-1])
        return first + accelerator.execute(mirrored) * deployment.scale + deployment.offset

    vectors = normalise(np.concatenate(list(_runs(accelerator, pictures, pairs.names, embed))))
    return accuracy((vectors[pairs.left] * vectors[pairs.right]).sum(axis=1), pairs)


def _runs(
    accelerator: FaceAccelerator,
    pictures: Pictures,
    names: Sequence[str],
    run: Callable[[Pixels], NDArray[Any]],
) -> Iterator[NDArray[Any]]:
    """`run` of the images by their names, some batches at a time."""
    shape = accelerator.deployment.input.shape
    step = BATCHES * accelerator.batch_size
    for start in range(0, len(names), step):
        faces = [pictures.read(pictures.find(name)) for name in names[start : start + step]]
        for name, face in zip(names[start:], faces, strict=False):
            if face.shape != shape:
                size = f"{shape[1]}x{shape[0]}"
                raise InputError(
                    "image", name, f"is {face.shape[1]}x{face.shape[0]}; give aligned faces of {size}"
                )
        yield run(np.stack(faces))
