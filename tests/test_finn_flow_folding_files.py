from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import BOARDS
from finn_flow.finn_env import prepare_finn
from finn_flow.folding import Folding, apply_folding, load_folding, save_folding, solve
from finn_flow.graph import attribute
from model.errors import UserError
from tests.hw_graphs import HardwareGraph

ONE = {"ConvolutionInputGenerator_0": {"SIMD": 2}, "VVAU_0": {"PE": 2, "SIMD": 1}, "Requant_0": {"PE": 4}}


def small() -> ModelWrapper:
    """A depthwise pair and a Requant: 4 channels."""
    return HardwareGraph(6, 4, "UINT4").window(3, depthwise=True).vvau(4).requant(4).model()


def read(tmp_path: Path, entries: Any) -> Folding:
    path = tmp_path / "folding.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return load_folding(path, small())


def error(tmp_path: Path, entries: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(tmp_path, entries)
    return str(caught.value).replace(str(tmp_path), "DIR")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folding = solve(small(), BOARDS["ZCU104"], 5.0, 1e6)
    save_folding(tmp_path / "auto_folding_config.json", folding)
    assert load_folding(tmp_path / "auto_folding_config.json", small()) == folding
    entries = json.loads((tmp_path / "auto_folding_config.json").read_text())
    assert list(entries) == ["Defaults", "ConvolutionInputGenerator_0", "VVAU_0", "Requant_0"]


def test_finns_names_after_specialisation_and_inserted_layers(tmp_path: Path) -> None:
    entries = {
        "Defaults": {},
        "ConvolutionInputGenerator_rtl_0": {"SIMD": 2, "parallel_window": 0, "ram_style": "block"},
        "VVAU_hls_0": {"PE": 2, "SIMD": 1, "resType": "lut", "mem_mode": "internal_decoupled"},
        "Requant_0": {"PE": 4},
        "StreamingFIFO_rtl_0": {"depth": 32},
        "StreamingDataWidthConverter_rtl_0": {},
    }
    assert read(tmp_path, entries).layers == {
        "ConvolutionInputGenerator_0": {"SIMD": 2, "parallel_window": 0, "ram_style": "block"},
        "VVAU_0": {"PE": 2, "SIMD": 1, "resType": "lut", "mem_mode": "internal_decoupled"},
        "Requant_0": {"PE": 4},
    }


def test_defaults_hold_for_op_types_and_yield_to_the_layer(tmp_path: Path) -> None:
    defaults = {"ram_style": ["block", ["VVAU_rtl", "ConvolutionInputGenerator"]], "PE": [2, "all"]}
    layers = {
        "ConvolutionInputGenerator_0": {"SIMD": 2, "ram_style": "auto"},
        "VVAU_0": {"SIMD": 1},
        "Requant_0": {"PE": 4},
    }
    defaults["PE"] = [2, ["VVAU", "Requant"]]
    assert read(tmp_path, {"Defaults": defaults, **layers}).layers == {
        "ConvolutionInputGenerator_0": {"SIMD": 2, "parallel_window": 0, "ram_style": "auto"},
        "VVAU_0": {"PE": 2, "SIMD": 1, "ram_style": "block"},
        "Requant_0": {"PE": 4},
    }


def test_same_attributes_as_finns_apply_config(tmp_path: Path) -> None:
    entries = {
        "Defaults": {"ram_style": ["block", ["VVAU", "ConvolutionInputGenerator"]]},
        "ConvolutionInputGenerator_0": {"SIMD": 4, "parallel_window": 1},
        "VVAU_0": {"PE": 4, "SIMD": 9, "ram_style": "distributed"},
        "Requant_0": {"PE": 1},
    }
    prepare_finn()
    from finn.transformation.general import ApplyConfig

    theirs = small().transform(ApplyConfig(entries))
    ours = apply_folding(small(), read(tmp_path, entries))
    names = ("PE", "SIMD", "parallel_window", "ram_style")
    for a, b in zip(ours.graph.node, theirs.graph.node, strict=True):
        assert [attribute(a, name) for name in names] == [attribute(b, name) for name in names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Requant_0": {"PE": 3}}, "Requant_0.PE = 3: illegal; legal values: 1, 2, 4"),
        ({"Requant_0": {"PE": True}}, "Requant_0.PE = True: illegal; legal values: 1, 2, 4"),
        ({"Requant_0": {}}, "Requant_0.PE = None: missing; legal values: 1, 2, 4"),
        ({"VVAU_0": {"PE": 2, "SIMD": 2}}, "VVAU_0.SIMD = 2: illegal; legal values: 1, 3, 9"),
        (
            {"VVAU_0": {"PE": 2, "SIMD": 1, "ram_style": "bloc"}},
            "VVAU_0.ram_style = 'bloc': illegal; legal values: 'auto', 'block', 'distributed', 'ultra'",
        ),
        (
            {"VVAU_0": {"PE": 2, "SIMD": 1, "ram_style": 1}},
            "VVAU_0.ram_style = 1: must be of type str",
        ),
        ({"Requant_0": {"PE": 4, "SIMD": 1}}, "Requant_0.SIMD = 1: no such attribute of this layer"),
        (
            {"VVAU_0": {"PE": 4, "SIMD": 1}},
            "ConvolutionInputGenerator_0.SIMD = 2: must equal VVAU_0.PE, which is 4",
        ),
        (
            {"VVAU_0": {"PE": 2, "SIMD": 3}},
            "ConvolutionInputGenerator_0.parallel_window = 0: must be 1 where VVAU_0.SIMD is 3",
        ),
        (
            {"MVAU_7": {}, "Requant_rtl_3": {}},
            "folding_config_file = 'DIR/folding.json': no such layer: MVAU_7, Requant_3; "
            "the graph has ConvolutionInputGenerator_0, VVAU_0, Requant_0",
        ),
        ({"VVAU_rtl_0": {}}, "folding_config_file = 'VVAU_rtl_0': layer VVAU_0 is given twice"),
        (
            {"Defaults": {"PE": 4}},
            'Defaults.PE = 4: must be a list, [value, ["MVAU", ...]] or [value, "all"]',
        ),
    ],
)
def test_errors_name_layer_value_and_what_is_legal(tmp_path: Path, change: Any, message: str) -> None:
    assert error(tmp_path, {**ONE, **change}) == message


def test_missing_layers(tmp_path: Path) -> None:
    assert error(tmp_path, {"VVAU_0": ONE["VVAU_0"]}) == (
        "folding_config_file = 'DIR/folding.json': no entry for ConvolutionInputGenerator_0, Requant_0; "
        "every layer needs one"
    )


def test_many_layers_of_an_op_are_named_by_their_range(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('{"MVAU_9": {}}')
    graph = HardwareGraph(4, 8).mvau(8, 4).mvau(8, 4).mvau(8, 4)
    with pytest.raises(UserError, match=r"no such layer: MVAU_9; the graph has MVAU_0 to MVAU_2$"):
        load_folding(tmp_path / "f.json", graph.model())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[1,", "not a readable JSON file: Expecting value: line 1 column 4 (char 3)"),
        ("[]", 'must hold an object of objects, {"MVAU_0": {"PE": 1, ...}, ...}'),
        ('{"MVAU_0": 1}', 'must hold an object of objects, {"MVAU_0": {"PE": 1, ...}, ...}'),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, rule: str) -> None:
    assert error(tmp_path, text) == f"folding_config_file = 'DIR/folding.json': {rule}"


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a readable JSON file: .*No such file"):
        load_folding(tmp_path / "absent.json", small())
