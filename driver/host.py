"""What the host does to a batch before and after the accelerator: pixels in, embeddings out. numpy alone.

Nothing here loops over elements: packing is one exclusive-or per byte, written into the DMA's buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.deploy import Deployment, Stream
from driver.errors import InputError

SIGN = 0x80  # flipping it in a uint8 subtracts 128 from it as int8


def as_array(images: Any, field: str) -> NDArray[Any]:
    """An array of whatever is given. Raises InputError if a list's images differ in shape."""
    try:
        return np.asarray(images)
    except ValueError:
        raise InputError(field, f"a list of {len(images)}", "its images differ in shape") from None


def check_frames(batch: Any, stream: Stream, field: str = "batch") -> NDArray[Any]:
    """`batch` as an array (N, H, W, C) of uint8 pixels 0..255 or of int8 pixels minus 128.

    Raises InputError for another data type or shape: converting would guess which of the two is meant.
    """
    frames = as_array(batch, field)
    if frames.dtype not in (np.uint8, np.int8):
        raise InputError(field, str(frames.dtype), "give uint8 pixels, or int8 pixels minus 128")
    if frames.ndim != len(stream.shape) + 1 or frames.shape[1:] != stream.shape:
        want = ", ".join(map(str, stream.shape))
        raise InputError(field, frames.shape, f"give an array of shape (N, {want})")
    return frames


def pack(frames: NDArray[Any], buffer: NDArray[np.int8]) -> None:
    """Write frames (N, H, W, C), uint8 or int8, into the first N frames of `buffer` (M, ...), int8."""
    target = np.asarray(buffer)[: len(frames)].reshape(frames.shape)
    if frames.dtype == np.uint8:
        np.bitwise_xor(frames, SIGN, out=target.view(np.uint8))
    else:
        np.copyto(target, frames)


def unpack(buffer: NDArray[np.int32], out: NDArray[np.int32]) -> None:
    """Copy the first len(out) frames of accumulators (M, E) to `out` (N, E)."""
    np.copyto(out, np.asarray(buffer)[: len(out)])


def normalise(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Vectors (N, E) of length 1, float32. One that is zero stays zero.

    >>> normalise(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32)


def embeddings(accumulators: NDArray[np.int32], deployment: Deployment) -> NDArray[np.float32]:
    """Accumulators (N, E) -> L2-normalised embeddings (N, E), by the host's scale and offset."""
    return normalise(accumulators * deployment.scale + deployment.offset)
