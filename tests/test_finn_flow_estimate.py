from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import BOARDS
from finn_flow.cost_model import single
from finn_flow.estimate import estimate_network
from finn_flow.finn_counts import finn_counts
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.resources import Resources, estimate, layer_attributes
from finn_flow.synthesis import extrapolate as extrapolation
from finn_flow.synthesis.layers import synthesised_resources
from finn_flow.synthesis.yosys import Module
from tests.hw_graphs import residual_network

ZCU104 = BOARDS["ZCU104"]


def networks() -> tuple[ModelWrapper, ModelWrapper]:
    """Folded, and built from it with FIFOs."""
    folded = residual_network().transform(FuseWindowPadding())
    built = residual_network().transform(FuseWindowPadding()).transform(SpecializeLayers("rtl"))
    return folded, built.transform(InsertFifos())


def test_every_layer_and_fifo_has_a_price_and_finns_beside_it() -> None:
    folded, built = networks()
    result = estimate_network(folded, built, ZCU104)
    assert result["layers"].keys() == {node.name for node in folded.graph.node}
    assert result["layers"].keys() | result["fifos"].keys() == {node.name for node in built.graph.node}
    costs = {**result["layers"], **result["fifos"]}
    assert all(cost["resources"]["lut"] > 0 for cost in costs.values())
    without = {name.rsplit("_", 1)[0] for name, cost in costs.items() if cost["finn"] is None}
    assert without == {"Requant"}
    assert (result["method"], result["extrapolated"]) == ("analytic", [])


def test_finn_counts_no_lut_for_its_matrix_unit() -> None:
    model = single.mvau(64, 64, 4, 4, 4, "UINT4", "block")
    counts = finn_counts(model.graph.node[0], ZCU104.part)
    assert counts is not None
    assert counts["LUT"] == 0
    assert counts["DSP"] > 0


def test_layers_of_a_netlist_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_name(modules: Sequence[Module], *_: Any) -> list[Resources]:
        return [Resources(lut=len(module.top)) for module in modules]

    monkeypatch.setattr("finn_flow.synthesis.layers.synthesise", by_name)
    _, built = networks()
    costs, extrapolated = synthesised_resources(built, ZCU104)
    assert list(costs) == [node.name for node in built.graph.node]
    assert extrapolated == {}
    assert all(cost == Resources(lut=len(name)) for name, cost in costs.items())


def test_a_layer_that_is_too_large_is_extrapolated_from_half_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = single.mvau(64, 64, 16, 16, 4, "INT4", "block")
    node = model.graph.node[0]
    attributes = layer_attributes(model, node)
    foldings = extrapolation.smaller_foldings("MVAU", attributes)
    assert [f["PE"] * f["SIMD"] for f in foldings] == [32, 64, 128]
    assert foldings[1] == {"PE": 8, "SIMD": 8}
    priced = [estimate("MVAU", {**attributes, **folding}, "DSP48E2") for folding in foldings]
    measured = [Resources(*(2 * count for count in cost.counts)) for cost in priced]
    monkeypatch.setattr(extrapolation, "synthesise", lambda modules, *_: measured)
    result = extrapolation.extrapolate(model, node, "DSP48E2", tmp_path)
    target = estimate("MVAU", attributes, "DSP48E2")
    assert result.resources == Resources(*(2 * count for count in target.counts))
    assert result.foldings == foldings
    assert set(result.error.values()) == {0.0}


def test_where_no_folding_can_be_synthesised_the_model_prices(tmp_path: Path) -> None:
    model = single.thresholding(4, 1, 2, 8, 0)
    node = model.graph.node[0]
    result = extrapolation.extrapolate(model, node, "DSP48E2", tmp_path)
    assert result.resources == estimate("Thresholding", layer_attributes(model, node), "DSP48E2")
    assert (result.foldings, result.error) == ([], {})
