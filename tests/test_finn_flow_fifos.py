"""FIFOs between layers: where they go, how deep they are, and the file of depths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.fifo_files import fifo_report, load_depths
from finn_flow.fifo_sizing import bypass_fifos, close, mapped_depth
from finn_flow.graph import Graph, attribute
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.resources import memory
from model.errors import UserError
from tests.hw_graphs import residual_network


@pytest.fixture
def model() -> ModelWrapper:
    return residual_network().transform(FuseWindowPadding()).transform(SpecializeLayers())


def test_every_stream_between_layers_has_a_fifo(model: ModelWrapper) -> None:
    before = Graph(model)
    streams = [t for node in before.nodes for t in node.output if t != before.output]
    layers = [node.name for node in before.nodes]
    after = Graph(model.transform(InsertFifos({streams[1]: 40})))
    fifos = [node for node in after.nodes if node.op_type == "StreamingFIFO_sv_rtl"]
    assert [node.input[0] for node in fifos] == streams
    assert [node.name for node in fifos] == [f"StreamingFIFO_{i}" for i in range(len(streams))]
    assert [attribute(node, "depth") for node in fifos] == [40 if i == 1 else 2 for i in range(len(streams))]
    assert [node.name for node in after.nodes if node not in fifos] == layers
    assert (after.input, after.output) == (before.input, before.output)


def test_the_bypass_of_a_residual_block_is_found(model: ModelWrapper) -> None:
    graph = Graph(model.transform(InsertFifos()))
    (fifo, other), *more = bypass_fifos(graph.model).items()
    assert more == []
    named = {node.name: node for node in graph.nodes}
    origin = graph.producer[named[fifo].input[0]]
    assert origin.op_type == "DuplicateStreams_sv_rtl"
    assert graph.producer[named[other].input[0]].op_type != "DuplicateStreams_sv_rtl"


@pytest.mark.parametrize("width", [1, 8, 18, 36, 120])
@pytest.mark.parametrize("words", [2, 3, 32, 33, 200, 513, 2177])
def test_a_depth_is_rounded_to_what_costs_no_more(width: int, words: int) -> None:
    depth = mapped_depth(width, words)
    assert depth >= words
    assert memory(width, depth, "auto", True) == memory(width, words, "auto", True) or depth <= 64


@pytest.mark.parametrize(
    ("simulated", "estimated", "same"),
    [
        (1000, 1000, True),
        (1016, 1000, True),
        (1017, 1000, False),
        (50_600, 50_176, True),
    ],
)
def test_a_simulated_rate_is_the_estimate_within_a_percent_or_16(
    simulated: int, estimated: int, same: bool
) -> None:
    assert close(simulated, estimated) is same


def test_the_report_has_finns_keys_and_can_be_read_back(model: ModelWrapper, tmp_path: Path) -> None:
    model = model.transform(InsertFifos({"x": 1}))
    report = fifo_report(model)
    assert list(report) == [
        *("fifo_depths", "fifo_sizes", "fifo_sizes_effective", "impl_style", "ram_style"),
        *("total_fifo_size_kiB", "total_fifo_size_effective_kiB"),
    ]
    fifos = [node for node in model.graph.node if node.op_type.startswith("StreamingFIFO")]
    tensors = {node.name: node.input[0] for node in fifos}
    file = tmp_path / "fifos.json"
    file.write_text(json.dumps(report))
    assert load_depths(file, tensors) == dict.fromkeys(tensors.values(), 2)


TENSORS = {"StreamingFIFO_0": "a", "StreamingFIFO_1": "b"}
BAD: dict[str, tuple[Any, str]] = {
    "unknown": (
        {"fifo_depths": {"StreamingFIFO_0": 2, "StreamingFIFO_1": 2, "StreamingFIFO_9": 2}},
        "fifo_config_file = 'FILE': no such FIFO: StreamingFIFO_9; the graph has 2",
    ),
    "missing": (
        {"fifo_depths": {"StreamingFIFO_rtl_0": 2}},
        "fifo_config_file = 'FILE': no depth for StreamingFIFO_1; every FIFO needs one",
    ),
    "shallow": (
        {"fifo_depths": {"StreamingFIFO_0": 1, "StreamingFIFO_1": 2}},
        "fifo_depths.StreamingFIFO_0 = 1: must be a whole number of words >= 2",
    ),
    "other form": (
        [],
        'fifo_config_file = \'FILE\': must hold {"fifo_depths": {"StreamingFIFO_0": 32, ...}} '
        "(TypeError: list indices must be integers or slices, not str)",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_wrong_file_is_one_line(content: Any, message: str, tmp_path: Path) -> None:
    file = tmp_path / "fifos.json"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        load_depths(file, TENSORS)
    assert str(error.value).replace(str(file), "FILE") == message
