"""The folder of an ECP5 project: all Verilog and memory files, a top of eight pins, and a script for Yosys.

An ECP5 has no processor, so that the accelerator's streams enter and leave it bit by bit: s_axis and m_axis,
each with TDATA of one bit. A word of them is a beat of the accelerator's stream, lowest bit first, and TLAST.
"""

from __future__ import annotations

from pathlib import Path

from finn_flow.bitstream import Netlist
from finn_flow.netlist import TOP
from finn_flow.ops.verilog import ENDS, Pins, instance
from finn_flow.vivado.project import copy_rtl

BOARD = "ecp5-85k"
PINS = "ecp5_top"
SCRIPT = "synth.ys"
NETLIST = "netlist.json"
RESET = {"ap_rst_n": "reset_q[1]"}  # of a pin, so that it has to be brought to the clock first


def write_project(folder: Path, netlist: Netlist) -> None:
    """Write the project into the new folder `folder`."""
    copies = copy_rtl(netlist.sources, folder)
    (folder / f"{PINS}.v").write_text(top_module(netlist.in_bits, netlist.out_bits))
    files = " ".join([*(path.name for path in copies), f"{PINS}.v"])
    (folder / SCRIPT).write_text(SYNTHESIS.format(top=PINS, files=files, netlist=NETLIST))


# Styles are advice about Xilinx' memories, which Yosys would take for orders.
SYNTHESIS = """\
read_slang --ignore-assertions --allow-use-before-declare --top {top} {files}
setattr -unset rom_style a:rom_style
setattr -unset ram_style a:ram_style
synth_ecp5 -top {top}
stat
write_json {netlist}
"""


def top_module(in_bits: int, out_bits: int) -> str:
    """ecp5_top.v for an accelerator with streams of so many bits."""
    accelerator: Pins = {
        "s_axis_0_tdata": f"in_tdata[{in_bits - 1}:0]",
        "s_axis_0_tkeep": f"{{{in_bits // 8}{{1'b1}}}}",
        "s_axis_0_tlast": f"in_tdata[{in_bits}]",
        "s_axis_0_tvalid": "in_tvalid",
        "s_axis_0_tready": "in_tready",
        "m_axis_0_tdata": f"out_tdata[{out_bits - 1}:0]",
        "m_axis_0_tkeep": "out_tkeep",
        "m_axis_0_tlast": f"out_tdata[{out_bits}]",
        "m_axis_0_tvalid": "out_tvalid",
        "m_axis_0_tready": "out_tready",
    }
    return "\n".join(
        [
            "// Generated: the accelerator behind eight pins; a word is a beat, lowest bit first, and TLAST.",
            f"module {PINS} (",
            "    input ap_clk, input ap_rst_n,",
            "    input s_axis_tdata, input s_axis_tvalid, output s_axis_tready,",
            "    output m_axis_tdata, output m_axis_tvalid, input m_axis_tready",
            ");",
            "  reg [1:0] reset_q;",
            "  always @(posedge ap_clk) reset_q <= {reset_q[0], ap_rst_n};",
            f"  wire [{in_bits}:0] in_tdata;",
            f"  wire [{out_bits}:0] out_tdata;",
            f"  wire [{out_bits // 8 - 1}:0] out_tkeep;",
            "  wire in_tvalid, in_tready, out_tvalid, out_tready, bit_tready;",
            f"  assign s_axis_tready = bit_tready && {RESET['ap_rst_n']};  // the pin's ends first",
            _converter("to_words", 1, in_bits + 1, (*_wires("s_axis")[:2], "bit_tready"), _wires("in")),
            instance(TOP, TOP, {**RESET, **accelerator}),
            _converter("to_bits", out_bits + 1, 1, _wires("out"), _wires("m_axis")),
            "endmodule",
            "",
        ]
    )


def _wires(stream: str) -> tuple[str, str, str]:
    return f"{stream}_tdata", f"{stream}_tvalid", f"{stream}_tready"


def _converter(
    name: str, in_bits: int, out_bits: int, source: tuple[str, str, str], sink: tuple[str, str, str]
) -> str:
    pins = RESET | {f"s_axis_{end}": wire for end, wire in zip(ENDS, source, strict=True)}
    pins |= {f"m_axis_{end}": wire for end, wire in zip(ENDS, sink, strict=True)}
    return instance("width_converter", name, pins, {"IN_BITS": in_bits, "OUT_BITS": out_bits})
