"""What the accumulators of a hardware node can reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from finn_flow.graph import Graph

Ints = NDArray[np.int64]


def dot_product_range(weights: NDArray, lo: int, hi: int) -> tuple[Ints, Ints]:
    """Least and greatest dot product of each column of `weights` (K, C) with inputs lo..hi, (C,) each."""
    w = weights.astype(np.int64)
    positive, negative = np.maximum(w, 0).sum(0), np.minimum(w, 0).sum(0)
    return positive * lo + negative * hi, positive * hi + negative * lo


def columns(weights: NDArray) -> NDArray:
    """Weights as (K, C): MVAU's are (MW, MH) already, VVAU's (C, 1, k, k)."""
    return weights if weights.ndim == 2 else weights.reshape(weights.shape[0], -1).T


def output_range(graph: Graph, node: NodeProto, channels: int) -> tuple[Ints, Ints]:
    """Least and greatest output of each channel of an MVAU, VVAU or ElementwiseAdd, (C,) each."""
    types = [graph.model.get_tensor_datatype(tensor) for tensor in graph.dynamic_inputs(node)]
    if node.op_type in ("MVAU", "VVAU"):
        weights = columns(graph.constant(node.input[1]))
        return dot_product_range(weights, int(types[0].min()), int(types[0].max()))
    lo, hi = (int(sum(bound)) for bound in zip(*((t.min(), t.max()) for t in types), strict=True))
    return np.full(channels, lo, np.int64), np.full(channels, hi, np.int64)
