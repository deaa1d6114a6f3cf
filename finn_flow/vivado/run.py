"""Runs a Vivado project, if Vivado is there, and says what came of it.

Nothing of this has met a real Vivado here: it is written after UG835 and UG906 and tested with a stand-in.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from finn_flow.bitstream import BITFILE, HARDWARE, Bitstream, check_timing
from finn_flow.boards import Board
from finn_flow.long_run import OverdueError, Progress, first_line, last_line, run_tool
from finn_flow.vivado.project import SCRIPT
from finn_flow.vivado.reports import ReportError, parse_timing, parse_utilisation
from model.errors import UserError

OLDEST = (2022, 2)
VERSION = re.compile(r"vivado v(\d+)\.(\d+)", re.IGNORECASE)
VERSION_LIMIT_S = 120.0
LIMIT_S = 24 * 3600.0
STAGES = ("block design", "synthesis", "implementation", "reports")  # which build.tcl announces
MARK = "== "
LOG, UTILISATION, TIMING = "vivado.log", "utilization.rpt", "timing.rpt"
REPORTS = (LOG, UTILISATION, TIMING)
FIELD = "vivado"
WANTED = f"Vivado {OLDEST[0]}.{OLDEST[1]} or later"
MISSING = f"no vivado on the PATH ({WANTED})"
BY_HAND = f"to make it by hand, in bitstream/vivado: vivado -mode batch -source {SCRIPT}"


def vivado_version(vivado: Path) -> tuple[int, int]:
    """Year and release. Raises UserError if the program does not say it."""
    try:
        result = subprocess.run(
            [vivado, "-version"], capture_output=True, text=True, timeout=VERSION_LIMIT_S, check=False
        )
        printed = result.stdout + result.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        printed = str(error)
    if (match := VERSION.search(printed)) is None:
        first = printed.strip().partition("\n")[0] or "nothing"
        rule = f"`-version` says no version but: {first}; mend it or take it off PATH"
        raise UserError(FIELD, str(vivado), rule)
    return int(match[1]), int(match[2])


def why_not(vivado: Path) -> str | None:
    """Why this Vivado cannot be used, None if it can."""
    year, release = vivado_version(vivado)
    return f"the vivado on the PATH is {year}.{release} ({WANTED})" if (year, release) < OLDEST else None


def run_project(
    folder: Path, vivado: Path, board: Board, progress: Progress, limit_s: float = LIMIT_S
) -> Bitstream:
    """Run the project in `folder`, which then holds the bitstream, its .hwh, two reports and the log.

    Raises UserError, with the path of the log, if Vivado fails, takes longer than `limit_s` or misses timing.
    """
    if failure := _run(folder, vivado, progress, limit_s):
        raise _error(vivado, folder, failure)
    try:
        utilisation = parse_utilisation((folder / UTILISATION).read_text())
        timing = parse_timing((folder / TIMING).read_text())
    except ReportError as error:
        raise _error(vivado, folder, f"wrote what cannot be read: {error}") from None
    if timing.hold_ns < 0:
        what = f"left paths that are too short or pulses too narrow: {timing.hold_ns:.3f} ns"
        raise _error(vivado, folder, what)
    year, release = vivado_version(vivado)
    return Bitstream(
        status="built",
        clock_mhz=board.clock_mhz,
        tool=f"Vivado {year}.{release}",
        utilisation=utilisation,
        timing=check_timing(board.clk_period_ns, timing.wns_ns, str(folder)),
    )


def _run(folder: Path, vivado: Path, progress: Progress, limit_s: float) -> str | None:
    """Run it to its end; what went wrong, None if nothing."""
    log = folder / LOG
    command = [str(vivado), "-mode", "batch", "-nojournal", "-nolog", "-source", SCRIPT]
    try:
        with progress("Vivado", len(STAGES)) as advance:
            code = run_tool(command, folder, log, limit_s, lambda line: advance(line.startswith(MARK)))
    except OverdueError:
        return f"has not ended after {limit_s / 3600:.3g} hours and was stopped"
    if code != 0:
        return f"failed with exit code {code}: {first_line(log, 'ERROR: ') or last_line(log)}"
    files = (BITFILE, HARDWARE, UTILISATION, TIMING)
    missing = [name for name in files if not (folder / name).is_file()]
    return f"ended well but did not write {', '.join(missing)}" if missing else None


def _error(vivado: Path, folder: Path, what: str) -> UserError:
    return UserError(FIELD, str(vivado), f"{what}; log: {folder / LOG}")
