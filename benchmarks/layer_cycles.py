"""Cycles a frame of every layer alone, in simulation and by the estimate.

    python -m benchmarks.layer_cycles build/w4a4 [build/...] [--layers]

Each build must have run its step `rtl`, whose Verilog is simulated. Layers that differ in name and constants
alone are one. All of them stand side by side in one design, each between a source and a sink of its own that
are never the reason to wait, so that one build and one run measure every layer alone; in the whole
accelerator each would show the II of the slowest. Inputs are random integers: no cycle depends on them, and
`finn_flow.rtlsim` is what compares integers. Prints a Markdown table with the layer of each op that is
furthest from its estimate, with --layers of all. One that is off by more than 1 % and 16 cycles is named:
exit code 1.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.markdown import table
from finn_flow.backends import base_op, layer_instance
from finn_flow.fifo_sizing import close
from finn_flow.finn_env import prepare_finn
from finn_flow.ops.verilog import ENDS, Pins, instance, module, padded
from finn_flow.performance import instance_cycles
from verification.verilator.build import Design, build
from verification.verilator.simulation import Simulation

FRAMES = 4
HEAD = ("layers", "distinct", "furthest off", "estimated", "simulated", "difference", "of it")
TOP = "layers"


@dataclass(frozen=True)
class Row:
    """Cycles a frame of a layer, and how many layers of the graph are like it."""

    op: str
    name: str
    count: int
    estimated: int
    simulated: int

    @property
    def off(self) -> float:
        """Distance from the estimate, of it."""
        return abs(self.simulated - self.estimated) / self.estimated

    @property
    def is_close(self) -> bool:
        return close(self.simulated, self.estimated)


def distinct(nodes: Iterable[NodeProto]) -> dict[str, int]:
    """Layers that differ in more than name and constants: {name of the first such: how many}."""
    kinds: dict[tuple[str, ...], str] = {}
    counts: Counter[str] = Counter()
    for node in nodes:
        attributes = sorted(attribute.SerializeToString().hex() for attribute in node.attribute)
        counts[kinds.setdefault((node.op_type, *attributes), node.name)] += 1
    return dict(counts)


def frame_beats(layer: Any) -> dict[str, int]:
    """Beats of a frame on each of a layer's streams, by port."""
    beats = {}
    for port in layer.stream_widths():
        index = int(port.removeprefix("in").removeprefix("out").removesuffix("_V"))
        shape = layer.get_folded_input_shape if port.startswith("in") else layer.get_folded_output_shape
        beats[port] = math.prod(int(size) for size in shape(index)[:-1])
    return beats


def side_by_side(layers: Mapping[str, Any]) -> str:
    """A Verilog module with all layers in it, whose streams are called PORT_LAYER."""
    streams, instances = {}, []
    for name, layer in layers.items():
        pins: Pins = {}
        for port, bits in layer.stream_widths().items():
            streams[f"{port}_{name}"] = padded(bits)
            pins |= {f"{port}_{end}": f"{port}_{name}_{end}" for end in ENDS}
        instances.append(instance(name, name, pins))
    return module(TOP, streams, instances, "// Generated: layers alone, side by side.")


def build_layers(layers: Mapping[str, Any], folder: Path) -> Path:
    """The library of a design with the layers, whose Verilog is in `folder`."""
    modules = [folder / path.name for layer in layers.values() for path in layer.modules()]
    with tempfile.TemporaryDirectory() as name:
        top = Path(name) / f"{TOP}.v"
        top.write_text(side_by_side(layers))
        own = [folder / f"{layer}.v" for layer in layers]
        return build(Design(TOP, (*dict.fromkeys(modules), *own, top)))


def simulate(layers: Mapping[str, Any], folder: Path) -> dict[str, int]:
    """Cycles from the end of the last frame but one to that of the last, of each layer at full rate."""
    random = np.random.default_rng(0)
    beats = {name: frame_beats(layer) for name, layer in layers.items()}
    limit = (FRAMES + 2) * 2 * max(map(instance_cycles, layers.values())) + 10_000
    with Simulation(build_layers(layers, folder), folder) as sim:
        expected = {}
        for name, ports in beats.items():
            for port, count in ports.items():
                stream = sim.ports[f"{port}_{name}"]
                if stream.is_input:
                    data = random.integers(0, 256, (FRAMES * count, stream.bytes), np.uint8)
                    sim.push(stream.name, data)
                else:
                    expected[stream.name] = FRAMES * count
        sim.run(expected, limit, limit)
        cycles = {}
        for name, ports in beats.items():
            outputs = {f"{port}_{name}": count for port, count in ports.items() if port.startswith("out")}
            ends = np.max([sim.cycles(port)[n - 1 :: n] for port, n in outputs.items()], axis=0)
            cycles[name] = int(ends[-1] - ends[-2])
    return cycles


def measure(model: ModelWrapper, folder: Path) -> list[Row]:
    """The distinct layers of a specialised graph without FIFOs, whose Verilog is in `folder`."""
    counts = distinct(model.graph.node)
    layers = {node.name: layer_instance(node) for node in model.graph.node if node.name in counts}
    simulated = simulate(layers, folder)
    return [
        Row(base_op(layer.onnx_node.op_type), name, counts[name], instance_cycles(layer), simulated[name])
        for name, layer in layers.items()
    ]


def rows_of(rows: Iterable[Row], every: bool) -> list[tuple[Any, ...]]:
    """Rows of the table. By op: layers, distinct ones, and the one that is furthest off; or every one."""
    ordered = sorted(rows, key=lambda row: (row.op, -row.off, -row.estimated))
    groups = [list(group) for _, group in groupby(ordered, key=lambda row: row.op)]
    shown = [[row] for row in ordered] if every else groups
    return [
        (
            worst.op,
            sum(row.count for row in group),
            len(group),
            worst.name,
            f"{worst.estimated:,}",
            f"{worst.simulated:,}",
            f"{worst.simulated - worst.estimated:+,}",
            f"{100 * worst.off:.2f} %",
        )
        for group in shown
        for worst in group[:1]
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="+", type=Path, metavar="BUILD", help="folders of builds")
    parser.add_argument("--layers", action="store_true", help="a row for every distinct layer")
    options = parser.parse_args(arguments)
    prepare_finn()
    far = []
    for folder in options.builds:
        started = time.perf_counter()
        rows = measure(ModelWrapper(str(folder / "rtl" / "model.onnx")), folder / "rtl")
        head = (f"{folder.name}, {len(os.sched_getaffinity(0))} cores", *HEAD)
        print(f"{table(head, *rows_of(rows, options.layers))}\n\n{time.perf_counter() - started:.0f} s.\n")
        far += [f"{folder.name}: {row.name}" for row in rows if not row.is_close]
    if far:
        raise SystemExit(f"error: more than 1 % and 16 cycles from the estimate: {', '.join(far)}")


if __name__ == "__main__":
    main()
