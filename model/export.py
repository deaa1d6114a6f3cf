"""QMobileFaceNet -> QONNX, in float64, with the activation names that every later graph keeps."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from model.errors import UserError
from model.network import QMobileFaceNet, activation_calls

with warnings.catch_warnings():  # a package for CUDA that nothing here would use
    warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
    from brevitas.export import export_qonnx

INPUT, OUTPUT = "pixels", "embedding"


def export(network: QMobileFaceNet, path: Path) -> ModelWrapper:
    """Write `network` as QONNX to `path` and return it, with shapes, data types and layouts set.

    The input is `pixels`, INT8 (1, 3, size, size): uint8 RGB minus 128. The tensor behind each activation
    quantiser has the name that `activation_calls` gives; the output is `embedding`, (1, E). Initialisers
    are float64, since a scale that Brevitas computes in float64 need not fit a float32.

    Raises UserError if a layer is not quantised.
    """
    if network.spec.is_float:
        raise UserError("bits", 32, "a float layer has no hardware; give every block 2..8 bits")
    network = network.double().eval()
    pixels = torch.zeros(1, 3, network.spec.size, network.spec.size, dtype=torch.float64)
    with torch.no_grad():
        network(pixels)  # lets Brevitas settle its scales before the trace
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the TorchScript exporter is deprecated, but 6x faster and keeps names
            export_qonnx(network, pixels, str(path), dynamo=False)
    proto = _with_names(onnx.load(str(path)), activation_calls(network.spec))
    model = ModelWrapper(onnx.shape_inference.infer_shapes(proto))
    for info in (*model.graph.input, *model.graph.value_info):
        if len(info.type.tensor_type.shape.dim) == 4 and model.get_initializer(info.name) is None:
            model.set_tensor_layout(info.name, ["N", "C", "H", "W"])
    model.set_tensor_datatype(INPUT, DataType["INT8"])
    for node in model.graph.node:
        if node.op_type == "Quant":
            _annotate(model, node)
    model.save(str(path))
    return model


def _with_names(proto: onnx.ModelProto, activations: list[str]) -> onnx.ModelProto:
    """Give input, output and activations their names. The n-th activation Quant is the n-th in the trace."""
    graph = proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    quants = [node for node in graph.node if node.op_type == "Quant" and node.input[0] not in constants]
    new = {node.output[0]: name for node, name in zip(quants, activations, strict=True)}
    new[graph.input[0].name] = INPUT
    new[graph.output[0].name] = OUTPUT
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = new.get(value.name, value.name)
    return proto


def _annotate(model: ModelWrapper, node: onnx.NodeProto) -> None:
    """The integer type behind a Quant: exact for weights, for activations the type of output / scale."""
    bits = int(np.asarray(model.get_initializer(node.input[3])).item())
    signed = next(a.i for a in node.attribute if a.name == "signed")
    model.set_tensor_datatype(node.output[0], DataType[f"{'INT' if signed else 'UINT'}{bits}"])
