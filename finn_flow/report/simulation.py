"""What the simulation of the whole accelerator showed: plain data for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fifo:
    """A FIFO between two layers. producer: the layer before it. width in bits; depth and peak in words.

    peak: most words that it held in the frames simulated at full rate.
    """

    name: str
    producer: str
    tensor: str
    width: int
    depth: int
    peak: int

    @property
    def bits(self) -> int:
        return self.width * self.depth

    @property
    def peak_bits(self) -> int:
        return self.width * self.peak


@dataclass(frozen=True)
class Bypass:
    """The FIFO of a residual by-pass. In words: least depth without deadlock, at full rate, and as built."""

    fifo: str
    tensor: str
    without_deadlock: int
    at_full_rate: int
    depth: int


@dataclass(frozen=True)
class Simulation:
    """The accelerator in RTL, every stream compared with the integer executor.

    streams, elements: what was compared, over all `frames`. cycles: from the first beat in to the last beat
    out of these frames; latency_cycles: to the end of the first. intervals: cycles from frame to frame at
    full rate, of which interval_cycles is the last. fifos: in the order of the graph. bypasses: empty where
    the depths were given. sizing: fifo_sizing.json. bytes_in, bytes_out: of one frame.
    """

    frames: int
    streams: int
    elements: int
    cycles: int
    latency_cycles: int
    interval_cycles: int
    estimated_interval_cycles: int
    intervals: tuple[int, ...]
    fifos: tuple[Fifo, ...]
    bypasses: tuple[Bypass, ...]
    sizing: Mapping[str, Any]
    bytes_in: int
    bytes_out: int

    @property
    def fifo_bits(self) -> int:
        """Bits of all FIFOs."""
        return sum(fifo.bits for fifo in self.fifos)

    def largest(self, count: int) -> list[Fifo]:
        """The FIFOs of most bits, the largest first.

        >>> sizes = {"a": 2, "b": 8, "c": 4}
        >>> fifos = tuple(Fifo(name, "", "", 1, depth, 1) for name, depth in sizes.items())
        >>> run = Simulation(1, 1, 1, 1, 1, 1, 1, (1,), fifos, (), {}, 1, 1)
        >>> [fifo.name for fifo in run.largest(2)], run.fifo_bits
        (['b', 'c'], 14)
        """
        return sorted(self.fifos, key=lambda fifo: -fifo.bits)[:count]

    def fps(self, clk_period_ns: float) -> float:
        """Frames a second once the pipeline is full."""
        return 1e9 / (self.interval_cycles * clk_period_ns)

    def performance(self, clk_period_ns: float) -> dict[str, float]:
        """FINN's rtlsim_performance.json; N: frames."""
        runtime = self.cycles * clk_period_ns * 1e-9  # seconds
        rate = self.frames / runtime
        return {
            "cycles": self.cycles,
            "latency_cycles": self.latency_cycles,
            "runtime[ms]": 1e3 * runtime,
            "throughput[images/s]": rate,
            "stable_throughput[images/s]": self.fps(clk_period_ns),
            "DRAM_in_bandwidth[MB/s]": 1e-6 * self.bytes_in * rate,
            "DRAM_out_bandwidth[MB/s]": 1e-6 * self.bytes_out * rate,
            "fclk[mhz]": 1e3 / clk_period_ns,
            "N": self.frames,
        }
