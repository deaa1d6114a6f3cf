"""C++ simulation of HLS layers: ours against FINN's own cppsim, which compiles and starts a program a layer.

    python -m benchmarks.cppsim --model build/tiny/fold/model.onnx [--frames N]

The first layer of each op that FINN has code for, the same kernel with the same numbers in both, outputs
compared with the executor's. Nothing is taken from a cache. CPU time, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_flow.backends import CLASSES, base_op
from finn_flow.boards import find_board
from finn_flow.finn_env import prepare_finn
from finn_flow.hls.generate import cpp_network
from finn_flow.passes.widen_thresholds import WidenThresholds
from finn_flow.simulate import int8_frames
from verification.cppsim.check import CppNetwork
from verification.cppsim.compile import compile_units, toolchain
from verification.cppsim.layer import CppLayer
from verification.cppsim.program import Program, build_program, run_program
from verification.streams import compare_stream

OPS = ("MVAU", "VVAU", "Thresholding", "ElementwiseAdd", "DuplicateStreams", "StreamingDataWidthConverter")


@contextmanager
def cpu_seconds(result: list[float]) -> Iterator[None]:
    """Append the CPU time of this process and its children."""

    def now() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    start = now()
    yield
    result.append(now() - start)


def finns(node: NodeProto, network: CppNetwork, model: ModelWrapper, pixels: Any) -> tuple[float, float]:
    """CPU seconds to compile a layer, and to run it on a frame."""
    from finn.transformation.fpgadataflow.prepare_cppsim import _codegen_single_node

    node.op_type, node.domain = CLASSES["hls"][base_op(node.op_type)]
    layer, seconds = getCustomOp(node), list[float]()
    with cpu_seconds(seconds):
        _codegen_single_node(node, model)
        layer.compile_singlenode_code()
    layer.set_nodeattr("exec_mode", "cppsim")
    orders = [network.orders[name] for name in (*node.input, *node.output) if name in network.orders]
    values = network.executor.run(pixels, [order.tensor for order in orders])
    for frame in range(len(pixels)):
        wires = {o.tensor: o.on_wires(values[o.tensor][frame][None]).astype(np.float32) for o in orders}
        context = {o.tensor: wires[o.tensor].reshape(o.shape) for o in orders}
        want = [context.pop(name) for name in node.output]
        context |= {name: model.get_initializer(name) for name in node.input if name not in context}
        with cpu_seconds(seconds):
            layer.execute_node(context, model.graph)
        assert all((context[n] == w).all() for n, w in zip(node.output, want, strict=True)), node.name
    return seconds[0], sum(seconds[1:]) / len(pixels)


def ours(network: CppNetwork, layers: Sequence[CppLayer], pixels: Any) -> tuple[list[float], list[float]]:
    """CPU seconds to compile each layer, and of what is done once: header, program, a frame."""
    each, once = list[float](), list[float]()
    with cpu_seconds(once):
        toolchain()
    for layer in layers:
        with cpu_seconds(each):
            compile_units({layer.unit(): layer.name}, lambda units: None)
    program = Program(tuple(layers))
    with cpu_seconds(once):
        executable = build_program(program)
    values = network.executor.run(pixels, list(program.streams))
    inputs = {name: network.orders[name].to_beats(values[name]) for name in program.inputs}
    outputs = [port.tensor for layer in layers for port in layer.outputs]
    with cpu_seconds(once):
        words = run_program(program, executable, inputs, outputs)
    for name in outputs:
        order = network.orders[name]
        compare_stream(
            order, order.elements(words[name]).reshape(len(pixels), -1), order.on_wires(values[name])
        )
    once[-1] /= len(pixels)
    return each, once


def first_layers(model: ModelWrapper, network: CppNetwork) -> list[CppLayer]:
    """The first layer of each op, in topological order."""
    names: dict[str, str] = {}
    for node in model.graph.node:
        names.setdefault(base_op(node.op_type), node.name)
    chosen = {names[op] for op in OPS if op in names}
    return [layer for layer in network.layers if layer.name in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.cppsim", description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a folded graph")
    parser.add_argument("--frames", type=int, default=2)
    options = parser.parse_args()
    prepare_finn()
    from verification.cppsim.finn import install

    install()
    model = ModelWrapper(str(options.model))
    pixels = int8_frames(options.frames, None, model.get_tensor_shape("pixels")[1])
    with tempfile.TemporaryDirectory() as name:
        os.environ["QMFN_CACHE"] = str(Path(name, "cache"))
        network = cpp_network(model, find_board("ZCU104"), Path(name, "code"))
        layers = first_layers(model, network)
        each, (header, program, frame) = ours(network, layers, pixels)
    widened = model.transform(WidenThresholds())
    print("| layer, seconds of CPU time to compile | FINN's cppsim | ours | ratio |")
    print("| --- | --- | --- | --- |")
    frames = 0.0
    for own, layer in zip(each, layers, strict=True):
        node = next(node for node in widened.graph.node if node.name == layer.name)
        compiled, run = finns(node, network, widened, pixels)
        frames += run
        print(f"| {layer.name} | {compiled:.1f} | {own:.1f} | {compiled / own:.1f}x faster |", flush=True)
    print(f"| all these on a frame | {frames:.2f} | {frame:.2f} | {frames / frame:.1f}x faster |")
    print(f"\nours, once for a network: header {header:.1f} s, program of these layers {program:.1f} s")


if __name__ == "__main__":
    main()
