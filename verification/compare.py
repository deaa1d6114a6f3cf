"""Compares a graph of any form with the reference, integer for integer, on every activation.

The tensor that holds an activation has the same name in every graph, so a reference {name: integers} fits
the QONNX graph, the streamlined, the lowered and the hardware one. A QONNX graph holds integer * scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from verification.errors import MismatchError, VerificationError
from verification.executor import Executor
from verification.executor.layout import from_nchw, to_nchw

RESIDUE = 1e-6  # what an accumulator derived from an embedding may miss an integer by, relative to it
LARGEST_RESIDUE = 1e-2  # and absolutely: beyond, it would not be clear which integer is meant

Array = np.ndarray | Tensor


@dataclass(frozen=True)
class Comparison:
    """What was found equal: tensors in topological order, elements over all frames and tensors."""

    tensors: tuple[str, ...]
    frames: int
    elements: int


@dataclass
class _Tally:
    """One tensor's comparison so far."""

    elements: int = 0
    differing: int = 0
    first: tuple[tuple[int, int, int, int], int, int] | None = None  # index, got, expected

    def add(self, got: np.ndarray, expected: np.ndarray, frames_before: int) -> None:
        """Both (N, C, H, W)."""
        differs = got != expected
        self.elements += got.size
        self.differing += int(np.count_nonzero(differs))
        if self.first is None and differs.any():
            frame, channel, row, column = (int(i) for i in np.unravel_index(differs.argmax(), got.shape))
            at = (frame, channel, row, column)
            self.first = ((frames_before + frame, channel, row, column), int(got[at]), int(expected[at]))


class Comparer:
    """Compares one graph with the reference, batch by batch, so that memory holds one batch.

    tensors: names that a reference may hold, in topological order.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.tensors = tuple(executor.producers)
        self._tallies: dict[str, _Tally] = {}
        self._frames = 0

    def add(self, pixels: Array, reference: Mapping[str, Array]) -> None:
        """Run the graph on a batch and compare every tensor that the reference names.

        pixels: integers (N, 3, H, W), uint8 minus 128. reference: {tensor name: integers (N, C, H, W) or
        (N, C)}, the same names in every batch; `model.network.integer_activations` gives the activations,
        `reference_accumulators` the last layer. Raises VerificationError if it does not fit the graph.
        """
        executor, names = self._executor, self._in_topological_order(reference)
        if not self._tallies:
            self._tallies = {name: _Tally() for name in names}
        elif list(self._tallies) != names:
            raise VerificationError(f"batches name different tensors: {list(self._tallies)} and {names}")
        computed = executor.run(from_nchw(pixels, executor.streams[executor.input].layout), names)
        for name, tally in self._tallies.items():
            got, expected = _integers(executor, name, computed[name]), _reference(name, reference[name])
            if got.shape != expected.shape:
                raise VerificationError(f"reference {name!r} has shape {expected.shape}, not {got.shape}")
            tally.add(got, expected, self._frames)
        self._frames += len(pixels)

    def result(self) -> Comparison:
        """What was compared. Raises MismatchError for the first tensor that differs on any frame."""
        for name, tally in self._tallies.items():
            if tally.first is not None:
                node = str(self._executor.producers[name])
                raise MismatchError(node, name, *tally.first, tally.differing, tally.elements)
        if not self._tallies:
            raise VerificationError("nothing to compare: no batch, or a reference without tensors")
        elements = sum(tally.elements for tally in self._tallies.values())
        return Comparison(tuple(self._tallies), self._frames, elements)

    def _in_topological_order(self, reference: Mapping[str, Array]) -> list[str]:
        unknown = [name for name in reference if name not in self.tensors]
        if unknown:
            raise VerificationError(f"reference {unknown[0]!r} is no tensor that the graph computes")
        return [name for name in self.tensors if name in reference]


def reference_accumulators(embedding: Array, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The integers (N, E) of embedding = scale * accumulators + offset, as int64.

    embedding: float64 (N, E); scale, offset: float64 (E,).
    Raises VerificationError if a value is further from an integer than rounding can explain, which means that
    scale and offset do not belong to this embedding.
    """
    values = (np.asarray(embedding, np.float64) - offset) / scale
    rounded = np.rint(values)
    residue = np.abs(values - rounded)
    # not <=, so that a NaN counts as wrong
    wrong = ~(residue <= np.minimum(RESIDUE * np.maximum(np.abs(rounded), 1), LARGEST_RESIDUE))
    if wrong.any():
        frame, channel = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        value = float(values[frame, channel])
        raise VerificationError(
            f"embedding of frame {frame}, channel {channel} is no integer but {value} steps"
        )
    return rounded.astype(np.int64)


def _integers(executor: Executor, name: str, values: np.ndarray) -> np.ndarray:
    """A tensor of the graph as integers (N, C, H, W)."""
    stream = executor.streams[name]
    if stream.range is None:
        if stream.scale is None:
            raise VerificationError(f"{executor.producers[name]}: {name!r} holds real numbers of no scale")
        values = np.rint(values / stream.scale).astype(np.int64)
    return to_nchw(values, stream.layout)


def _reference(name: str, values: Array) -> np.ndarray:
    array = values.numpy(force=True) if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "iu":
        raise VerificationError(f"reference {name!r} must be an integer array, not {array.dtype}")
    return to_nchw(array, "NCHW")
