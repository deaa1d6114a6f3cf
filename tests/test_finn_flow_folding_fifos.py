"""The model of the streams' cost before FIFO depths are known."""

from __future__ import annotations

from finn_flow.boards import BOARDS, DspBlock
from finn_flow.folding import apply_folding, insert_width_converters, solve
from finn_flow.folding.exact import Solution, least_cost
from finn_flow.folding.fifos import assumed_depths, held_bits, network_resources, stream_resources
from finn_flow.folding.problem import Problem
from finn_flow.folding.solver import Room, folding_of
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.resources import Resources, converter_resources, fifo_resources, layer_resources
from tests.hw_graphs import HardwareGraph, residual_network

DSP: DspBlock = "DSP48E2"


def test_a_stream_has_a_fifo_and_one_more_behind_its_converter() -> None:
    assert stream_resources(8, 8, DSP) == fifo_resources(8, 2, DSP)
    both = fifo_resources(8, 2, DSP) + converter_resources(8, 4) + fifo_resources(4, 2, DSP)
    assert stream_resources(8, 4, DSP) == both


def test_a_by_pass_is_deep_where_it_ends() -> None:
    assert stream_resources(8, 4, DSP, 8000) == (
        fifo_resources(8, 2, DSP) + converter_resources(8, 4) + fifo_resources(4, 2001, DSP)
    )
    assert stream_resources(4, 4, DSP, 8000).bram18 == 1


def test_what_a_by_pass_holds() -> None:
    """A 3x3 window, padded by one: a row of 8 and two pixels; one for all other layers."""
    graph = HardwareGraph(8, 16, "UINT4")
    other = graph.duplicate()
    graph.mvau(16, 4).pad().window(3, depthwise=True).vvau(4).thresholding(4)
    model = graph.add(other).model()
    assert held_bits(model) == {"pixels.copy1": (8 + 2 + 1) * 16 * 4}


def test_no_by_pass_no_depth() -> None:
    assert held_bits(HardwareGraph(8, 4).mvau(4, 4).model()) == {}


def test_usage_of_a_choice_is_that_of_the_folded_graph() -> None:
    """The solver's sum over options and streams against a walk over the graph."""
    board, model = BOARDS["ZCU104"], residual_network()
    problem, room = Problem.of(model, board.dsp_block), Room.on(board, 0.8)
    solution = least_cost(problem, 1_000, room.unit, room.bounds)
    assert isinstance(solution, Solution)
    folded = apply_folding(residual_network(), folding_of(problem, solution))
    assert network_resources(folded, board.dsp_block) == Resources(*map(int, solution.usage))


def test_fifos_of_the_assumed_depths_are_those_that_are_priced() -> None:
    """Layers, converters and FIFOs of the built graph, one by one, against the solver's sum."""
    board, model = BOARDS["ZCU104"], residual_network()
    problem, room = Problem.of(model, board.dsp_block), Room.on(board, 0.8)
    solution = least_cost(problem, 1_000, room.unit, room.bounds)
    assert isinstance(solution, Solution)
    built = insert_width_converters(apply_folding(residual_network(), folding_of(problem, solution)))
    depths = assumed_depths(built, held_bits(model))
    assert list(depths.values()) == [max(depths.values())]  # one by-pass
    built = built.transform(InsertFifos(depths))
    priced = sum(layer_resources(built, board).values(), Resources())
    assert priced == Resources(*map(int, solution.usage))


def test_a_folding_tells_its_proof() -> None:
    folding = solve(residual_network(), BOARDS["ZCU104"], 5.0, 1e9 / 5 / 1_000)
    assert folding.proof.startswith("II of at most ")
    assert folding.proof.endswith(" boards, proved to be the least cost")
