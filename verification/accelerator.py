"""A simulated accelerator and the graph it was generated from: frames in, every stream compared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from verification.errors import VerificationError
from verification.executor import Executor
from verification.executor.graph import read_graph
from verification.packing import unpack
from verification.streams import WireOrder, compare_stream, wire_order
from verification.verilator.simulation import Simulation, StalledError, Tap

SOURCE, SINK = "s_axis_0", "m_axis_0"
FIFO = "StreamingFIFO"
TOP = "TOP.accelerator.dataflow."
INT32 = 32
# Times the II: no layer takes longer for a frame, so that what has not moved for two of them never will.
IDLE_FRAMES = 2


@dataclass(frozen=True)
class Run:
    """accumulators: int64 (N, E). starts, ends: cycle of each frame's first beat in and last beat out."""

    accumulators: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def latency(self) -> int:
        """Cycles from the first frame's first beat in to its last beat out."""
        return int(self.ends[0] - self.starts[0])

    @property
    def cycles(self) -> int:
        """Cycles from the first frame's first beat in to the last frame's last beat out."""
        return int(self.ends[-1] - self.starts[0])

    @property
    def digest(self) -> str:
        """SHA-256 of the accumulators as they leave: int32, the lowest byte first, frame after frame."""
        return hashlib.sha256(self.accumulators.astype("<i4").tobytes()).hexdigest()

    @property
    def intervals(self) -> list[int]:
        """Cycles between the ends of frames that follow each other."""
        return [int(interval) for interval in np.diff(self.ends)]


class Accelerator:
    """An open simulation of the accelerator in `folder` (of `library`), and its graph with FIFOs."""

    def __init__(self, library: Path, folder: Path, model: ModelWrapper, trace: Path | None = None) -> None:
        self.library, self.model = library, model
        self.simulation = Simulation(library, folder, trace)
        self.executor = Executor(model)
        graph = read_graph(model)
        self.fifos = {node.name: node for node in graph.nodes if node.kind == FIFO}
        self._graph = graph
        *_, self.embedding = graph.shapes[graph.outputs[0]]

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.simulation.close()

    def start(self, pixels: NDArray, pace: int = 0) -> None:
        """Reset, and offer frames (N, H, W, C) of INT8, as one batch. pace: least cycles a frame."""
        sim = self.simulation
        size = sim.ports[SOURCE].bytes
        beats = pixels.astype(np.int8).tobytes()
        sim.reset()
        data = np.frombuffer(beats, np.uint8).reshape(-1, size)
        sim.packet(SOURCE, len(data))
        sim.pace(SOURCE, len(data) // len(pixels) if pace else 0, pace)
        sim.push(SOURCE, data)

    def run(self, pixels: NDArray, max_cycles: int, idle_cycles: int = 10_000, pace: int = 0) -> Run:
        """Frames (N, H, W, C) in one batch, from reset to the last output.

        Raises StalledError as Simulation.run; it names the FIFOs that are full and those that are empty: the
        streams that are valid but not ready, and ready but not valid.
        """
        self.start(pixels, pace)
        return self.finish(len(pixels), max_cycles, idle_cycles)

    def advance(self, frames: int, max_cycles: int, idle_cycles: int = 10_000) -> int:
        """Go on until `frames` frames since the reset are out; the cycle of their last beat."""
        try:
            self.simulation.run({SINK: frames * self.embedding}, max_cycles, idle_cycles)
        except StalledError as error:
            raise StalledError(f"{error}; {self.blocked()}") from None
        return int(self.simulation.cycles(SINK)[-1])

    def finish(self, frames: int, max_cycles: int, idle_cycles: int = 10_000) -> Run:
        """Let `frames` frames since the reset, which are all, come out."""
        sim = self.simulation
        self.advance(frames, max_cycles, idle_cycles)
        beats = frames * self.embedding
        data, cycles = sim.read(SINK)
        if sim.lasts(SINK) != [beats - 1]:
            raise VerificationError(f"output TLAST on beats {sim.lasts(SINK)}, not on {beats - 1} alone")
        taken = sim.cycles(SOURCE).astype(np.int64)
        return Run(
            unpack(data, INT32, 1, signed=True).reshape(frames, -1),
            taken[:: len(taken) // frames],
            cycles.astype(np.int64)[self.embedding - 1 :: self.embedding],
        )

    def taps(self) -> dict[str, Tap]:
        """The FIFOs of the graph as they are now, by node name."""
        taps = {tap.name.removeprefix(TOP): tap for tap in self.simulation.taps()}
        return {name: taps[name] for name in self.fifos}

    def blocked(self) -> str:
        """Which streams wait for what: full FIFOs (valid, not ready) and empty ones (ready, not valid)."""
        taps = self.taps().items()
        full = [f"{name} ({self.fifos[name].inputs[0]})" for name, tap in taps if tap.occupancy >= tap.depth]
        empty = [f"{name} ({self.fifos[name].inputs[0]})" for name, tap in taps if not tap.occupancy]
        return f"valid but not ready: {', '.join(full) or 'none'}; ready but not valid: {', '.join(empty)}"

    def limit(self, depths: Mapping[str, int]) -> None:
        """Depths of FIFO models by node name, from the next run on."""
        for name, depth in depths.items():
            self.simulation.limit(TOP + name, depth)

    def order(self, fifo: str) -> WireOrder:
        """How the tensor that a FIFO carries travels."""
        tap = self.taps()[fifo]
        return wire_order(self._graph, self.fifos[fifo].inputs[0], tap.bits)

    def checked_run(self, pixels: NDArray, interval: int) -> tuple[Run, int]:
        """Run frames at full rate and compare every stream; the run, and how many elements were compared.

        interval: II in cycles, for the limits. Raises as `run` and `compare`.
        """
        self.simulation.capture()
        run = self.run(pixels, 100 * (len(pixels) + 2) * interval, IDLE_FRAMES * interval)
        self.simulation.capture(False)
        return run, self.compare(pixels, run)

    def compare(self, pixels: NDArray, run: Run) -> int:
        """Compare what `run` put through every FIFO, and its output, with the executor; elements compared.

        The simulation must have captured. Raises MismatchError naming the first layer in the order of the
        graph whose stream differs, and its first element.
        """
        orders = {name: self.order(name) for name in self.fifos}
        expected = self.executor.run(pixels, [order.tensor for order in orders.values()])
        compared = 0
        for name, tap in self.taps().items():
            order = orders[name]
            want = order.on_wires(expected[order.tensor])
            got = order.elements(self.simulation.captured(tap)).reshape(-1, len(order.positions))
            compare_stream(order, got, want)
            compared += want.size
        order = wire_order(self._graph, self.executor.outputs[0], INT32)
        want = order.on_wires(expected[order.tensor])
        compare_stream(order, run.accumulators, want)
        return compared + want.size
