"""Every distinct layer alone: its cycles are the estimate's, and a wrong estimate is found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks import layer_cycles
from benchmarks.layer_cycles import Row, distinct, frame_beats, main, rows_of
from finn_flow.backends import base_op, layer_instance
from finn_flow.boards import find_board
from finn_flow.folding import apply_folding, insert_width_converters, solve
from finn_flow.hardware import write_layers
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.performance import instance_cycles
from tests.hw_graphs import HardwareGraph, residual_network

BOARD, FPS = find_board("ZCU104"), 150_000


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The step rtl of a network with every op, as a build leaves it."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "rtl").mkdir()
    model = residual_network().transform(FuseWindowPadding())
    model = apply_folding(model, solve(model, BOARD, BOARD.clk_period_ns, FPS, 0.9))
    model = insert_width_converters(model).transform(SpecializeLayers())
    write_layers(model, folder / "rtl", lambda n: None)
    model.save(str(folder / "rtl" / "model.onnx"))
    return folder


@pytest.fixture(scope="module")
def model(build: Path) -> ModelWrapper:
    return ModelWrapper(str(build / "rtl" / "model.onnx"))


def test_every_layer_takes_the_cycles_of_the_estimate(
    build: Path, model: ModelWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(build), "--layers"])
    rows = [
        re.split(r" *\| *", line.strip("| ")) for line in capsys.readouterr().out.splitlines() if "|" in line
    ]
    names = {name: node for node in model.graph.node if (name := node.name)}
    counts = distinct(model.graph.node)
    assert rows[0][1:] == [
        *("layers", "distinct", "furthest off", "estimated", "simulated", "difference", "of it")
    ]
    assert {row[3]: int(row[1]) for row in rows[2:]} == counts
    estimates = {row[3]: int(row[4].replace(",", "")) for row in rows[2:]}
    assert estimates == {name: instance_cycles(layer_instance(names[name])) for name in counts}
    assert {base_op(names[name].op_type) for name in counts} >= {"MVAU", "VVAU", "WindowGenerator", "Requant"}


def test_a_wrong_estimate_is_named(
    build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(layer: Any) -> int:
        cycles = instance_cycles(layer)
        return cycles + 17 if layer.onnx_node.name == "VVAU_1" else cycles

    monkeypatch.setattr(layer_cycles, "instance_cycles", wrong)
    with pytest.raises(SystemExit) as error:
        main([str(build)])
    assert str(error.value) == "error: more than 1 % and 16 cycles from the estimate: build0: VVAU_1"
    assert re.search(r"\| VVAU \| 3 \| 3 \| VVAU_1 \| [\d,]+ \| [\d,]+ \| -17 \| ", capsys.readouterr().out)


def test_layers_that_differ_in_name_and_constants_alone_are_one() -> None:
    nodes = HardwareGraph(4, 8, "INT16").mvau(8, 4).mvau(8, 4).mvau(8, 3).model().graph.node
    assert [node.name for node in nodes] == ["MVAU_0", "MVAU_1", "MVAU_2"]
    assert distinct(nodes) == {"MVAU_0": 2, "MVAU_2": 1}


def test_beats_of_a_frame_on_each_stream(model: ModelWrapper) -> None:
    """All elements of a frame, in the words of the stream."""
    layer = layer_instance(next(node for node in model.graph.node if "ElementwiseAdd" in node.op_type))
    (in0, in1, out) = frame_beats(layer).values()
    elements = 4 * 4 * 16
    assert in0 == in1 == out == elements // layer.get_nodeattr("PE")


def test_one_row_an_op_shows_the_layer_that_is_furthest_off() -> None:
    rows = [Row("MVAU", "a", 3, 1000, 1010), Row("MVAU", "b", 2, 100, 110), Row("VVAU", "c", 1, 500, 490)]
    assert rows_of(rows, every=False) == [
        ("MVAU", 5, 2, "b", "100", "110", "+10", "10.00 %"),
        ("VVAU", 1, 1, "c", "500", "490", "-10", "2.00 %"),
    ]
    assert [row[3] for row in rows_of(rows, every=True)] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("estimated", "simulated", "is_close"),
    [(100, 116, True), (100, 83, False), (10_000, 10_100, True), (10_000, 9_899, False)],
)
def test_one_per_cent_or_sixteen_cycles(estimated: int, simulated: int, is_close: bool) -> None:
    assert Row("MVAU", "a", 1, estimated, simulated).is_close is is_close
