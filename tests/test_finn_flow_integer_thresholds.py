from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finn_flow.passes.integer_thresholds import Quantiser, integer_thresholds


def apply(thresholds: np.ndarray, low: int, a: np.ndarray) -> np.ndarray:
    return low + (a[:, None] >= thresholds[0]).sum(1)


@given(
    st.integers(2, 8),
    st.booleans(),
    st.floats(1e-3, 10),
    st.floats(0, 1),
    st.floats(-20, 20),
    st.integers(1, 3000),
)
def test_equal_to_the_quantiser_on_every_integer(
    bits: int, signed: bool, step: float, scale: float, offset: float, reach: int
) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    quantiser = Quantiser(step, low, high)
    lo, hi = np.array([-reach]), np.array([reach])
    thresholds = integer_thresholds(quantiser, np.array([scale]), np.array([offset]), lo, hi)
    a = np.arange(-reach, reach + 1)
    assert (apply(thresholds, low, a) == quantiser(scale * a + offset)).all()
    assert (np.diff(thresholds[0]) >= 0).all()
    assert thresholds.min() >= -reach
    assert thresholds.max() <= reach + 1


def test_ties_round_half_to_even_as_brevitas_does() -> None:
    quantiser = Quantiser(2.0, 0, 3)  # 1 and 5 lie half-way: 0.5 -> 0, 2.5 -> 2; 3: 1.5 -> 2
    thresholds = integer_thresholds(quantiser, np.array([1.0]), np.array([0.0]), np.array([0]), np.array([9]))
    assert apply(thresholds, 0, np.arange(8)).tolist() == [0, 0, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize(("offset", "level"), [(-5.0, 0), (3.2, 3), (99.0, 7)])
def test_scale_zero_fixes_the_level(offset: float, level: int) -> None:
    thresholds = integer_thresholds(
        Quantiser(1.0, 0, 7), np.zeros(1), np.array([offset]), np.array([-4]), np.array([4])
    )
    assert (apply(thresholds, 0, np.arange(-4, 5)) == level).all()
    assert set(thresholds[0].tolist()) <= {-4, 5}
