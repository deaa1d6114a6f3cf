"""From tensors to the elements of a stream in the order of its wires, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verification.errors import MismatchError, VerificationError
from verification.executor.graph import Graph
from verification.packing import pack, unpack

PLUMBING = ("StreamingDataWidthConverter", "StreamingFIFO", "DuplicateStreams")
WINDOWS = ("ConvolutionInputGenerator", "WindowGenerator")


def interleave(windows: NDArray, taps: int, group: int) -> NDArray:
    """Windows (..., taps * C), the channel fastest, in the order of a depthwise stream.

    There all taps of a group of channels follow each other: (..., C / group, taps, group), flattened.

    >>> interleave(np.array([[10, 11, 12, 13, 20, 21, 22, 23]]), 2, 2).tolist()
    [[10, 11, 20, 21, 12, 13, 22, 23]]
    """
    shape = windows.shape
    groups = windows.reshape(*shape[:-1], taps, -1, group)
    return np.swapaxes(groups, -3, -2).reshape(shape)


def deinterleave(stream: NDArray, taps: int, group: int) -> NDArray:
    """The reverse of `interleave`.

    >>> deinterleave(np.array([[10, 11, 20, 21, 12, 13, 22, 23]]), 2, 2).tolist()
    [[10, 11, 12, 13, 20, 21, 22, 23]]
    """
    shape = stream.shape
    groups = stream.reshape(*shape[:-1], -1, taps, group)
    return np.swapaxes(groups, -3, -2).reshape(shape)


@dataclass(frozen=True)
class WireOrder:
    """How a tensor of a hardware graph travels: who sends it, elements a beat, and their order.

    positions: for every element of a frame in the order of the wires, its position in the flattened tensor.
    """

    producer: str
    tensor: str
    bits: int
    signed: bool
    lanes: int
    shape: tuple[int, ...]
    positions: NDArray[np.int64]

    @property
    def beats(self) -> int:
        """Beats of one frame."""
        return len(self.positions) // self.lanes

    def elements(self, beats: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Captured bytes (beats, bytes) -> integers in the order of the wires, flattened."""
        return unpack(beats, self.bits, self.lanes, self.signed).reshape(-1)

    def on_wires(self, values: NDArray) -> NDArray:
        """A tensor of N frames, (N, ...) -> its elements in the order of the wires, (N, elements)."""
        return values.reshape(len(values), -1)[:, self.positions]

    def to_beats(self, values: NDArray) -> NDArray[np.uint8]:
        """A tensor of N frames, (N, ...) -> the bytes of its beats, (N * beats, bytes)."""
        return pack(self.on_wires(values).reshape(-1, self.lanes), self.bits)


def wire_order(graph: Graph, tensor: str, width: int) -> WireOrder:
    """The order of `tensor` on a stream of `width` bits. Plumbing (converters, FIFOs, copies) keeps it."""
    producers = {name: node for node in graph.nodes for name in node.outputs}
    origin = producers.get(tensor)
    while origin is not None and origin.kind in PLUMBING:
        origin = producers.get(origin.inputs[0])
    shape = graph.shapes[tensor]
    positions = np.arange(np.prod(shape[1:]), dtype=np.int64).reshape(shape)
    if origin is not None and origin.kind in WINDOWS and origin.get("depthwise", 0):
        taps = int(np.prod(origin.get("ConvKernelDim")))
        positions = interleave(positions, taps, origin.get("SIMD"))
    datatype = graph.datatypes[tensor]
    bits = datatype.bitwidth()
    name = producers[tensor].name if tensor in producers else tensor  # the graph's input
    return WireOrder(name, tensor, bits, datatype.signed(), width // bits, shape, positions.reshape(-1))


def compare_stream(order: WireOrder, got: NDArray, want: NDArray) -> None:
    """Elements in the order of the wires, (frames, elements) both. Raises MismatchError at the first."""
    if got.shape != want.shape:
        raise VerificationError(
            f"{order.producer}: {order.tensor!r} carried {got.size} elements, not {want.size}"
        )
    differs = got != want
    if not differs.any():
        return
    frame, element = (int(i) for i in np.unravel_index(differs.argmax(), got.shape))
    _, row, column, channel = np.unravel_index(order.positions[element], order.shape)
    raise MismatchError(
        order.producer,
        order.tensor,
        (frame, int(channel), int(row), int(column)),
        int(got[frame, element]),
        int(want[frame, element]),
        int(np.count_nonzero(differs)),
        got.size,
    )
