"""The whole accelerator as two Verilog modules that a person can read.

`dataflow` has one instance a layer and FIFO, named as the nodes of the graph, and the streams of its first
and last layer as s_axis_0 and m_axis_0. `accelerator` puts it between a DMA's streams: packed INT8 pixels
(NHWC) in, int32 accumulators out, TLAST at the end of a batch. Verilog, not SystemVerilog, since Vivado's
block designs take no other module; the layers are instances of the modules of their own files
(`finn_flow.ops.rtl_layer`, `finn_flow.hls.verilog`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import FIFO, base_op, layer_instance, module_name
from finn_flow.graph import Graph
from finn_flow.ops.verilog import ENDS, Pins, instance, module, padded

if TYPE_CHECKING:
    from finn_flow.ops.rtl_layer import RtlLayer

CORE, TOP = "dataflow", "accelerator"
MODULES = ("fifo", "width_converter", "stream_in", "stream_out")  # that these two need beside the layers'
FRAMES_IN_FLIGHT = 64  # frames that may be inside at a time; more wait at the input
DMA_BITS = 32  # least width of a DMA's stream


@dataclass(frozen=True)
class DmaStream:
    """The frames at one end of the accelerator: bits of TDATA, beats a frame."""

    bits: int
    beats: int


def input_stream(model: ModelWrapper, interval: int) -> DmaStream:
    """The narrowest stream of a power of two >= 32 bits that brings a frame in `interval` cycles.

    Raises ValueError if a frame is not whole beats. A configuration's are: its side is a multiple of 16.
    """
    frame = math.prod(model.get_tensor_shape(model.graph.input[0].name)) * 8
    bits = DMA_BITS
    if frame % bits:
        raise ValueError(f"a frame of {frame // 8} bytes is not whole beats of {bits // 8}; pad it to them")
    while frame % (2 * bits) == 0 and frame // bits > interval:
        bits *= 2
    return DmaStream(bits, frame // bits)


def output_stream(model: ModelWrapper) -> DmaStream:
    """One int32 a beat."""
    return DmaStream(DMA_BITS, math.prod(model.get_tensor_shape(model.graph.output[0].name)))


def dataflow(model: ModelWrapper) -> str:
    """dataflow.v for a graph of specialised layers and FIFOs."""
    graph = Graph(model)
    first, last = end_layers(graph)
    in_bits, out_bits = int(first.get_instream_width()), int(last.get_outstream_width())
    body = [_wires("pixels", in_bits), *_assign_ends(graph, in_bits, out_bits)]
    for node in graph.nodes:
        body += _layer(graph, node, layer_instance(node))
    head = "// Generated: the layers of the accelerator, and the FIFOs between them."
    ends = {"s_axis_0": padded(in_bits), "m_axis_0": padded(out_bits)}
    return module(CORE, ends, body, head)


def end_layers(graph: Graph) -> tuple[RtlLayer, RtlLayer]:
    """The first layer and the last."""
    return layer_instance(graph.consumers[graph.input][0]), layer_instance(graph.producer[graph.output])


def _assign_ends(graph: Graph, in_bits: int, out_bits: int) -> list[str]:
    last = _wire(graph, graph.output)
    fill = f"{{{padded(out_bits) - out_bits}'b0, {last}_tdata}}" if out_bits % 8 else f"{last}_tdata"
    return [
        f"  assign pixels_tdata = s_axis_0_tdata[{in_bits - 1}:0];",
        "  assign pixels_tvalid = s_axis_0_tvalid;",
        "  assign s_axis_0_tready = pixels_tready;",
        f"  assign m_axis_0_tdata = {fill};",
        f"  assign m_axis_0_tvalid = {last}_tvalid;",
        f"  assign {last}_tready = m_axis_0_tready;",
    ]


def _wires(stream: str, bits: int) -> str:
    return f"  wire [{bits - 1}:0] {stream}_tdata;\n  wire {stream}_tvalid, {stream}_tready;"


def _wire(graph: Graph, tensor: str) -> str:
    """Prefix of the wires that carry a tensor."""
    producer = graph.producer.get(tensor)
    if producer is None:
        return "pixels"
    return f"{producer.name}_out{list(producer.output).index(tensor)}"


def _layer(graph: Graph, node: NodeProto, layer: RtlLayer) -> list[str]:
    """A layer's output wires, declared before anything uses them, and its instance."""
    widths = layer.stream_widths()
    inputs = [(f"in{i}_V", _wire(graph, tensor)) for i, tensor in enumerate(graph.dynamic_inputs(node))]
    outputs = [(f"out{i}_V", f"{node.name}_out{i}") for i in range(len(node.output))]
    wires = [_wires(wire, widths[port]) for port, wire in outputs]
    if base_op(node.op_type) == FIFO:
        pins: Pins = {f"s_axis_{end}": f"{inputs[0][1]}_{end}" for end in ENDS}
        pins |= {f"m_axis_{end}": f"{outputs[0][1]}_{end}" for end in ENDS}
        return [*wires, instance("fifo", node.name, pins, layer.parameters(graph.model))]
    pins = {}
    for port, wire in inputs + outputs:
        pins |= {f"{port}_{end}": f"{wire}_{end}" for end in ENDS}
        if spare := padded(widths[port]) - widths[port]:
            fill = f"{spare}'b0"
            if (port, wire) in outputs:
                fill = f"{wire}_spare"
                wires.append(f"  wire [{spare - 1}:0] {fill};")
            pins[f"{port}_tdata"] = f"{{{fill}, {wire}_tdata}}"
    return [*wires, instance(module_name(node), node.name, pins)]


