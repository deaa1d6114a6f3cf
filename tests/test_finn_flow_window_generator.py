"""WindowGenerator: the same values as FINN's padding and window, and the pass that makes it of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

import finn_flow.ops  # noqa: F401  enters the op
from finn_flow.graph import Graph, attribute
from finn_flow.lower import lower
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.streamline import streamline
from model.errors import UserError
from model.export import export
from tests.networks import random_network, small_spec
from verification.executor import Executor


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> ModelWrapper:
    folder = tmp_path_factory.mktemp("lowered")
    integers, _ = streamline(export(random_network(small_spec()), folder / "model.onnx"))
    return lower(integers)


@pytest.fixture
def fused(lowered: ModelWrapper) -> ModelWrapper:
    return lowered.transform(FuseWindowPadding(), make_deepcopy=True)


def test_padding_and_window_become_one_layer(lowered: ModelWrapper, fused: ModelWrapper) -> None:
    kinds = [node.op_type for node in fused.graph.node]
    assert len(kinds) == 170 - 17
    assert kinds.count("WindowGenerator") == 18
    assert not {"FMPadding", "ConvolutionInputGenerator"} & set(kinds)
    windows = {node.name: node for node in fused.graph.node if node.op_type == "WindowGenerator"}
    assert windows.keys() == {n.name for n in lowered.graph.node if n.op_type.startswith("Conv")}
    first = windows["ConvolutionInputGenerator_0"]
    assert (attribute(first, "IFMDim"), attribute(first, "Padding")) == ([32, 32], [1, 1, 1, 1])
    last = windows["ConvolutionInputGenerator_17"]  # over the whole picture, no padding before it
    assert (attribute(last, "IFMDim"), attribute(last, "Padding")) == ([2, 2], [0, 0, 0, 0])


def test_the_pass_changes_nothing_the_second_time(fused: ModelWrapper) -> None:
    before = fused.model.SerializeToString()
    assert fused.transform(FuseWindowPadding()).model.SerializeToString() == before


def test_every_activation_stays(lowered: ModelWrapper, fused: ModelWrapper) -> None:
    pixels = np.random.default_rng(1).integers(-128, 128, (2, 32, 32, 3))
    names = [t for node in fused.graph.node for t in node.output]
    want, got = (Executor(model).run(pixels, names) for model in (lowered, fused))
    assert all((got[name] == want[name]).all() for name in names)


def test_finns_execution_of_the_op_equals_the_executor(fused: ModelWrapper) -> None:
    from finn_flow.backends import layer_instance

    pixels = np.random.default_rng(1).integers(-128, 128, (1, 32, 32, 3))
    graph, want = Graph(fused), None
    windows = [node for node in graph.nodes if node.op_type == "WindowGenerator"]
    tensors = [t for node in windows for t in (node.input[0], node.output[0])]
    want = Executor(fused).run(pixels, [t for t in tensors if t != "pixels"])
    for node in windows:
        context = {"pixels": pixels.astype(np.float32), **want}
        expected = context.pop(node.output[0])
        context[node.input[0]] = context[node.input[0]].astype(np.float32)
        layer_instance(node).execute_node(context, fused.graph)
        assert (context[node.output[0]] == expected).all(), node.name


def test_a_layer_that_the_backend_lacks_is_named(fused: ModelWrapper) -> None:
    fused.graph.node[0].op_type = "Pool"
    with pytest.raises(UserError) as error:
        fused.transform(SpecializeLayers())
    name = fused.graph.node[0].name
    assert str(error.value) == f"backend = 'rtl': has no class for Pool {name} (pixels -> block1.window)"


def test_layers_are_written_under_their_names(fused: ModelWrapper, tmp_path: Path) -> None:
    from finn_flow.backends import layer_instance

    model = fused.transform(SpecializeLayers())
    node = next(node for node in model.graph.node if node.op_type == "MVAU_sv_rtl")
    verilog, weights = layer_instance(node).write_hdl(model, tmp_path)
    assert verilog.name == "MVAU_0.v"
    assert "module MVAU_0 (" in verilog.read_text()
    assert '.WEIGHTS("./MVAU_0_weights.dat")' in verilog.read_text()
    values = model.get_initializer("block1.weight")
    assert len(weights.read_text().split()) == values.size  # PE = SIMD = 1
    first = int(weights.read_text().split()[0], 16)
    assert first == int(values[0, 0]) % 16
