"""Small graphs and naive numpy golds for the tests of the executor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

FINN, QONNX = "finn.custom_op.fpgadataflow", "qonnx.custom_op.general"

Typed = tuple[Any, str | None]  # shape or array, and data type


def node(
    op: str, inputs: Iterable[str], outputs: str | Iterable[str], domain: str = "", **attributes: Any
) -> NodeProto:
    """A node named OP_0, or after its first output if the op has been given a name by `name=`."""
    outputs = [outputs] if isinstance(outputs, str) else list(outputs)
    attributes.setdefault("name", f"{op}_0")
    return helper.make_node(op, list(inputs), outputs, domain=domain, **attributes)


def finn(op: str, inputs: Iterable[str], outputs: str | Iterable[str], **attributes: Any) -> NodeProto:
    """A node of FINN's hardware layers."""
    return node(op, inputs, outputs, FINN, backend="fpgadataflow", **attributes)


def build(
    nodes: list[NodeProto], values: dict[str, Typed], constants: dict[str, Typed] | None = None
) -> ModelWrapper:
    """A graph from the first of `values` to the last; in float32 unless an array is float64, as FINN's are.

    values: {name: (shape with batch 1, data type)}; constants: {name: (array, data type)}.
    """
    constants = constants or {}
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, (shape, _) in values.items()
    }
    first, *middle, last = infos.values()
    initialisers = [
        numpy_helper.from_array(np.asarray(array, _container(array)), name)
        for name, (array, _) in constants.items()
    ]
    graph = helper.make_graph(nodes, "test", [first], [last], initialisers, value_info=middle)
    opsets = [
        helper.make_opsetid(domain, version)
        for domain, version in (("", 20), (FINN, 1), (QONNX, 2), ("finn_flow.ops", 1))
    ]
    model = ModelWrapper(onnx.helper.make_model(graph, opset_imports=opsets))
    for name, (_, datatype) in {**values, **constants}.items():
        if datatype is not None:
            model.set_tensor_datatype(name, DataType[datatype])
    return model


def _container(array: Any) -> type:
    return np.float64 if np.asarray(array).dtype == np.float64 else np.float32


def random_integers(generator: np.random.Generator, datatype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Integers over the whole range of the type, its ends included in some draws."""
    least, greatest = int(DataType[datatype].min()), int(DataType[datatype].max())
    values = generator.integers(least, greatest + 1, shape)
    return np.where(generator.random(shape) < 0.1, generator.choice([least, greatest], shape), values)


def gold_windows(
    x: np.ndarray,
    pads: Iterable[int],
    kernel: Iterable[int],
    stride: Iterable[int],
    dilation: Iterable[int] = (1, 1),
) -> np.ndarray:
    """(N, H, W, C) -> (N, OH, OW, KH, KW, C), window by window; pads top, left, bottom, right."""
    (top, left, bottom, right), (kh, kw), (sh, sw), (dh, dw) = pads, kernel, stride, dilation
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows = (x.shape[1] - dh * (kh - 1) - 1) // sh + 1
    columns = (x.shape[2] - dw * (kw - 1) - 1) // sw + 1
    y = np.empty((x.shape[0], rows, columns, kh, kw, x.shape[3]), x.dtype)
    for row in range(rows):
        for column in range(columns):
            y[:, row, column] = x[:, row * sh :, column * sw :][:, : dh * kh : dh, : dw * kw : dw][
                :, :kh, :kw
            ]
    return y


def gold_thresholds(x: np.ndarray, thresholds: np.ndarray, bias: int = 0) -> np.ndarray:
    """(N, ..., C) and (C or 1, T): how many thresholds of its channel each element reaches."""
    return (x[..., None] >= thresholds).sum(-1) + bias


def execute(model: ModelWrapper, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor by FINN's own execution, frame by frame."""
    from finn_flow.finn_env import prepare_finn

    prepare_finn()
    from finn.core.onnx_exec import execute_onnx

    name = model.graph.input[0].name
    runs = [execute_onnx(model, {name: frame[None].astype(np.float32)}, True) for frame in frames]
    computed = [output for node in model.graph.node for output in node.output]
    return {tensor: np.concatenate([run[tensor] for run in runs]) for tensor in (name, *computed)}
