"""Packing of integers into stream beats and back."""

from __future__ import annotations

import numpy as np
import pytest

from verification.packing import pack, unpack
from verification.streams import deinterleave, interleave


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 7, 8, 13, 20, 32])
@pytest.mark.parametrize("elements", [1, 3, 8])
def test_unpack_is_the_reverse_of_pack(bits: int, elements: int, signed: bool) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    values = np.random.default_rng(bits).integers(low, high, (50, elements))
    beats = pack(values, bits)
    assert beats.shape == (50, -(-bits * elements // 8))
    assert (unpack(beats, bits, elements, signed) == values).all()


def test_the_first_element_is_in_the_lowest_bits() -> None:
    assert pack(np.array([[5, 0, 0]]), 4).tolist() == [[5, 0]]
    assert pack(np.array([[0, 0, 5]]), 4).tolist() == [[0, 5]]


def test_a_depthwise_stream_has_all_taps_of_a_group_together() -> None:
    tensor = np.arange(2 * 9 * 6).reshape(2, 9 * 6)
    stream = interleave(tensor, 9, 3)
    assert stream[0, :6].tolist() == [0, 1, 2, 6, 7, 8]
    assert (deinterleave(stream, 9, 3) == tensor).all()
