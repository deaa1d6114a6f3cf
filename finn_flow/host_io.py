"""What the host must know of the accelerator's input and output."""

from __future__ import annotations

from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import Graph
from model.network import PIXEL_OFFSET


def host_io(model: ModelWrapper) -> dict[str, Any]:
    """Shapes (batch first) and data types of a hardware graph, as `io.json` keeps them.

    The host subtracts `pixel_offset` from uint8 pixels; the embedding is scale * accumulators + offset with
    the vectors of `io.npz`, each (E,) float64, then L2-normalised.
    """
    graph = Graph(model)
    return {
        "input": {
            "name": graph.input,
            "shape": graph.shape(graph.input),
            "datatype": model.get_tensor_datatype(graph.input).name,
            "layout": "NHWC",
            "pixel_offset": PIXEL_OFFSET,
        },
        "output": {
            "name": graph.output,
            "shape": graph.shape(graph.output),
            "datatype": model.get_tensor_datatype(graph.output).name,
            "layout": "NHWC",
        },
    }
