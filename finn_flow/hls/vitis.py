"""Vitis HLS: one script for all layers, its run, and what it leaves of each layer.

MVAU_3/project_MVAU_3/sol1/impl/verilog/    MVAU_3.v, with ports in0_V_TDATA, ..., and what it consists of
MVAU_3/project_MVAU_3/sol1/syn/report/MVAU_3_csynth.xml    cycles from frame to frame, resources
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from finn_flow.boards import Board
from finn_flow.resource_counts import Resources
from verification.cppsim.headers import VARIABLE, finn_hlslib
from verification.errors import VerificationError

SCRIPT = Path(__file__).with_name("synthesise.tcl")
LAYERS = "layers.tcl"
LOG = "vitis_hls.log"
OPTIONS = {"vitis_hls": [], "vitis-run": ["--mode", "hls", "--tcl"]}  # of the program, before the script
KEYS = {"lut": "LUT", "ff": "FF", "bram18": "BRAM_18K", "uram": "URAM", "dsp": "DSP"}  # ours -> the report's


@dataclass(frozen=True)
class Synthesis:
    """What the report says. interval: cycles between two calls, None where that depends on the data."""

    interval: int | None
    resources: Resources


def write_script(layers: Sequence[str], board: Board, folder: Path) -> None:
    """Write synthesise.tcl and layers.tcl, which it reads, beside the folders of the layers."""
    shutil.copy(SCRIPT, folder)
    text = f"set layers {{{' '.join(layers)}}}\nset part {board.part}\nset period {board.clk_period_ns}\n"
    (folder / LAYERS).write_text(text)


def synthesise(program: Path, layers: Sequence[str], folder: Path) -> None:
    """Run the script, which ends at the first error. program: one of those in OPTIONS.

    Raises VerificationError with the layer that failed, the first error of the log, and where that is.
    """
    environment = {**os.environ, VARIABLE: str(finn_hlslib())}
    command = [str(program), *OPTIONS[program.name], SCRIPT.name]
    with (folder / LOG).open("w") as log:
        code = subprocess.run(
            command, cwd=folder, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    missing = next(
        (layer for layer in layers if not (verilog_folder(layer, folder) / f"{layer}.v").is_file()), None
    )
    if not code and missing is None:
        return
    lines = re.findall(r"^ERROR: (.*)", (folder / LOG).read_text(errors="replace"), re.MULTILINE)
    reason = f"failed: {lines[0]}" if lines else f"ended with {code} and made no Verilog of it"
    kept = shutil.copy(folder / LOG, folder.parent / LOG)  # the step's folder goes when it fails
    raise VerificationError(f"{missing or layers[-1]}: {program.name} {reason}; log: {kept}")


def verilog_folder(layer: str, folder: Path) -> Path:
    """Where Vitis HLS exports a layer's Verilog, below the folder of the step `hls`."""
    return folder / layer / f"project_{layer}" / "sol1" / "impl" / "verilog"


def read_report(layer: str, folder: Path) -> Synthesis:
    """The report of a layer's synthesis. Raises VerificationError if it is not there or says no resources."""
    path = folder / layer / f"project_{layer}" / "sol1" / "syn" / "report" / f"{layer}_csynth.xml"
    try:
        report = ElementTree.parse(path)
        counts = {
            ours: int(report.findtext(f"AreaEstimates/Resources/{key}", "")) for ours, key in KEYS.items()
        }
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise VerificationError(f"{layer}: no report of its synthesis in {path}: {error}") from None
    interval = report.findtext("PerformanceEstimates/SummaryOfOverallLatency/Interval-max", "")
    return Synthesis(int(interval) if interval.isdigit() else None, Resources(**counts))
