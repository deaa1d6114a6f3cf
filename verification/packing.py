"""Integers <-> the bytes of stream beats: elements of equal width side by side, the first lowest."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def pack(values: NDArray, bits: int) -> NDArray[np.uint8]:
    """Integers (beats, elements) -> (beats, ceil(elements * bits / 8)), two's complement for negative ones.

    >>> pack(np.array([[1, -1], [7, 2]]), 4).tolist()
    [[241], [39]]
    """
    elements = np.asarray(values).astype(np.int64)
    planes = (elements[..., None] >> np.arange(bits)) & 1
    return np.packbits(planes.reshape(len(elements), -1).astype(np.uint8), axis=1, bitorder="little")


def unpack(beats: NDArray[np.uint8], bits: int, elements: int, signed: bool) -> NDArray[np.int64]:
    """The reverse: bytes (beats, bytes) -> integers (beats, elements).

    >>> unpack(np.array([[241], [39]], np.uint8), 4, 2, signed=True).tolist()
    [[1, -1], [7, 2]]
    """
    planes = np.unpackbits(beats, axis=1, bitorder="little")[:, : elements * bits]
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return planes.reshape(len(beats), elements, bits).astype(np.int64) @ weights


def pack_words(words: Iterable[int], bits: int) -> bytes:
    """Unsigned words of any width -> whole bytes a word, the least significant first.

    >>> pack_words([0x123, 0x4], 12).hex()
    '23010400'
    """
    return b"".join(word.to_bytes(-(-bits // 8), "little") for word in words)
