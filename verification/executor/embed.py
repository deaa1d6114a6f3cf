"""The function that evaluation wants: images in, embeddings out, through the integer executor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.executor import Executor
from verification.executor.layout import from_nchw

Embed = Callable[[np.ndarray | Tensor], np.ndarray]


def embedder(executor: Executor, scale: np.ndarray, offset: np.ndarray) -> Embed:
    """What the host does around the accelerator: scale * accumulators + offset.

    scale, offset: float64 (E,). The function takes pixels minus 128 as integers (N, 3, H, W), whatever the
    layout of the graph, and returns float64 embeddings (N, E), not normalised.
    Raises VerificationError if the graph has not one output of E elements.
    """
    if len(executor.outputs) != 1:
        raise VerificationError(f"the graph must have one output, not {len(executor.outputs)}")
    output = executor.outputs[0]
    length = int(np.prod(executor.streams[output].shape[1:]))
    if scale.shape != (length,) or offset.shape != (length,):
        raise VerificationError(
            f"scale and offset must have shape ({length},), not {scale.shape} and {offset.shape}"
        )
    layout = executor.streams[executor.input].layout

    def embed(pixels: np.ndarray | Tensor) -> np.ndarray:
        frames = from_nchw(pixels, layout)
        return executor.run(frames)[output].reshape(len(frames), length) * scale + offset

    return embed
