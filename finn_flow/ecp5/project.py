"""The folder of an ECP5 project: rtl/ with a top module of eight pins, and a script for Yosys.

An ECP5 has no processor, so that the accelerator's streams leave it bit by bit: pins rx and tx, each with
valid and ready. A word is a beat of the stream, lowest bit first, and TLAST.
"""

from __future__ import annotations

from pathlib import Path

from finn_flow.bitstream import Netlist
from finn_flow.netlist import TOP
from finn_flow.ops.verilog import Pins, instance
from finn_flow.vivado.project import copy_rtl

BOARD = "ecp5-85k"
PINS = "ecp5_top"
SCRIPT = "synth.ys"
NETLIST = "netlist.json"


def write_project(folder: Path, netlist: Netlist) -> None:
    """Write the project into the new folder `folder`."""
    copies = copy_rtl(netlist.sources, folder / "rtl")
    (folder / "rtl" / f"{PINS}.v").write_text(top_module(netlist.in_bits, netlist.out_bits))
    files = " ".join([*(path.name for path in copies), f"{PINS}.v"])
    (folder / SCRIPT).write_text(SYNTHESIS.format(top=PINS, files=files, netlist=NETLIST))


# Styles are advice about Xilinx' memories, which Yosys would take for orders. It seeks memory files in the
# current folder.
SYNTHESIS = """\
cd rtl
read_slang --ignore-assertions --allow-use-before-declare --top {top} {files}
setattr -unset rom_style a:rom_style
setattr -unset ram_style a:ram_style
synth_ecp5 -top {top}
stat
cd ..
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
            "    input ap_clk, input rst_n,",
            "    input rx, input rx_valid, output rx_ready,",
            "    output tx, output tx_valid, input tx_ready",
            ");",
            "  reg [1:0] reset_q;",
            "  wire ap_rst_n = reset_q[1];",
            "  always @(posedge ap_clk) reset_q <= {reset_q[0], rst_n};",
            f"  wire [{in_bits}:0] in_tdata;",
            f"  wire [{out_bits}:0] out_tdata;",
            f"  wire [{out_bits // 8 - 1}:0] out_tkeep;",
            "  wire in_tvalid, in_tready, out_tvalid, out_tready;",
            _converter("to_words", 1, in_bits + 1, ("rx", "rx_valid", "rx_ready"), _wires("in")),
            instance(TOP, TOP, accelerator),
            _converter("to_bits", out_bits + 1, 1, _wires("out"), ("tx", "tx_valid", "tx_ready")),
            "endmodule",
            "",
        ]
    )


def _wires(stream: str) -> tuple[str, str, str]:
    return f"{stream}_tdata", f"{stream}_tvalid", f"{stream}_tready"


def _converter(
    name: str, in_bits: int, out_bits: int, source: tuple[str, str, str], sink: tuple[str, str, str]
) -> str:
    ends = ("tdata", "tvalid", "tready")
    pins = {f"s_axis_{end}": wire for end, wire in zip(ends, source, strict=True)}
    pins |= {f"m_axis_{end}": wire for end, wire in zip(ends, sink, strict=True)}
    return instance("width_converter", name, pins, {"IN_BITS": in_bits, "OUT_BITS": out_bits})
