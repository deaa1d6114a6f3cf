from __future__ import annotations

from dataclasses import replace

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.folding import BOARD_NAMES, Network, compare
from finn_flow.boards import BOARDS, Board
from finn_flow.folding import (
    UNLIMITED,
    Folding,
    apply_folding,
    cycles_per_frame,
    least_interval,
    solve,
)
from finn_flow.folding.fifos import network_resources
from finn_flow.folding.groups import folding_groups
from finn_flow.performance import layer_cycles
from finn_flow.resources import RESOURCE_NAMES, Resources, board_resources
from model.errors import UserError
from tests.hw_graphs import mobile_network, residual_network

ZCU104 = BOARDS["ZCU104"]
SMALL = Board("small", "xczu1", lut=14_000, ff=28_000, bram18=20, uram=0, dsp=40)


def folded(model: ModelWrapper, folding: Folding) -> ModelWrapper:
    copy = ModelWrapper(model.model, make_deepcopy=True)
    return apply_folding(copy, folding)


def usage(model: ModelWrapper, board: Board) -> Resources:
    return network_resources(model, board.dsp_block)


def evaluate(model: ModelWrapper, board: Board, folding: Folding) -> tuple[int, float]:
    """II, and cost in boards."""
    result = folded(model, folding)
    shares = zip(usage(result, board).counts, board_resources(board).counts, strict=True)
    return max(layer_cycles(result).values()), sum(used / total for used, total in shares if total)


@pytest.mark.parametrize("cycles", [100_000, 5_000, 1_000, 400])
def test_every_layer_keeps_the_target(cycles: int) -> None:
    model = residual_network()
    folding = solve(model, ZCU104, 5.0, 1e9 / 5 / cycles)
    assert list(folding.layers) == [node.name for node in model.graph.node]
    assert max(layer_cycles(folded(model, folding)).values()) <= cycles


def test_no_layer_can_be_folded_for_less() -> None:
    """Changing the folding of any one group to any other that keeps the interval costs at least as much."""
    model = residual_network()
    folding = solve(model, ZCU104, 5.0, 1e9 / 5 / 1_000)
    interval, cost = evaluate(model, ZCU104, folding)
    for group in folding_groups(model, "DSP48E2"):
        for option in group.options[:: max(1, len(group.options) // 12)]:
            if option.interval <= interval:
                other = Folding({**folding.layers, **option.folding})
                assert evaluate(model, ZCU104, other)[1] >= cost - 1e-9


def test_cost_falls_with_the_target() -> None:
    model = residual_network()
    costs = [evaluate(model, ZCU104, solve(model, ZCU104, 5.0, 1e9 / 5 / c))[1] for c in (400, 2_000, 20_000)]
    assert costs == sorted(costs, reverse=True)


def test_model_is_left_alone() -> None:
    model = residual_network()
    before = model.model.SerializeToString()
    solve(model, ZCU104, 5.0, 1000.0)
    assert model.model.SerializeToString() == before


@pytest.mark.parametrize("headroom", [0.6, 0.8])
def test_fastest_fits_and_nothing_faster_does(headroom: float) -> None:
    model = residual_network()
    result = folded(model, solve(model, SMALL, 5.0, None, headroom))
    used, offered = usage(result, SMALL), board_resources(SMALL)
    assert all(u <= headroom * o for u, o in zip(used.counts, offered.counts, strict=True))
    interval = max(layer_cycles(result).values())
    assert interval > least_interval(model, SMALL)
    with pytest.raises(UserError, match="does not fit small"):
        solve(model, SMALL, 5.0, 1e9 / 5 / (interval - 1), headroom)


def test_more_room_is_never_slower() -> None:
    model = residual_network()
    boards = [
        replace(SMALL, **{name: getattr(SMALL, name) * n for name in RESOURCE_NAMES}) for n in (1, 2, 4)
    ]
    intervals = [evaluate(model, board, solve(model, board, 5.0, None))[0] for board in boards]
    assert intervals == sorted(intervals, reverse=True)
    assert intervals[-1] < intervals[0]


def test_fastest_with_room_for_everything_is_the_least_interval() -> None:
    model = residual_network()
    folding = solve(model, ZCU104, 5.0, None, UNLIMITED)
    assert evaluate(model, ZCU104, folding)[0] == least_interval(model, ZCU104) == 18 * 18 + 2


def test_target_out_of_reach() -> None:
    with pytest.raises(UserError) as error:
        solve(residual_network(), ZCU104, 5.0, 1_000_000.0)
    assert str(error.value) == (
        "target_fps = 1000000.0: out of reach; the least II is 326 cycles "
        "(layer ConvolutionInputGenerator_0), 613,496.9 fps at 200 MHz"
    )


def test_target_that_does_not_fit() -> None:
    board = replace(SMALL, dsp=8)
    with pytest.raises(UserError) as error:
        solve(residual_network(), board, 5.0, 1e9 / 5 / 400)
    assert error.value.field == "target_fps"
    needed = error.value.rule.removeprefix("does not fit small: ").split(" ")[0]
    assert int(needed) > 6
    assert error.value.rule == (
        f"does not fit small: {needed} DSP needed, 6 available (80% of 8); "
        "lower target_fps or take a larger board"
    )


@pytest.mark.parametrize(("name", "label"), [("lut", "LUT"), ("ff", "FF"), ("dsp", "DSP")])
def test_network_that_does_not_fit_at_any_speed(name: str, label: str) -> None:
    board = replace(SMALL, **{name: 0})
    with pytest.raises(
        UserError, match=rf"[\d,]+ {label} needed, 0 available \(80% of 0\) at any speed; "
    ) as error:
        solve(residual_network(), board, 5.0, None)
    assert (error.value.field, error.value.value) == ("board", "small")


def test_block_ram_and_luts_stand_in_for_each_other() -> None:
    model = residual_network()
    without = solve(model, replace(SMALL, bram18=0), 5.0, 100.0)
    assert usage(folded(model, without), SMALL).bram18 == 0
    few_luts = usage(folded(model, without), SMALL).lut * 95 // 100
    with_ram = solve(model, replace(SMALL, lut=few_luts), 5.0, 100.0, headroom=1.0)
    assert usage(folded(model, with_ram), SMALL).bram18 > 0


@pytest.mark.parametrize("board", BOARD_NAMES)
@pytest.mark.parametrize("cycles", [20_000, 3_000, 700, 1])
def test_interval_is_never_larger_than_finns(board: str, cycles: int) -> None:
    """A target that nobody reaches stands for the least interval."""
    network = Network(residual_network())
    row = compare(network, BOARDS[board], 1e9 / BOARDS[board].clk_period_ns / cycles)
    assert row.is_as_good
    assert row.ours.interval <= row.finns.interval


def test_network_of_170_layers_is_solved() -> None:
    model = mobile_network()
    assert len(model.graph.node) == 170
    folding = solve(model, ZCU104, 5.0, None)
    assert "proved to be the least cost" in folding.proof
    assert evaluate(model, ZCU104, folding)[0] <= 100_352


def test_cycles_per_frame() -> None:
    assert cycles_per_frame(10.0, 30.0) == 3_333_333
    assert all(
        cycles_per_frame(5.0, 1e9 / 5.0 / cycles) == cycles for cycles in (326, 13_456, 50_176, 401_409)
    )
