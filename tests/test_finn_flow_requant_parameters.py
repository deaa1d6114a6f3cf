from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finn_flow.ops.requant import requantise
from finn_flow.passes.integer_thresholds import Quantiser, integer_thresholds
from finn_flow.passes.requant_parameters import MAX_SHIFT, find_requant_parameters, stored_bits


@given(
    st.integers(2, 8),
    st.booleans(),
    st.lists(st.tuples(st.floats(1e-4, 2), st.floats(-9, 9)), min_size=1, max_size=3),
    st.integers(1, 4000),
)
def test_equal_to_the_thresholds_on_every_integer(
    bits: int, signed: bool, affine: list[tuple[float, float]], reach: int
) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    scale, offset = (np.array(column) for column in zip(*affine, strict=True))
    lo, hi = np.full(len(scale), -reach), np.full(len(scale), reach)
    thresholds = integer_thresholds(Quantiser(0.37, low, high), scale, offset, lo, hi)
    found = find_requant_parameters(thresholds, low, lo, hi)
    assert found is not None
    a = np.arange(-reach, reach + 1)[:, None]
    expected = low + (a[:, :, None] >= thresholds).sum(-1)
    assert (requantise(a, found.scale, found.bias, found.shift, low, high) == expected).all()
    assert found.scale.min() >= 0
    assert 0 <= found.shift.min() <= found.shift.max() <= MAX_SHIFT


def test_a_clamp_needs_neither_multiplier_nor_shift() -> None:
    thresholds = np.arange(-7, 8)[None]  # the levels of INT4, as after an add of equal scales
    found = find_requant_parameters(thresholds, -8, np.array([-16]), np.array([14]))
    assert found is not None
    assert (found.scale.tolist(), found.bias.tolist(), found.shift.tolist()) == ([1], [0], [0])


def test_uneven_thresholds_have_no_parameters() -> None:
    thresholds = np.array([[0, 10, 500]])
    assert find_requant_parameters(thresholds, 0, np.array([-1000]), np.array([1000])) is None


def test_one_uneven_channel_refuses_the_bank() -> None:
    thresholds = np.array([[0, 10, 20], [0, 10, 500]])
    bounds = np.array([-1000, -1000]), np.array([1000, 1000])
    assert find_requant_parameters(thresholds, 0, *bounds) is None


def test_unreachable_levels_do_not_bind() -> None:
    thresholds = np.array([[3, 41, 41]])  # 41 lies beyond the reach of 40
    found = find_requant_parameters(thresholds, 0, np.array([-40]), np.array([40]))
    assert found is not None
    a = np.arange(-40, 41)[:, None]
    assert (requantise(a, found.scale, found.bias, found.shift, 0, 3)[:, 0] == (a[:, 0] >= 3)).all()


def test_scales_and_biases_take_few_bits() -> None:
    """Sixty-four channels of 4 bits on accumulators of 12: one shift for all, 30 bits instead of 38 to 45."""
    random = np.random.default_rng(1)
    scale, offset = random.uniform(0.002, 0.04, 64), random.uniform(-4, 4, 64)
    lo, hi = np.full(64, -2048), np.full(64, 2047)
    thresholds = integer_thresholds(Quantiser(0.5, 0, 15), scale, offset, lo, hi)
    found = find_requant_parameters(thresholds, 0, lo, hi)
    assert found is not None
    assert len(set(found.shift.tolist())) == 1
    assert stored_bits(found) == 30
    assert (found.bias % 64 == 0).all()
