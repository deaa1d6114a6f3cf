from __future__ import annotations

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.folding import finn_folding
from finn_flow.boards import BOARDS
from finn_flow.folding import apply_folding
from finn_flow.folding.groups import folding_groups
from finn_flow.folding.set_folding import set_folding_interval
from finn_flow.performance import layer_cycles
from tests.hw_graphs import HardwareGraph, mobile_network, residual_network

ZCU104 = BOARDS["ZCU104"]


def finn_interval(model: ModelWrapper, cycles: int) -> int:
    folding = finn_folding(model, ZCU104, cycles)
    folded = apply_folding(ModelWrapper(model.model, make_deepcopy=True), folding)
    return max(layer_cycles(folded).values())


@pytest.mark.parametrize("cycles", [60_000, 14_000, 4_000, 1_500, 700])
def test_interval_is_what_set_folding_reaches(cycles: int) -> None:
    model = residual_network()
    groups = folding_groups(model, "DSP48E2")
    assert set_folding_interval(model, groups, cycles) == finn_interval(model, cycles)


@pytest.mark.parametrize("cycles", [400_000, 200_000])
def test_interval_of_the_full_network(cycles: int) -> None:
    model = mobile_network()
    theirs = finn_interval(model, cycles)
    assert set_folding_interval(model, folding_groups(model, "DSP48E2"), cycles) == theirs


@pytest.mark.parametrize(
    ("cycles", "pe", "simd"),
    [
        (4 * 48 * 4, 1, 8),  # 32 bits of weights
        (4 * 48 * 2, 1, 16),  # 64 bits, but that keeps the target
        (4 * 48 * 2 - 1, 3, 8),  # else back to 32 bits, and PE grows
        (20, 48, 8),
    ],
)
def test_weights_of_a_pe_are_at_most_36_bits_wide(cycles: int, pe: int, simd: int) -> None:
    model = HardwareGraph(2, 32, "UINT4").mvau(48, 4).model()
    theirs = finn_folding(model, ZCU104, cycles).layers["MVAU_0"]
    assert (theirs["PE"], theirs["SIMD"]) == (pe, simd)
    interval = 4 * (48 // pe) * (32 // simd)
    assert set_folding_interval(model, folding_groups(model, "DSP48E2"), cycles) == interval
