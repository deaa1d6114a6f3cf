"""QONNX -> integers alone: Conv, MultiThreshold, Add; what is left for the host is a scale and an offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph_spec import STREAMLINED, check_graph
from finn_flow.passes.streamline_to_integers import StreamlineToIntegers


@dataclass(frozen=True)
class HostAffine:
    """embedding = scale * accumulators + offset, (E,) float64 each: what the host computes."""

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]


def streamline(model: ModelWrapper) -> tuple[ModelWrapper, HostAffine]:
    """The integer graph of a QONNX export, and the host's part. Raises UserError naming what is stuck."""
    to_integers = StreamlineToIntegers()
    model = model.transform(to_integers, make_deepcopy=False, cleanup=False)
    check_graph(model, STREAMLINED)
    return model, HostAffine(to_integers.host_scale, to_integers.host_offset)
