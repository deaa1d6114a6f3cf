"""A whole accelerator by synthesis: the tables, with a synthesis that finds twice what the model says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks import resources
from benchmarks.folding import Network
from finn_flow.boards import BOARDS, Board
from finn_flow.resource_counts import Resources
from finn_flow.resources import layer_resources
from finn_flow.synthesis.extrapolate import Extrapolation
from tests.hw_graphs import residual_network

BOARD = BOARDS["ZCU104"]


def test_totals_kinds_and_extrapolations(monkeypatch: pytest.MonkeyPatch) -> None:
    model = resources.folded(Network(residual_network()), BOARD, 1_000, 0.8)
    priced = layer_resources(model, BOARD)

    def twice(model: ModelWrapper, board: Board, *_: Any) -> Any:
        found = {name: cost.times(2) for name, cost in priced.items()}
        return found, {"MVAU_0": Extrapolation(found["MVAU_0"], [{"PE": 1}, {"PE": 2}], {"lut": 0.031})}

    monkeypatch.setattr(resources, "synthesised_resources", twice)
    lines = list(resources.tables(model, BOARD))
    total = sum(priced.values(), Resources())
    assert lines[0].endswith(f"{len(priced)} layers, 0.0 CPU minutes of synthesis:")
    by_yosys, deviation = lines[5], lines[6]
    assert by_yosys.startswith(f"| Yosys | {2 * total.lut:,} ({2 * total.lut / BOARD.lut:.0%}) | ")
    assert deviation.startswith("| deviation | -50.0% | -50.0% | ")
    (fifos,) = [line for line in lines if line.startswith("| StreamingFIFO |")]
    names = [name for name in priced if name.startswith("StreamingFIFO")]
    luts = 2 * sum(priced[name].lut for name in names)
    assert fifos.startswith(f"| StreamingFIFO | {len(names)} | {luts:,} (-50.0%) | ")
    assert lines[-1] == "| MVAU_0 | 2 | 3.1% |  |  |  |  |"


def test_an_interval_that_does_not_fit_is_said() -> None:
    with pytest.raises(SystemExit, match=r"^ZCU104: II 1,000 does not fit by the cost model$"):
        resources.folded(Network(residual_network()), replace(BOARD, lut=100), 1_000, 0.8)
