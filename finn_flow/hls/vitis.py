"""Vitis HLS: one script for all layers, and its run where the tool is on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from finn_flow.boards import Board
from finn_flow.step import StepSkipped
from verification.cppsim.headers import VARIABLE, finn_hlslib
from verification.errors import VerificationError

SCRIPT = Path(__file__).with_name("synthesise.tcl")
LAYERS = "layers.tcl"
LOG = "vitis_hls.log"
TOOLS = {"vitis_hls": ["vitis_hls"], "vitis-run": ["vitis-run", "--mode", "hls", "--tcl"]}


def find_tool() -> list[str] | None:
    """How to run a Tcl script in Vitis HLS, None without it."""
    return next((command for tool, command in TOOLS.items() if shutil.which(tool)), None)


def write_script(layers: Sequence[str], board: Board, folder: Path) -> None:
    """Write synthesise.tcl and layers.tcl, which it reads, beside the folders of the layers."""
    shutil.copy(SCRIPT, folder)
    text = f"set layers {{{' '.join(layers)}}}\nset part {board.part}\nset period {board.clk_period_ns}\n"
    (folder / LAYERS).write_text(text)


def synthesise(layers: Sequence[str], folder: Path) -> None:
    """Run the script. Raises VerificationError naming the first layer that has no Verilog, and the log."""
    command = find_tool()
    assert command is not None
    environment = {**os.environ, VARIABLE: str(finn_hlslib())}
    with (folder / LOG).open("w") as log:
        subprocess.run(
            [*command, SCRIPT.name], cwd=folder, env=environment, stdout=log, stderr=log, check=False
        )
    for layer in layers:
        if not verilog(layer, folder):
            kept = shutil.copy(folder / LOG, folder.parent / LOG)  # the step's folder goes when it fails
            raise VerificationError(f"{layer}: {command[0]} made no Verilog of it; log: {kept}")


def verilog(layer: str, folder: Path) -> list[Path]:
    """What Vitis HLS has made of a layer."""
    return sorted((folder / layer / f"project_{layer}" / "sol1" / "impl" / "verilog").glob("*.v"))


def need_no_synthesis(layers: Sequence[str]) -> None:
    """Raises StepSkipped where layers are HLS: what comes after their synthesis is not there."""
    if not layers:
        return
    if find_tool() is None:
        raise StepSkipped(f"as Vitis HLS is not on the PATH, which makes RTL of {', '.join(layers)}")
    raise StepSkipped(f"as the netlist has no place yet for Vitis HLS's Verilog of {', '.join(layers)}")
