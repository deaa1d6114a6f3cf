"""The folder of a Vivado project: build.tcl, settings.tcl with what is the board's or network's, and rtl/.

It needs nothing outside of it, so that it can be moved to a machine that has Vivado and run there by hand.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from finn_flow.bitstream import Netlist
from finn_flow.boards import Board
from finn_flow.vivado.platforms import PLATFORMS, Platform

SCRIPT = "build.tcl"
SETTINGS = "settings.tcl"


def write_project(folder: Path, board: Board, netlist: Netlist) -> None:
    """Write the project into the new folder `folder`. board: one of PLATFORMS."""
    copy_rtl(netlist.sources, folder / "rtl")
    shutil.copy(Path(__file__).with_name(SCRIPT), folder)
    (folder / SETTINGS).write_text(settings(netlist, board, PLATFORMS[board.name]))


def copy_rtl(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Copy Verilog, and memory files beside it, into the new folder `folder`; the copies of the former.

    A memory file is named without a path there, as tools ask for that search it among a project's files.
    """
    folder.mkdir(parents=True)
    for place in {path.parent for path in sources}:
        for memory in place.glob("*.dat"):
            shutil.copy(memory, folder)
    copies = [folder / path.name for path in sources]
    for path, copy in zip(sources, copies, strict=True):
        copy.write_text(path.read_text().replace('"./', '"'))
    return copies


def settings(netlist: Netlist, board: Board, platform: Platform) -> str:
    """settings.tcl: variables that build.tcl reads."""
    processor = platform.processor
    config = "".join(f"    CONFIG.{key} {{{value}}}\n" for key, value in processor.config.items())
    values = {
        "part": board.part,
        "board_part": platform.board_part,
        "clock_mhz": f"{board.clock_mhz:g}",
        "in_bits": netlist.in_bits,
        "out_bits": netlist.out_bits,
        "ps_ip": processor.ip,
        "ps_config": f"{{\n{config}}}",
        "ps_clock": processor.clock,
        "ps_reset": processor.reset,
        "ps_interrupt": processor.interrupt,
        "ps_control_port": processor.control_port,
        "ps_control_clock": processor.control_clock,
        "ps_control_base": f"0x{processor.control_base:08X}",
        "ps_memory_port": processor.memory_port,
        "ps_memory_clock": processor.memory_clock,
        "ps_memory_segment": processor.memory_segment,
        "ps_external": f"{{{' '.join(processor.external)}}}",
    }
    lines = [f"set {key} {value}\n" for key, value in values.items()]
    return f"# Generated: {netlist.name} on {board.name}; build.tcl reads it.\n{''.join(lines)}"
