"""Vitis HLS's Verilog of a layer, as the netlist takes it.

MVAU_3_hls.v                  a module with the ports of our own layers around what follows
MVAU_3.v, MVAU_3_*.v, *.dat   what Vitis HLS made of it; the ends of its streams are in capitals
MVAU_3_memstream_wrapper.v    where mem_mode is internal_decoupled: FINN's streamer of the parameters; it
                              needs modules of finn-rtllib, and MVAU_3_memblock.dat
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable
from pathlib import Path

from onnx import NodeProto

from finn_flow.artifacts import read_json, write_json
from finn_flow.backends import layer_instance, module_name
from finn_flow.hls.generate import MEMORY
from finn_flow.hls.vitis import Synthesis, read_report, verilog_folder
from finn_flow.memory import memory
from finn_flow.ops.verilog import ENDS, Pins, instance, module, padded
from finn_flow.resource_counts import Resources

# of finn-rtllib
STREAMER = ("axi/hdl/axilite.sv", "memstream/hdl/memstream.sv", "memstream/hdl/memstream_axi.sv")
# Nobody writes the parameters: the inputs of the streamer's AXI-lite port.
WRITING = ("AWVALID", "AWPROT", "AWADDR", "WVALID", "WDATA", "WSTRB", "BREADY")
UNUSED = (*WRITING, "ARVALID", "ARPROT", "ARADDR", "RREADY")


def streamer_modules() -> list[Path]:
    """What FINN's streamer of parameters consists of."""
    from finn.util.settings import get_settings

    return [Path(get_settings().finn_rtllib) / name for name in STREAMER]


def write_hls_layer(node: NodeProto, made: Path, folder: Path) -> list[Path]:
    """Write a layer's files to `folder`; the Verilog, the wrapper last. made: folder of the step `hls`."""
    name, exported = node.name, verilog_folder(node.name, made)
    for data in exported.glob("*.dat"):
        shutil.copy(data, folder)
    sources = [Path(shutil.copy(path, folder)) for path in sorted(exported.glob("*.v"))]
    if memory_file := _memory_file(name, made):
        shutil.copy(memory_file, folder / f"{name}_{MEMORY}")
        sources.append(Path(shutil.copy(made / name / f"{name}_memstream_wrapper.v", folder)))
    wrapper = folder / f"{module_name(node)}.v"
    widths = layer_instance(node).stream_widths()
    wrapper.write_text(_wrapper(node, widths, _word_bits(memory_file) if memory_file else None))
    return [*sources, wrapper]


def synthesis(node: NodeProto, made: Path) -> Synthesis:
    """What Vitis HLS says of a layer; the memory of its streamer, which it does not see, added."""
    said = read_report(node.name, made)
    if (file := _memory_file(node.name, made)) is None:
        return said
    style = layer_instance(node, "hls").get_nodeattr("ram_style")
    words = len(file.read_text().split())
    return Synthesis(said.interval, said.resources + memory(_word_bits(file), words, style))


def write_synthesis(nodes: Iterable[NodeProto], made: Path, file: Path) -> int:
    """Write a JSON file of what Vitis HLS says of these layers; the longest interval."""
    results = {node.name: synthesis(node, made) for node in nodes}
    write_json(file, {name: dataclasses.asdict(result) for name, result in results.items()})
    return max((result.interval or 0 for result in results.values()), default=0)


def synthesised_layers(file: Path) -> dict[str, Synthesis]:
    """What `write_synthesis` wrote, by layer."""
    return {
        name: Synthesis(result["interval"], Resources(**result["resources"]))
        for name, result in read_json(file).items()
    }


def _memory_file(layer: str, made: Path) -> Path | None:
    file = made / layer / MEMORY
    return file if file.is_file() else None


def _word_bits(file: Path) -> int:
    """Bits of a word of the streamer: FINN pads them to whole bytes."""
    return padded(4 * len(file.read_text().split(maxsplit=1)[0]))


def _wrapper(node: NodeProto, widths: dict[str, int], parameter_bits: int | None) -> str:
    """parameter_bits: of the stream in1_V of parameters, None if there is none."""
    pins: Pins = {f"{port}_{end.upper()}": f"{port}_{end}" for port in widths for end in ENDS}
    body = []
    if parameter_bits is not None:
        body = _streamer(node.name, parameter_bits)
        pins |= {f"in1_V_{end.upper()}": f"parameters_{end}" for end in ENDS}
    body.append(instance(node.name, "layer", pins))
    tdata = {port: padded(bits) for port, bits in widths.items()}
    return module(module_name(node), tdata, body, f"// Generated: {node.name} as Vitis HLS made it.")


def _streamer(layer: str, bits: int) -> list[str]:
    pins: Pins = {f"m_axis_0_{end}": f"parameters_{end}" for end in ENDS}
    pins |= {"ap_clk2x": "ap_clk", "s_axis_0_tvalid": "1'b0", "s_axis_0_tdata": "1'b0"}
    pins |= {f"s_axilite_{name}": "0" for name in UNUSED}
    return [
        f"  wire [{bits - 1}:0] parameters_tdata;\n  wire parameters_tvalid, parameters_tready;",
        instance(f"{layer}_memstream_wrapper", "parameters", pins, {"INIT_FILE": f'"./{layer}_{MEMORY}"'}),
    ]
