"""One simulated layer alone: fed with the executor's activations, its output streams compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from verification.errors import VerificationError
from verification.executor import Executor
from verification.executor.graph import read_graph
from verification.streams import WireOrder, compare_stream, wire_order
from verification.verilator.simulation import Simulation

AFTERWARDS = 200  # cycles in which nothing more may come


@dataclass(frozen=True)
class LayerRun:
    """latency: cycles from the first beat in to the last beat out of the first frame. intervals: cycles
    between the ends of frames that follow each other. elements: compared, of all outputs and frames.
    """

    latency: int
    intervals: tuple[int, ...]
    elements: int


class Layer:
    """A layer of a hardware graph and the streams at its ports: in0_V, in1_V, ..., out0_V, ...

    widths: bits of each stream by its port, without padding.
    """

    def __init__(self, model: ModelWrapper, name: str, widths: Mapping[str, int]) -> None:
        self.executor = Executor(model)
        graph = read_graph(model)
        node = next(node for node in graph.nodes if node.name == name)
        self.name = name
        self.inputs: dict[str, WireOrder] = {}
        self.outputs: dict[str, WireOrder] = {}
        for orders, kind, tensors in ((self.inputs, "in", node.inputs), (self.outputs, "out", node.outputs)):
            for number, tensor in enumerate(tensors):
                if tensor in self.executor.streams:  # else a constant
                    port = f"{kind}{number}_V"
                    orders[port] = wire_order(graph, tensor, widths[port])

    def run(
        self, library: Path, folder: Path, pixels: NDArray, cycles: int, trace: Path | None = None
    ) -> LayerRun:
        """Frames of the whole graph's input (N, H, W, C), at full rate through this layer alone.

        library: of a design with the layer at its top; folder: where its memory files are; cycles: that a
        frame is expected to take, for the limits. Raises MismatchError naming the first element that differs,
        StalledError, and VerificationError if beats come after the last frame.
        """
        every = {**self.inputs, **self.outputs}
        values = self.executor.run(pixels, [order.tensor for order in every.values()])
        frames = len(pixels)
        expected = {port: frames * order.beats for port, order in self.outputs.items()}
        with Simulation(library, folder, trace) as sim:
            for port, order in self.inputs.items():
                sim.push(port, order.to_beats(values[order.tensor]))
            sim.run(expected, 100 * (frames + 2) * cycles, max(10_000, 10 * cycles))
            for port, order in self.outputs.items():
                got = order.elements(sim.read(port)[0]).reshape(frames, -1)
                compare_stream(order, got, order.on_wires(values[order.tensor]))
            sim.idle(AFTERWARDS)
            if more := [port for port, beats in expected.items() if sim.beats(port) != beats]:
                raise VerificationError(f"{self.name}: {more[0]} goes on after the last frame")
            start = min(int(sim.cycles(port)[0]) for port in self.inputs)
            ends = np.max(
                [sim.cycles(p)[n // frames - 1 :: n // frames] for p, n in expected.items()], axis=0
            )
        elements = frames * sum(len(order.positions) for order in self.outputs.values())
        return LayerRun(int(ends[0]) - start, tuple(int(i) for i in np.diff(ends)), elements)