def accelerator(model: ModelWrapper, interval: int) -> str:
    """accelerator.v. interval: II in cycles, which the input stream must keep up with."""
    graph = Graph(model)
    first, last = end_layers(graph)
    in_bits, out_bits = int(first.get_instream_width()), int(last.get_outstream_width())
    source, sink = input_stream(model, interval), output_stream(model)
    accumulator = last.get_output_datatype()
    into = {"IN_BITS": source.bits, "OUT_BITS": in_bits, "BEATS": source.beats}
    out_of = {
        "PE": out_bits // accumulator.bitwidth(),
        "ACC_BITS": accumulator.bitwidth(),
        "ACC_SIGNED": int(accumulator.signed()),
        "OUT_BITS": sink.bits,
        "BEATS": sink.beats,
    }
    streams = {"pixels": in_bits, "layers_out": padded(out_bits), "ends_in": 1, "ends_out": 1}
    spare = padded(in_bits) - in_bits
    body = [
        *(_wires(stream, bits) for stream, bits in streams.items()),
        _between(
            "stream_in", into, {"s_axis": "s_axis_0", "m_axis": "pixels", "m_last": "ends_in"}, "s_axis"
        ),
        _between(
            "fifo", {"WIDTH": 1, "DEPTH": FRAMES_IN_FLIGHT}, {"s_axis": "ends_in", "m_axis": "ends_out"}
        ),
        instance(
            CORE,
            CORE,
            {
                "s_axis_0_tdata": f"{{{spare}'b0, pixels_tdata}}" if spare else "pixels_tdata",
                **{f"s_axis_0_{end}": f"pixels_{end}" for end in ENDS[1:]},
                **{f"m_axis_0_{end}": f"layers_out_{end}" for end in ENDS},
            },
        ),
        _between(
            "stream_out",
            out_of,
            {"s_axis": "layers_out", "s_last": "ends_out", "m_axis": "m_axis_0"},
            "m_axis",
            {"s_axis_tdata": f"layers_out_tdata[{out_bits - 1}:0]"},
        ),
    ]
    head = "// Generated: the accelerator between the streams of a DMA; see stream_in.sv and stream_out.sv."
    return module(TOP, {"s_axis_0": source.bits, "m_axis_0": sink.bits}, body, head, packets=True)


def _between(
    name: str,
    parameters: dict[str, int],
    streams: dict[str, str],
    packet: str | None = None,
    special: Pins | None = None,
) -> str:
    """An instance of an adapter named as its module; the stream `packet` has TLAST and TKEEP."""
    pins = {f"{port}_{end}": f"{wire}_{end}" for port, wire in streams.items() for end in ENDS}
    if packet is not None:
        pins |= {f"{packet}_{end}": f"{streams[packet]}_{end}" for end in ("tlast", "tkeep")}
    names = {"fifo": "frame_ends"}
    return instance(name, names.get(name, name), {**pins, **(special or {})}, parameters)
