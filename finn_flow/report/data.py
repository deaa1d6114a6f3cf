"""What a report is made of: plain data, filled by whoever holds the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from finn_flow.bitstream import Bitstream
from finn_flow.boards import Board
from finn_flow.report.simulation import Simulation
from finn_flow.resources import RESOURCE_LABELS, Resources, board_resources

NO_RESOURCES = Resources()


@dataclass(frozen=True)
class Layer:
    """A node of the folded hardware graph.

    name: of the node (`MVAU_3`). op: its generic op (`MVAU`). block: the activation it works for
    (`block3.1.expand`), whose first two parts name its row in the graph picture. cycles: a frame.
    folding: what it has of PE, SIMD and parallel_window. shape: of its first output, NHWC. weight_type: data
    type of its weights, thresholds or scales, None where it has none. counts: of operations and parameters
    under FINN's keys (`op_mac_4bx4b`, `param_weight_4b`), as `get_op_and_param_counts` of FINN's layers gives
    them. finn: resources by FINN's own formulas and under its keys, None where it has none.
    """

    name: str
    op: str
    block: str
    cycles: int
    folding: Mapping[str, int]
    shape: tuple[int, ...]
    input_type: str
    weight_type: str | None
    output_type: str
    resources: Resources
    counts: Mapping[str, int]
    finn: Mapping[str, int] | None = None

    @property
    def group(self) -> str:
        """The block or repetition of a block that it belongs to: `block3.1` of `block3.1.expand`."""
        return ".".join(self.block.split(".")[:2])


@dataclass(frozen=True)
class Edge:
    """A stream between two layers, named by node. width: bits of a word of it."""

    producer: str
    consumer: str
    tensor: str
    datatype: str
    width: int


@dataclass(frozen=True)
class Performance:
    """`finn_flow.performance.network_performance`, whose keys are FINN's."""

    critical_path_cycles: int
    max_cycles: int
    max_cycles_node_name: str
    estimated_throughput_fps: float
    estimated_latency_ns: float


@dataclass(frozen=True)
class Footprint:
    """The weights of one block of Table I. weight_bits: of each of them."""

    block: str
    weights: int
    weight_bits: int

    @property
    def bits(self) -> int:
        return self.weights * self.weight_bits


@dataclass(frozen=True)
class Verification:
    """A graph, named by the step that made it, was found equal to the reference.

    tensors: number of them compared; elements: over all tensors and frames.
    """

    step: str
    tensors: int
    frames: int
    elements: int
    seconds: float


@dataclass(frozen=True)
class CppSimulation:
    """The C++ of the HLS twin of all layers gave the executor's integers.

    streams: compared; elements: over all of them and frames; compile_seconds: none where it was in the cache.
    """

    layers: int
    streams: int
    frames: int
    elements: int
    compile_seconds: float


@dataclass(frozen=True, eq=False)
class Face:
    """A picture that was embedded. thumbnail: uint8 (H, W, 3)."""

    name: str
    thumbnail: NDArray[np.uint8]

    @property
    def label(self) -> str:
        """The name as it can be written: that of a file need not be Unicode."""
        return self.name.encode(errors="replace").decode()


@dataclass(frozen=True)
class ResourceUse:
    """How much of one resource is used; share is None if the board has none of what is needed."""

    name: str
    label: str
    used: int
    offered: int

    @property
    def share(self) -> float | None:
        if self.offered:
            return self.used / self.offered
        return None if self.used else 0.0


@dataclass(frozen=True, eq=False)
class ReportData:
    """One build.

    board: its clk_period_ns is the clock that was built for.
    target: frames a second, "max", or None for a folding that was given.
    layers: in topological order. folding: auto_folding_config.json; folding_proof: a clause on how good
    it is, empty for one that was given.
    headroom: share of each resource that the accelerator may use.
    fifos: what all FIFOs cost together. resource_note: a sentence on what the resource numbers are.
    cppsim: None where it was not run. hls_layers: made by Vitis HLS.
    verification: what was compared, and reference: with what.
    seconds: of each step that ran. not_run: step -> a sentence on what that leaves unknown.
    similarity: cosine, (N, N) for N faces; faces_note: a sentence on whose embeddings.

    Raises ValueError for data that contradict each other.
    """

    name: str
    board: Board
    target: float | Literal["max"] | None
    versions: Mapping[str, str]
    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...]
    folding: Mapping[str, Mapping[str, Any]]
    folding_proof: str
    performance: Performance
    headroom: float
    resource_note: str
    footprint: tuple[Footprint, ...]
    verification: tuple[Verification, ...]
    reference: str
    simulation: Simulation
    bitstream: Bitstream
    seconds: Mapping[str, float]
    not_run: Mapping[str, str]
    faces: tuple[Face, ...]
    similarity: NDArray[np.float64]
    faces_note: str
    fifos: Resources = NO_RESOURCES
    cppsim: CppSimulation | None = None
    hls_layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("layers have the same name twice")
        ends = {end for edge in self.edges for end in (edge.producer, edge.consumer)}
        ends |= {fifo.producer for fifo in self.simulation.fifos}
        named = {*ends, self.performance.max_cycles_node_name}
        if unknown := sorted(named - set(names)):
            raise ValueError(f"no layer has the name {unknown[0]!r}")
        square = (len(self.faces), len(self.faces))
        if self.similarity.shape != square or not np.isfinite(self.similarity).all():
            raise ValueError(f"similarity must be finite and of shape {square}, not {self.similarity.shape}")

    @property
    def bottleneck(self) -> Layer:
        """The layer that sets the initiation interval."""
        return next(layer for layer in self.layers if layer.name == self.performance.max_cycles_node_name)

    @cached_property
    def total(self) -> Resources:
        """Resources of all layers and FIFOs."""
        return sum((layer.resources for layer in self.layers), start=self.fifos)

    @property
    def finn_total(self) -> dict[str, int]:
        """FINN's estimate of the layers that it has formulas for, under its keys."""
        known = [layer.finn for layer in self.layers if layer.finn is not None]
        return {key: sum(counts[key] for counts in known) for key in ("LUT", "BRAM_18K", "URAM", "DSP")}

    @property
    def uses(self) -> list[ResourceUse]:
        """Every resource that is used or that the board has."""
        offered = board_resources(self.board)
        uses = [
            ResourceUse(name, label, getattr(self.total, name), getattr(offered, name))
            for name, label in RESOURCE_LABELS.items()
        ]
        return [use for use in uses if use.used or use.offered]

    @property
    def scarcest(self) -> ResourceUse:
        """The resource of which the greatest share is used."""
        return max(self.uses, key=lambda use: math.inf if use.share is None else use.share)

    @property
    def fits(self) -> bool:
        """Whether the board has what is used."""
        return all(use.used <= use.offered for use in self.uses)

    @property
    def within_headroom(self) -> bool:
        """Whether what is used stays within the share that may be used."""
        return all(use.used <= self.headroom * use.offered for use in self.uses)

    @property
    def weights(self) -> int:
        return sum(block.weights for block in self.footprint)

    @property
    def weight_bits(self) -> int:
        """Bits of all weights."""
        return sum(block.bits for block in self.footprint)
