"""What the report is made of: sums, what fits, contradictions. `build` makes one for all its tests."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from finn_flow.bitstream import Bitstream
from finn_flow.boards import Board
from finn_flow.report import (
    Bypass,
    Edge,
    Face,
    Fifo,
    Footprint,
    Layer,
    Performance,
    ReportData,
    Simulation,
    Verification,
)
from finn_flow.resources import Resources

BOARD = Board(
    "Small", "xc7z020clg400-1", lut=10_000, ff=20_000, bram18=40, uram=0, dsp=60, clk_period_ns=10.0
)
PLAIN = ("FMPadding", "ConvolutionInputGenerator", "MVAU", "Thresholding")
BRANCH = (
    *(
        "MVAU",
        "Thresholding",
        "FMPadding",
        "ConvolutionInputGenerator",
        "VVAU",
        "Requant",
        "MVAU",
        "Thresholding",
    ),
)


class Net:
    """Adds layers one after the other."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.edges: list[Edge] = []
        self.end: str | None = None

    def add(self, op: str, block: str, *, after: str | None = None, **changes: Any) -> str:
        number = sum(layer.op == op for layer in self.layers)
        name, cycles = f"{op}_{number}", 1000 + 10 * len(self.layers)
        self.layers.append(layer(name, op, block, cycles=cycles, **changes))
        if before := after or self.end:
            self.connect(before, name)
        self.end = name
        return name

    def connect(self, producer: str, consumer: str) -> None:
        self.edges.append(Edge(producer, consumer, f"{producer}.out", "UINT4", 16))

    def residual(self, block: str, converter: bool = False) -> None:
        """A by-passed branch, with a width converter in the by-pass if wanted."""
        fork = self.add("DuplicateStreams", f"{block}.expand")
        for op in BRANCH:
            self.add(op, f"{block}.project")
        branch = self.end
        if converter:
            fork = self.add("StreamingDataWidthConverter", f"{block}.add", after=fork)
        self.add("ElementwiseAdd", f"{block}.add", after=branch)
        self.connect(fork, self.end)
        self.add("Requant", f"{block}.add")


def layer(name: str, op: str = "MVAU", block: str = "block1", cycles: int = 1000, **changes: Any) -> Layer:
    dots = op in ("MVAU", "VVAU")
    folding = {"ConvolutionInputGenerator": {"SIMD": 2, "parallel_window": 1}, "MVAU": {"PE": 2, "SIMD": 3}}
    fields: dict[str, Any] = {
        "folding": folding.get(op, {"PE": 2}),
        "shape": (1, 8, 8, 16),
        "input_type": "UINT4",
        "weight_type": "INT4" if dots else None,
        "output_type": "INT13" if dots else "UINT4",
        "resources": Resources(lut=100, ff=200, bram18=1, dsp=2 if op == "MVAU" else 0),
        "counts": {"op_mac_4bx4b": 640, "param_weight_4b": 10} if dots else {},
    }
    return Layer(name, op, block, cycles, **{**fields, **changes})


def network() -> Net:
    """34 layers: two plain blocks, two repetitions of a residual one, and the last layers."""
    net = Net()
    for block in ("block1", "block2"):
        for op in PLAIN:
            net.add(op, block)
    net.residual("block3.1")
    net.residual("block3.2", converter=True)
    net.add("MVAU", "block8")
    net.add("Thresholding", "block8")
    net.add("MVAU", "accumulators")
    return net


