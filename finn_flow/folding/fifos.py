"""What the streams between layers cost before any depth is known: width converters and FIFOs.

Every stream has a FIFO, and one more behind a width converter. Real depths come from a simulation of the
folded accelerator, which a solver cannot wait for. Here every FIFO has the least depth, but for that of a
residual by-pass, which holds what its branch takes in before it gives the first word: a window generator
waits for rows, all other layers together for a pixel. Against simulated depths that is exact at a slow
folding and 2.5 % low at the fastest. What the model leaves out are the FIFOs of bursty layers, 32 to 64
words each and a block RAM for a few of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import CONVERTER, base_op, layer_instance
from finn_flow.boards import DspBlock
from finn_flow.graph import Graph, attribute
from finn_flow.passes.insert_fifos import LEAST_DEPTH
from finn_flow.resources import (
    Resources,
    converter_resources,
    estimate,
    fifo_resources,
    layer_attributes,
)

WINDOW_OPS = ("ConvolutionInputGenerator", "WindowGenerator")


def stream_resources(out_width: int, in_width: int, dsp_block: DspBlock, held: int = 0) -> Resources:
    """A stream between layers whose ends have these widths. held: bits that wait before the reader."""
    last = fifo_resources(in_width, _depth(held, in_width), dsp_block)
    if out_width == in_width:
        return last
    first = fifo_resources(out_width, LEAST_DEPTH, dsp_block)
    return first + converter_resources(out_width, in_width) + last


def _depth(held: int, width: int) -> int:
    """Words of a FIFO in which so many bits wait."""
    return max(LEAST_DEPTH, -(-held // width) + 1)


def held_bits(model: ModelWrapper) -> dict[str, int]:
    """Bits that wait in each residual by-pass, by the tensor from its fork to its addition.

    model: a hardware graph without width converters.
    """
    graph, held = Graph(model), {}
    for node in graph.nodes:
        if base_op(node.op_type) != "ElementwiseAdd":
            continue
        for tensor, other in zip(node.input, reversed(node.input), strict=True):
            fork = graph.producer.get(tensor)
            if fork is not None and base_op(fork.op_type) == "DuplicateStreams":
                pixels = _pixels_taken_in(list(_branch(graph, fork, other)), graph.shape(tensor)[2])
                bits = model.get_tensor_datatype(tensor).bitwidth()
                held[tensor] = pixels * graph.shape(tensor)[-1] * bits
    return held


def _branch(graph: Graph, fork: NodeProto, tensor: str) -> Iterator[NodeProto]:
    """The layers from a tensor back to a fork."""
    while (node := graph.producer[tensor]).name != fork.name:
        yield node
        tensor = node.input[0]


def _pixels_taken_in(branch: list[NodeProto], width: int) -> int:
    """Pixels that a branch reads before its first output: its windows', and one for all other layers."""
    windows = [node for node in branch if base_op(node.op_type) in WINDOW_OPS]
    padding = sum(attribute(node, "Padding", [0])[0] for node in branch)
    kernels = (attribute(node, "ConvKernelDim")[0] for node in windows)
    return 1 + sum(max(0, kernel - 1 - padding) * (width + 1) + 1 for kernel in kernels)


def assumed_depths(model: ModelWrapper, held: Mapping[str, int]) -> dict[str, int]:
    """Depth of each by-pass FIFO as it is priced, by the tensor that it stands behind.

    model: folded, with width converters; held: of the graph without them.
    """
    graph, depths = Graph(model), {}
    sources = {node.output[0]: node.input[0] for node in graph.nodes if base_op(node.op_type) == CONVERTER}
    for node in graph.nodes:
        if base_op(node.op_type) == "ElementwiseAdd":
            layer = layer_instance(node)
            for index, tensor in enumerate(node.input):
                if bits := held.get(sources.get(tensor, tensor), 0):
                    depths[tensor] = _depth(bits, int(layer.get_instream_width(index)))
    return depths


def network_resources(model: ModelWrapper, dsp_block: DspBlock) -> Resources:
    """All of a folded graph without width converters: layers, and the converters and FIFOs between them."""
    graph, held = Graph(model), held_bits(model)
    instances = {node.name: layer_instance(node) for node in graph.nodes}
    total = Resources()
    for node in graph.nodes:
        total += estimate(base_op(node.op_type), layer_attributes(model, node), dsp_block)
        for index, tensor in enumerate(graph.dynamic_inputs(node)):
            if (producer := graph.producer.get(tensor)) is not None:
                output = list(producer.output).index(tensor)
                out_width = int(instances[producer.name].get_outstream_width(output))
                in_width = int(instances[node.name].get_instream_width(index))
                total += stream_resources(out_width, in_width, dsp_block, held.get(tensor, 0))
    return total
