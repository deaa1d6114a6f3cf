"""Runs a graph of any form on batches, in exact integers.

Frames run through the compiled graph in groups, small enough that the tensors stay in cache, and each tensor
is dropped after its last use: memory depends on neither the size of the batch nor the depth of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from qonnx.core.modelwrapper import ModelWrapper
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import read_graph
from verification.executor.operands import is_integer
from verification.executor.plan import check_shape, compile_graph
from verification.executor.stream import FLOAT32_EXACT, Stream

GROUP_ELEMENTS = 2**20  # of the largest tensor of a group of frames: 4 MB of float32

Arrays = dict[str, np.ndarray]


class Executor:
    """The integer executor of one graph: QONNX, streamlined, lowered or hardware.

    input: name of the graph's input. outputs: names of its outputs. streams: every tensor that depends on the
    input, in topological order. producers: the node of each but the input.

    Raises VerificationError for an op that the table does not have, an op that could not be computed exactly,
    and a declared integer type that a tensor's values can exceed.
    """

    def __init__(self, model: ModelWrapper) -> None:
        graph = read_graph(model)
        plan = compile_graph(graph)
        self.input, self.outputs = graph.input, graph.outputs
        self.streams, self.steps, self.producers = plan.streams, plan.steps, plan.producers
        self._datatype = graph.datatypes[graph.input]
        # a stream of windows is held as its picture, so its own size does not count
        held = (stream for stream in self.streams.values() if stream.windows is None)
        self._group = max(1, GROUP_ELEMENTS // max(int(np.prod(stream.shape[1:])) for stream in held))

    def run(self, pixels: np.ndarray | Tensor, tensors: Sequence[str] = ()) -> Arrays:
        """The graph's outputs and the named tensors for a batch of frames.

        pixels: (N, ...) of the input's shape and layout, integers in any numeric type.
        Returns int64 arrays, or float64 where the graph holds real numbers (QONNX), batch first, in the
        layout of the graph.
        Raises VerificationError for pixels of another shape, not integer or outside the input's type, for an
        unknown tensor, and for a sum outside its declared type.
        """
        frames = pixels.numpy(force=True) if isinstance(pixels, Tensor) else np.asarray(pixels)
        wanted = self._wanted(tensors)
        shape = self.streams[self.input].shape[1:]
        if frames.shape[1:] != shape or not len(frames):
            raise VerificationError(
                f"{self.input}: frames must have shape (N, {', '.join(map(str, shape))}), not {frames.shape}"
            )
        groups = [frames[i : i + self._group] for i in range(0, len(frames), self._group)]
        with group_workers() as pool:
            results = list(pool.map(lambda group: self._run_group(group, wanted), groups))
        return {name: np.concatenate([result[name] for result in results]) for name in wanted}

    def stream(self, batches: Iterable[np.ndarray | Tensor], tensors: Sequence[str] = ()) -> Iterator[Arrays]:
        """`run` for each batch as it is asked for: a data set of any size in the memory of one batch."""
        for batch in batches:
            yield self.run(batch, tensors)

    def _wanted(self, tensors: Sequence[str]) -> list[str]:
        for name in tensors:
            if name not in self.streams:
                raise VerificationError(
                    f"{name!r} is not a tensor of the graph that depends on {self.input!r}"
                )
        return list(dict.fromkeys((*self.outputs, *tensors)))

    def _run_group(self, frames: np.ndarray, wanted: list[str]) -> Arrays:
        held = {self.input: self._as_tensor(frames)}
        results = {name: elements(self.streams[name], held[name]) for name in wanted if name in held}
        for step in self.steps:
            output = step.run(held)
            for name in step.node.outputs:
                held[name] = output
                if name in wanted:
                    results[name] = elements(self.streams[name], output)
            for name in step.last_uses:
                del held[name]
        return results

    def _as_tensor(self, frames: np.ndarray) -> Tensor:
        if frames.dtype.kind not in "iuf":
            raise VerificationError(f"{self.input}: frames must be numbers, not {frames.dtype}")
        if frames.dtype.kind == "f" and not is_integer(frames):
            wrong = frames[~np.isfinite(frames) | (frames != np.rint(frames))][0]
            raise VerificationError(f"{self.input}: {wrong} is not an integer")
        low, high = int(self._datatype.min()), int(self._datatype.max())
        for value in (int(frames.min()), int(frames.max())):
            if not low <= value <= high:
                raise VerificationError(
                    f"{self.input}: {value} is outside {self._datatype.name} ({low}..{high})"
                )
        exact = np.float32 if max(-low, high) <= FLOAT32_EXACT else np.float64
        return torch.from_numpy(frames.astype(exact))


def elements(stream: Stream, tensor: Tensor) -> np.ndarray:
    """A stream's values: int64, or float64 for real numbers."""
    dense = stream.dense(tensor)
    check_shape(stream, dense)
    return dense.to(torch.float64 if stream.range is None else torch.int64).contiguous().numpy()


@contextmanager
def group_workers() -> Iterator[ThreadPoolExecutor]:
    """One thread a core, each with torch's ops on itself: on a busy machine, ops that wait for a share of
    themselves on the other core are 10x slower. Torch's rounding float32 modes are off meanwhile.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # the workers have changed the default of threads to come
        torch.set_float32_matmul_precision(precision)
