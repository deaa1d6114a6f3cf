"""Compiles a graph: nodes to kernels, tensors to Streams, and proves the declared widths without any data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import Graph, Node
from verification.executor.real import float64
from verification.executor.stream import Kernel, Operand, Range, Result, Stream
from verification.executor.table import ACCUMULATING_OPS, NHWC_OPS, OPS, WINDOW_OPS
from verification.executor.widths import Declaration, check_constants, declarations, limits


@dataclass(frozen=True)
class Step:
    """One compiled node. All its outputs are the same values; `output` is the first.

    declared: what every run compares the output with. last_uses: streams that no later step needs.
    """

    node: Node
    kernel: Kernel
    inputs: tuple[str, ...]
    output: Stream
    declared: Declaration | None
    last_uses: tuple[str, ...]

    def run(self, tensors: dict[str, Tensor]) -> Tensor:
        """The output; raises VerificationError if its shape or a value is not as declared."""
        result = self.kernel(*(tensors[name] for name in self.inputs))
        if self.output.windows is None:
            check_shape(self.output, result)
        if self.declared is not None and self.output.range is not None:
            low, high = (int(value) for value in torch.aminmax(result))
            bounds = (self.output.range.least, self.output.range.greatest)
            self.declared.check(f"{self.node}: {self.output.name!r}", "reaches", low, high, bounds)
        return result


@dataclass(frozen=True)
class Plan:
    """A compiled graph: `streams` in topological order, the input first; `producers` of all but the input."""

    streams: dict[str, Stream]
    steps: tuple[Step, ...]
    producers: dict[str, Node]


def compile_graph(graph: Graph) -> Plan:
    """Raises VerificationError for an op that the table does not have, a node that cannot be computed
    exactly, and a declared type that its tensor's values can exceed for some input."""
    declared = declarations(graph)
    check_constants(graph, declared)
    constants = dict(graph.constants)
    streams = {graph.input: _input(graph)}
    compiled: list[tuple[Node, Result]] = []
    _prove("graph input", streams[graph.input], declared)
    for node in graph.nodes:
        result = _compile(node, _operands(node, streams, constants))
        if not any(name in streams for name in node.inputs):
            constants[node.outputs[0]] = result.kernel(float64(constants[node.inputs[0]])).numpy()
            continue
        compiled.append((node, result))
        for name in node.outputs:
            streams[name] = Stream(
                name, _shape(graph, name), result.range, result.layout, result.windows, result.scale
            )
            _prove(str(node), streams[name], declared)
    missing = [name for name in graph.outputs if name not in streams]
    if missing:
        raise VerificationError(f"graph output {missing[0]!r} does not depend on the input {graph.input!r}")
    return Plan(streams, _steps(compiled, streams, declared), {o: n for n, _ in compiled for o in n.outputs})


def check_shape(stream: Stream, tensor: Tensor) -> None:
    """Raise VerificationError unless a frame has the shape that the graph declares."""
    declared, found = stream.shape[1:], tuple(tensor.shape[1:])
    if found != declared:
        raise VerificationError(f"{stream.name!r} is declared with shape {declared} a frame, but has {found}")


def _input(graph: Graph) -> Stream:
    datatype = graph.datatypes.get(graph.input)
    if datatype is None or not datatype.is_integer():
        raise VerificationError(f"graph input {graph.input!r} must be annotated with an integer type")
    default = "NHWC" if any(node.kind in NHWC_OPS for node in graph.nodes) else "NCHW"
    layout = graph.layouts.get(graph.input, default)
    return Stream(graph.input, _shape(graph, graph.input), Range.of(*limits(datatype)), layout)


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    if name not in graph.shapes:
        raise VerificationError(f"tensor {name!r} has no shape; run qonnx's InferShapes")
    return graph.shapes[name]


def _operands(node: Node, streams: dict[str, Stream], constants: dict[str, np.ndarray]) -> list[Operand]:
    known: dict[str, Operand] = {**constants, **streams}
    for name in node.inputs:
        if name not in known:
            raise VerificationError(f"{node}: its input {name!r} comes from no earlier node")
    return [known[name] for name in node.inputs]


def _compile(node: Node, operands: list[Operand]) -> Result:
    if node.kind not in OPS:
        raise VerificationError(f"{node}: the executor's op table has no {node.kind}")
    op = OPS[node.kind]
    if node.kind in WINDOW_OPS:
        return op(node, *operands)
    streams = [operand for operand in operands if isinstance(operand, Stream)]
    dense = [
        replace(operand, windows=None) if isinstance(operand, Stream) else operand for operand in operands
    ]
    result = op(node, *dense)
    if all(stream.windows is None for stream in streams):
        return result
    return replace(
        result,
        kernel=lambda *tensors: result.kernel(*(s.dense(t) for s, t in zip(streams, tensors, strict=True))),
    )


def _prove(producer: str, stream: Stream, declared: dict[str, Declaration]) -> None:
    """Raise VerificationError if some input takes the stream out of its declared type."""
    if stream.range is not None and stream.name in declared:
        bounds = (stream.range.least, stream.range.greatest)
        declared[stream.name].check(f"{producer}: {stream.name!r}", "can reach", *bounds, bounds)


def _steps(
    compiled: list[tuple[Node, Result]], streams: dict[str, Stream], declared: dict[str, Declaration]
) -> tuple[Step, ...]:
    last: dict[str, int] = {}  # of each stream: the step after which nobody needs it
    for index, (node, _) in enumerate(compiled):
        last.update(dict.fromkeys((*node.outputs, *node.inputs), index))
    return tuple(
        Step(
            node,
            result.kernel,
            tuple(name for name in node.inputs if name in streams),
            streams[node.outputs[0]],
            declared.get(node.outputs[0]) if node.kind in ACCUMULATING_OPS else None,
            tuple(name for name, step in last.items() if step == index and name in streams),
        )
        for index, (node, result) in enumerate(compiled)
    )