def faces(count: int) -> dict[str, Any]:
    """Faces of random pixels and the similarity of random embeddings."""
    rng = np.random.default_rng(count)
    pixels = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    embeddings = rng.normal(size=(count, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return {
        "faces": tuple(Face(f"face {number}", thumbnail) for number, thumbnail in enumerate(pixels)),
        "similarity": embeddings @ embeddings.T,
    }


NO_BITSTREAM = Bitstream("skipped", 100.0, reason="no tool for it")
BITSTREAM = Bitstream(
    "built",
    100.0,
    tool="Vivado 2023.1",
    utilisation={
        "LUT": {"used": 4001.0, "offered": 10_000.0},
        "FF": {"used": 7002.0, "offered": 20_000.0},
        "BRAM18": {"used": 35.0, "offered": 40.0},
        "DSP": {"used": 15.0, "offered": 60.0},
    },
    timing={"wns_ns": 2.0, "fmax_mhz": 125.0},
)


def simulation(net: Net, **changes: Any) -> Simulation:
    """A FIFO on every stream of `net`, one word deeper each, half full; the first two on by-passes."""
    fifos = tuple(
        Fifo(f"StreamingFIFO_{number}", edge.producer, edge.tensor, edge.width, 2 + number, 1 + number // 2)
        for number, edge in enumerate(net.edges)
    )
    fields: dict[str, Any] = {
        "frames": 3,
        "streams": len(fifos) + 1,
        "elements": 654_321,
        "cycles": 6000,
        "latency_cycles": 3333,
        "interval_cycles": 1335,
        "estimated_interval_cycles": 1330,
        "intervals": (1340, 1335),
        "fifos": fifos,
        "bypasses": tuple(Bypass(y.name, y.tensor, 7, 11, y.depth) for y in fifos[:2]),
        "sizing": {"fifo_depths": {fifo.name: fifo.depth for fifo in fifos}},
        "bytes_in": 3000,
        "bytes_out": 64,
    }
    return Simulation(**{**fields, **changes})


def build(net: Net | None = None, **changes: Any) -> ReportData:
    """A build of `net`, by default of `network()`, with three faces; any field may be changed."""
    net = net or network()
    slowest = max(net.layers, key=lambda layer: layer.cycles)
    critical = sum(layer.cycles for layer in net.layers)
    fields: dict[str, Any] = {
        "name": "synthetic",
        "board": BOARD,
        "target": 70_000.0,
        "versions": {"qonnx": "1.0.0", "torch": "2.13.0"},
        "layers": tuple(net.layers),
        "edges": tuple(net.edges),
        "folding": {layer.name: dict(layer.folding) for layer in net.layers},
        "performance": Performance(
            critical, slowest.cycles, slowest.name, 1e9 / (10 * slowest.cycles), 10.0 * critical
        ),
        "headroom": 0.9,
        "resource_note": "Made up.",
        "folding_proof": "II of at most 9 at 1.000 boards, proved to be the least cost",
        "footprint": (Footprint("block1", 1728, 8), Footprint("block2", 576, 2)),
        "verification": (
            Verification("export", 20, 32, 1_234_567, 1.25),
            Verification("fold", 19, 32, 1_000_000, 2.5),
        ),
        "reference": "Brevitas in float64",
        "simulation": simulation(net),
        "bitstream": NO_BITSTREAM,
        "seconds": {"export": 1.5, "fold": 20.25},
        "not_run": {"rtlsim": "No cycle was simulated.", "bitstream": "Timing is unknown."},
        "faces_note": "Embeddings of the integer executor.",
        **faces(3),
    }
    return ReportData(**{**fields, **changes})


@pytest.mark.parametrize(
    ("block", "group"),
    [("block3.1.expand", "block3.1"), ("block3.1", "block3.1"), ("block1", "block1"), ("pixels", "pixels")],
)
def test_group_is_the_block_or_its_repetition(block: str, group: str) -> None:
    assert layer("MVAU_0", block=block).group == group


def test_total_sums_all_layers() -> None:
    data = build()
    mvaus = sum(layer.op == "MVAU" for layer in data.layers)
    assert (len(data.layers), mvaus) == (34, 8)
    assert data.total == Resources(lut=3400, ff=6800, bram18=34, uram=0, dsp=16)


def test_uses_leave_out_what_is_neither_used_nor_there() -> None:
    uses = {use.label: (use.used, use.offered, use.share) for use in build().uses}
    assert uses == {
        "LUT": (3400, 10_000, 0.34),
        "FF": (6800, 20_000, 0.34),
        "BRAM18": (34, 40, 0.85),
        "DSP": (16, 60, 16 / 60),
    }


@pytest.mark.parametrize(
    ("change", "scarcest", "share", "fits", "within"),
    [
        ({}, "BRAM18", 0.85, True, True),
        ({"bram18": 35}, "BRAM18", 34 / 35, True, False),
        ({"bram18": 33}, "BRAM18", 34 / 33, False, False),
        ({"dsp": 0}, "DSP", None, False, False),
    ],
)
def test_fits_and_headroom(
    change: dict[str, int], scarcest: str, share: float | None, fits: bool, within: bool
) -> None:
    data = build(board=dataclasses.replace(BOARD, **change))
    assert (data.scarcest.label, data.scarcest.share) == (scarcest, share)
    assert (data.fits, data.within_headroom) == (fits, within)


def test_footprint_sums() -> None:
    data = build()
    assert (data.weights, data.weight_bits) == (1728 + 576, 8 * 1728 + 2 * 576)


def test_bottleneck_is_the_named_layer() -> None:
    data = build()
    assert data.bottleneck is data.layers[-1]
    slow = dataclasses.replace(data.performance, max_cycles_node_name="VVAU_0")
    assert build(performance=slow).bottleneck.name == "VVAU_0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": (layer("MVAU_0"), layer("MVAU_0"))}, "layers have the same name twice"),
        ({"edges": (Edge("MVAU_0", "Pool_0", "x", "INT4", 4),)}, "no layer has the name 'Pool_0'"),
        ({"performance": Performance(1, 1, "Pool_1", 1.0, 1.0)}, "no layer has the name 'Pool_1'"),
        (
            {"simulation": simulation(network(), fifos=(Fifo("f", "Pool_2", "x", 1, 2, 1),))},
            "no layer has the name 'Pool_2'",
        ),
        ({"similarity": np.eye(2)}, "similarity must be finite and of shape (3, 3), not (2, 2)"),
        (
            {"similarity": np.full((3, 3), np.nan)},
            "similarity must be finite and of shape (3, 3), not (3, 3)",
        ),
    ],
)
def test_contradictions_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(**change)
