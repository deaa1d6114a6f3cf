"""Between the layout of a graph and NCHW, in which references and images come."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def from_nchw(frames: np.ndarray | Tensor, layout: str) -> np.ndarray:
    """(N, C, H, W) frames in the graph's layout."""
    array = frames.numpy(force=True) if isinstance(frames, Tensor) else np.asarray(frames)
    return np.moveaxis(array, 1, -1) if layout == "NHWC" and array.ndim == 4 else array


def to_nchw(array: np.ndarray, layout: str) -> np.ndarray:
    """A graph's tensor as (N, C, H, W); a vector (N, C) gets H = W = 1."""
    if array.ndim == 4 and layout == "NHWC":
        return np.moveaxis(array, -1, 1)
    return array.reshape(*array.shape, *([1] * (4 - array.ndim)))
