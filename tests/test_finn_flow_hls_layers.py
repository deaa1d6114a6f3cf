"""FINN's C++ of every op in every memory mode and folding, against the executor."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op
from finn_flow.boards import find_board
from finn_flow.folding import apply_folding, insert_width_converters, load_folding
from finn_flow.graph import attribute
from finn_flow.hls.generate import cpp_network, write_layers
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.widen_thresholds import WidenThresholds
from model.errors import UserError
from tests.cppsim_env import use_sibling_hlslib
from tests.hw_graphs import HardwareGraph
from tests.test_verification_executor_elementwise import SHAPE, requant
from verification.errors import VerificationError
from verification.executor import Executor

use_sibling_hlslib()
BOARD = find_board("ZCU104")

# mem_mode -> values by op; the window's word holds all nine taps, of which the VVAU takes SIMD at a time
FOLDINGS = {
    "internal_embedded": {
        "WindowGenerator": {"SIMD": 2, "parallel_window": 1},
        "VVAU": {"PE": 2, "SIMD": 9},
        "MVAU": {"PE": 2, "SIMD": 4},
        "Thresholding": {"PE": 2},
    },
    "internal_decoupled": {
        "WindowGenerator": {"SIMD": 4, "parallel_window": 1},
        "VVAU": {"PE": 4, "SIMD": 3},
        "MVAU": {"PE": 3, "SIMD": 2},
        "Thresholding": {"PE": 1},
    },
}


def folded(mem_mode: str) -> ModelWrapper:
    """A depthwise and a pointwise stage of 4 and 6 channels on 5x5 pixels."""
    graph = HardwareGraph(5, 4, "INT4")
    graph.pad().window(3, depthwise=True).vvau(4).thresholding(4).mvau(6, 4).thresholding(2)
    model = graph.model().transform(FuseWindowPadding())
    for node in model.graph.node:
        op = base_op(node.op_type)
        values = {**FOLDINGS[mem_mode][op], **({} if op == "WindowGenerator" else {"mem_mode": mem_mode})}
        kept = [entry for entry in node.attribute if entry.name not in values]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(name, v) for name, v in values.items())])
    return insert_width_converters(model)


@pytest.mark.parametrize("mem_mode", FOLDINGS)
def test_integers_are_the_executors(tmp_path: Path, mem_mode: str) -> None:
    model = folded(mem_mode)
    network = cpp_network(model, BOARD, tmp_path)
    pixels = np.random.default_rng(1).integers(-8, 8, (3, 5, 5, 4))
    checked = network.check(pixels)
    assert (checked.layers, checked.streams) == (len(model.graph.node), len(model.graph.node) + 1)
    assert (checked.accumulators == Executor(model).run(pixels)[network.output].reshape(3, -1)).all()
    memories = {path.parent.name.rsplit("_", 1)[0] for path in tmp_path.rglob("memblock.dat")}
    assert memories == ({"VVAU", "MVAU", "Thresholding"} if mem_mode == "internal_decoupled" else set())


def test_thresholds_are_as_wide_as_what_they_are_compared_with() -> None:
    """Thresholding_hls casts its input to their type: at 12 bits, 4000 would be below a threshold of 0."""
    model = folded("internal_decoupled")
    bank = next(node for node in model.graph.node if node.op_type == "Thresholding")
    assert (attribute(bank, "inputDataType"), attribute(bank, "weightDataType")) == ("INT16", "INT12")
    assert attribute(model.transform(WidenThresholds()).graph.node[-1], "weightDataType") == "INT16"


@pytest.mark.parametrize(("input_type", "output_type"), [("INT8", "INT4"), ("UINT8", "UINT8")])
def test_requant_is_exact_for_every_input(tmp_path: Path, input_type: str, output_type: str) -> None:
    scale, bias = np.array([2**17 - 1, 3, -5, 1]), np.array([-(2**24), 2**20, 77, -1])
    model = requant(scale, bias, np.array([16, 3, 0, 30]), input_type, output_type)
    model.set_tensor_datatype("y", DataType[output_type])
    network = cpp_network(model, BOARD, tmp_path)
    low = int(DataType[input_type].min())
    values = low + np.arange(43 * 6) % 256  # every value, and two of them again
    frames = np.repeat(values, 4).reshape(43, *SHAPE[1:])
    assert network.check_layer("Requant_0", frames) == frames.size


def with_memories(folder: Path, entries: dict[str, dict[str, Any]]) -> ModelWrapper:
    """Two stages of MVAU and Thresholding, folded as a file says that has these entries."""
    graph = HardwareGraph(3, 4, "INT4").mvau(6, 4).thresholding(4).mvau(4, 4).thresholding(2).model()
    folding = {
        **{"MVAU_0": {"PE": 2, "SIMD": 2}, "Thresholding_0": {"PE": 2}},
        **{"MVAU_1": {"PE": 1, "SIMD": 2}, "Thresholding_1": {"PE": 1}},
    }
    file = folder / "folding.json"
    layers = {name: {**values, **entries.get(name, {})} for name, values in folding.items()}
    file.write_text(json.dumps({"Defaults": entries.get("Defaults", {}), **layers}))
    return insert_width_converters(apply_folding(graph, load_folding(file, graph)))


def test_memory_modes_and_styles_of_the_folding_file_are_in_the_code(tmp_path: Path) -> None:
    embedded, streamed = {"mem_mode": "internal_embedded"}, {"mem_mode": "internal_decoupled"}
    entries = {
        "MVAU_0": embedded,
        "MVAU_1": {**streamed, "ram_style": "block"},
        "Thresholding_0": {**embedded, "ram_style": "block"},
        "Thresholding_1": {**streamed, "ram_style": "distributed"},
    }
    model = with_memories(tmp_path, entries).transform(WidenThresholds())
    write_layers(model, list(entries), BOARD, tmp_path)
    code = {name: (tmp_path / name / f"top_{name}.cpp").read_text() for name in entries}
    assert "Matrix_Vector_Activate_Batch<" in code["MVAU_0"]
    assert "#pragma HLS ARRAY_PARTITION variable=weights.m_weights complete dim=1" in code["MVAU_0"]
    assert "Matrix_Vector_Activate_Stream_Batch<" in code["MVAU_1"]
    assert "#pragma HLS INTERFACE axis port=in1_V" in code["MVAU_1"]
    assert "#pragma HLS RESOURCE variable=threshs.m_thresholds core=ROM_2P_BRAM" in code["Thresholding_0"]
    assert "Thresholding_Stream_Batch<" in code["Thresholding_1"]
    styles = {
        path.parent.name: re.findall(r'RAM_STYLE = "(\w+)"', path.read_text())
        for path in tmp_path.glob("*/*_memstream_wrapper.v")
    }
    assert styles == {"MVAU_1": ["block"], "Thresholding_1": ["distributed"]}


def test_a_default_of_the_folding_file_is_in_the_code(tmp_path: Path) -> None:
    default = {"mem_mode": ["internal_embedded", ["MVAU"]], "ram_style": ["block", ["Thresholding"]]}
    model = with_memories(tmp_path, {"Defaults": default}).transform(WidenThresholds())
    write_layers(model, ["MVAU_1", "Thresholding_1"], BOARD, tmp_path)
    assert (tmp_path / "MVAU_1" / "params.h").is_file()
    wrapper = tmp_path / "Thresholding_1" / "Thresholding_1_memstream_wrapper.v"
    assert 'RAM_STYLE = "block"' in wrapper.read_text()


def test_parameters_from_outside_are_refused(tmp_path: Path) -> None:
    model = with_memories(tmp_path, {"MVAU_1": {"mem_mode": "external"}})
    with pytest.raises(UserError) as error:
        cpp_network(model, BOARD, tmp_path / "code")
    assert str(error.value) == (
        "MVAU_1.mem_mode = 'external': no such stream enters the accelerator; "
        "legal values: internal_decoupled, internal_embedded"
    )


def test_a_folding_that_finn_has_no_code_for_is_one_line(tmp_path: Path) -> None:
    model = HardwareGraph(1, 2048, "INT4").mvau(2, 4).model()
    with pytest.raises(VerificationError) as error:
        write_layers(model, ["MVAU_0"], BOARD, tmp_path)
    assert str(error.value) == (
        "MVAU_0: FINN has no HLS code for it: HLS synthesis of MatrixVectorActivation requires: "
        "SIMD >= MW / 1024. This is not fulfilled with: SIMD=1 and MW=2048 for node: MVAU_0."
    )


def test_code_of_named_layers_only_and_no_path_in_it(tmp_path: Path) -> None:
    model = folded("internal_decoupled").transform(WidenThresholds())
    layers = write_layers(model, ["VVAU_0", "Thresholding_1"], BOARD, tmp_path)
    assert [layer.name for layer in layers] == ["VVAU_0", "Thresholding_1"]
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        f"{name}/{file}"
        for name in ("VVAU_0", "Thresholding_1")
        for file in (f"top_{name}.cpp", "memblock.dat", f"{name}_memstream_wrapper.v")
    }
    for path in tmp_path.rglob("*.*"):
        assert str(tmp_path) not in path.read_text(), path
    wrapper = (tmp_path / "VVAU_0" / "VVAU_0_memstream_wrapper.v").read_text()
    assert 'INIT_FILE = "./memblock.dat"' in wrapper
