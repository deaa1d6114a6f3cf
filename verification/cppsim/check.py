"""C++ simulation against the executor: every stream, integer for integer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from verification.cppsim.layer import CppLayer
from verification.cppsim.program import Program, build_program, run_program
from verification.errors import VerificationError
from verification.executor import Executor
from verification.executor.graph import read_graph
from verification.streams import compare_stream, wire_order
from verification.verilator.build import Progress, silent

BATCH = 2  # frames whose streams are held at a time


@dataclass(frozen=True)
class Checked:
    """What was found equal. compile_seconds: until the program was there; accumulators: (frames, ...)."""

    compile_seconds: float
    layers: int
    streams: int
    elements: int
    accumulators: NDArray[np.int64]


class CppNetwork:
    """Layers in C++ beside the hardware graph whose integers they must give.

    model: with the layers' folding. Raises VerificationError if the graph has a layer that has no C++.
    """

    def __init__(self, model: ModelWrapper, layers: Sequence[CppLayer]) -> None:
        self.executor, self.layers = Executor(model), tuple(layers)
        graph = read_graph(model)
        names = {layer.name for layer in layers}
        if missing := [str(node) for node in graph.nodes if node.name not in names]:
            raise VerificationError(f"layers without C++: {', '.join(missing)}")
        streams = Program(self.layers).streams
        self.orders = {name: wire_order(graph, name, port.bits) for name, port in streams.items()}
        self.output = graph.outputs[0]

    def check(self, pixels: NDArray, progress: Progress = silent) -> Checked:
        """All layers in one program, on frames of the graph's input (N, H, W, C).

        Raises MismatchError for the first stream in topological order that differs in a batch of frames,
        CompileError, CppsimError.
        """
        program = Program(self.layers)
        started = time.monotonic()
        executable = build_program(program, progress)
        compiled = round(time.monotonic() - started, 3)
        with progress("Simulating C++, frames", len(pixels)) as advance:
            parts = [
                self._compare(program, executable, pixels[i : i + BATCH], advance)
                for i in range(0, len(pixels), BATCH)
            ]
        accumulators = np.concatenate([values for _, values in parts])
        elements = sum(count for count, _ in parts)
        return Checked(compiled, len(self.layers), len(self.orders), elements, accumulators)

    def check_layer(self, name: str, pixels: NDArray) -> int:
        """One layer alone, fed with the executor's integers; how many of its own were equal."""
        program = Program(tuple(layer for layer in self.layers if layer.name == name))
        elements, _ = self._compare(program, build_program(program), pixels, lambda frames: None)
        return elements

    def _compare(
        self, program: Program, executable: Path, pixels: NDArray, done: Callable[[int], None]
    ) -> tuple[int, NDArray[np.int64]]:
        """Integers compared, and those of the last stream."""
        orders = {name: self.orders[name] for name in program.streams}
        values = self.executor.run(pixels, list(orders))
        inputs = {name: orders[name].to_beats(values[name]) for name in program.inputs}
        outputs = [name for name in orders if name not in program.inputs]
        words = run_program(program, executable, inputs, outputs, done)
        compared: list[NDArray[np.int64]] = []
        for name in outputs:
            order = orders[name]
            compared.append(order.elements(words[name]).reshape(len(pixels), -1))
            compare_stream(order, compared[-1], order.on_wires(values[name]))
        return sum(got.size for got in compared), compared[-1]
