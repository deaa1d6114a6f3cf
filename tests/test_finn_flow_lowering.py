"""From Brevitas to the hardware graph: every activation, integer for integer, after every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import parser
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import attribute
from finn_flow.lower import lower, lowering_passes
from finn_flow.streamline import streamline
from model.errors import UserError
from model.export import export
from model.network import integer_activations
from model.spec import NetworkSpec
from tests.networks import random_network, random_pixels, small_spec
from verification.executor import Executor


def forms(spec: NetworkSpec, folder: Path, seed: int = 0) -> tuple[Any, dict[str, ModelWrapper], Any]:
    """A random network and its graphs: (network, {form: graph}, host affine)."""
    network = random_network(spec, seed)
    exported = export(network, folder / "model.onnx")
    integers, host = streamline(exported)
    graphs = {
        "export": ModelWrapper(str(folder / "model.onnx")),
        "streamline": integers,
        "lower": lower(integers),
    }
    return network, graphs, host


def first_difference(reference: dict[str, np.ndarray], graph: ModelWrapper, pixels: np.ndarray) -> str | None:
    nhwc = graph.get_tensor_layout("pixels") == ["N", "H", "W", "C"]
    got = Executor(graph).run(pixels.transpose(0, 2, 3, 1) if nhwc else pixels, list(reference))
    for name, expected in reference.items():
        value = got[name].transpose(0, 3, 1, 2) if nhwc else got[name]
        if name not in ("embedding", "accumulators") and value.dtype.kind == "f":
            continue  # the float graph is compared by its embedding
        if not (value == expected).all():
            return name
    return None


def check(spec: NetworkSpec, folder: Path, seed: int, frames: int) -> dict[str, ModelWrapper]:
    network, graphs, host = forms(spec, folder, seed)
    pixels = random_pixels(spec, frames, seed + 7)
    reference = {name: value.numpy() for name, value in integer_activations(network, pixels).items()}
    embedding = reference.pop("embedding")
    accumulators = np.round((embedding - host.offset) / host.scale)
    np.testing.assert_allclose(accumulators * host.scale + host.offset, embedding, rtol=1e-9, atol=1e-12)
    reference["accumulators"] = accumulators.reshape(*accumulators.shape, 1, 1)
    for form in ("streamline", "lower"):
        assert first_difference(reference, graphs[form], pixels.numpy()) is None
    exported = Executor(graphs["export"]).run(pixels.numpy())["embedding"]
    np.testing.assert_allclose(exported, embedding, rtol=1e-9, atol=1e-12)
    return graphs


@pytest.mark.parametrize("depthwise", ["bn_relu", "linear"])
@pytest.mark.parametrize(
    "bits", [8, 4, (8, 8, 4, 4, 4, 2, 2, 2, 2, 2), 2], ids=["w8a8", "w4a4", "mixed", "w2a2"]
)
def test_every_activation_equals_brevitas(bits: Any, depthwise: Any, tmp_path: Path) -> None:
    bits = (bits,) * 10 if isinstance(bits, int) else bits
    spec = small_spec(weight_bits=bits, act_bits=bits, depthwise=depthwise)
    graphs = check(spec, tmp_path, seed=3, frames=32)
    kinds = [node.op_type for node in graphs["lower"].graph.node]
    assert len(kinds) == 170
    counts = {kind: kinds.count(kind) for kind in ("MVAU", "VVAU", "FMPadding", "ConvolutionInputGenerator")}
    assert counts == {"MVAU": 33, "VVAU": 17, "FMPadding": 17, "ConvolutionInputGenerator": 18}
    assert kinds.count("Thresholding") + kinds.count("Requant") == 61


widths = st.lists(st.integers(2, 8), min_size=10, max_size=10).map(tuple)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    weight_bits=widths,
    act_bits=widths,
    residual_bits=st.none() | st.tuples(*[st.integers(2, 8)] * 3),
    depthwise=st.sampled_from(["bn_relu", "linear"]),
    width=st.sampled_from([0.0625, 0.125]),
    size=st.sampled_from([16, 32, 48]),
    seed=st.integers(0, 2**16),
)
def test_random_networks(tmp_path: Path, seed: int, **fields: Any) -> None:
    check(NetworkSpec(embedding=5, **fields), tmp_path, seed, frames=4)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelWrapper]:
    """The graphs of one small w4a4 network."""
    return forms(small_spec(), tmp_path_factory.mktemp("small"))[1]


def test_activation_names_survive_to_the_hardware(small: dict[str, ModelWrapper]) -> None:
    tensors = {tensor for node in small["lower"].graph.node for tensor in node.output}
    assert {"block1", "block3.0.depthwise", "block7.1.add", "block9", "accumulators"} <= tensors


def test_the_same_network_gives_the_same_graph(small: dict[str, ModelWrapper], tmp_path: Path) -> None:
    again = forms(small_spec(), tmp_path)[1]
    assert again["export"].model.SerializeToString() == small["export"].model.SerializeToString()
    assert again["lower"].model.SerializeToString() == small["lower"].model.SerializeToString()


def test_lowering_passes_change_nothing_when_repeated(small: dict[str, ModelWrapper]) -> None:
    again = small["lower"]
    for transformation in lowering_passes()[-1][0]:
        again = again.transform(transformation, make_deepcopy=True, cleanup=False)
    assert again.model.SerializeToString() == small["lower"].model.SerializeToString()


def test_accumulators_are_declared_as_narrow_as_the_weights_allow(small: dict[str, ModelWrapper]) -> None:
    for node in small["lower"].graph.node:
        if node.op_type == "MVAU":
            declared = DataType[attribute(node, "outputDataType")]
            weights = np.abs(small["lower"].get_initializer(node.input[1])).sum(0).max()
            assert declared.max() < 2 * weights * 128


NETWORK = """
<ir_version: 8, opset_import: ["" : 20, "qonnx.custom_op.general" : 2]>
net (double[1,2,4,4] pixels) => (double[1,2,4,4] y)
<double[2,2,1,1] w = {1.0, -1.0, 0.5, 0.25}, double[1] s = {0.25}, double[1] z = {0.0}, double[1] b = {4.0}>
{
"""
QUANT = 'qonnx.custom_op.general.Quant<signed=%d, narrow=%d, rounding_mode="%s">'
WEIGHTS = f"wq = {QUANT % (1, 1, 'ROUND')}(w, s, z, b)\n"


def parse(body: str) -> ModelWrapper:
    model = ModelWrapper(parser.parse_model(NETWORK + body + "}"))
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    for name in ("a", "c", "d", "e", "y"):
        if any(name in node.output for node in model.graph.node) and name != "y":
            model.set_tensor_shape(name, [1, 2, 4, 4])
    model.set_tensor_datatype("pixels", DataType["INT8"])
    return model


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "a = Sigmoid(pixels)\n y = Softplus(a)\n",
            "graph = 'Sigmoid n0 (pixels -> a); Softplus n1 (a -> y)': these nodes have no integer form",
        ),
        (
            "y = Conv(pixels, w)\n",
            "graph = 'Conv n0 (pixels, w -> y)': the weights of a convolution must be quantised",
        ),
        (
            WEIGHTS + "a = Relu(pixels)\n y = Conv(a, wq)\n",
            "graph = 'Conv n2 (a, wq -> y)': a convolution must read a quantised activation",
        ),
        (
            f"a = Relu(pixels)\n y = {QUANT % (1, 0, 'ROUND')}(a, s, z, b)\n",
            "graph = 'Quant n1 (a, s, z, b -> y)': a ReLU needs an unsigned quantiser",
        ),
        (
            f"y = {QUANT % (1, 0, 'FLOOR')}(pixels, s, z, b)\n",
            "graph = 'Quant n0 (pixels, s, z, b -> y)': "
            "a quantiser must round half to even, without zero point",
        ),
        (
            "a = Mul(pixels, s)\n y = Add(a, pixels)\n",
            "graph = 'Add n1 (a, pixels -> y)': an add must join two activations of one scale",
        ),
    ],
)
def test_what_has_no_integer_form_is_named(body: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        streamline(parse(body))
    assert str(caught.value) == message


def test_a_negative_scale_without_weights_is_named() -> None:
    body = f"a = Neg(pixels)\n y = {QUANT % (1, 0, 'ROUND')}(a, s, z, b)\n"
    model = parse(body.replace("Neg(pixels)", "Mul(pixels, n)"))
    model.set_initializer("n", np.array([-1.0]))
    with pytest.raises(UserError) as caught:
        streamline(model)
    assert str(caught.value) == (
        "graph = 'Quant n1 (a, s, z, b -> y)': a negative scale must come from a convolution"
    )


def test_a_graph_that_is_not_integer_does_not_lower(small: dict[str, ModelWrapper]) -> None:
    graph = ModelWrapper(small["streamline"].model, make_deepcopy=True)
    graph.set_tensor_datatype("block1", DataType["FLOAT32"])
    with pytest.raises(UserError) as caught:
        lower(graph)
    assert str(caught.value) == "graph = 'block1': FLOAT32 in a lowered graph, which is of integers"
