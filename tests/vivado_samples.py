"""Reports as Vivado writes them, cut to what matters: UG906 shows the form. The numbers are ours."""

from __future__ import annotations

from pathlib import Path

SEVEN_SERIES = """\
| Design       : top_wrapper
| Device       : xc7z020clg400-1
| Design State : Fully Placed

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 | 41210 |     0 |          0 |     53200 | 77.46 |
|   LUT as Logic             | 36001 |     0 |          0 |     53200 | 67.67 |
|   LUT as Memory            |  5209 |     0 |          0 |     17400 | 29.94 |
| Slice Registers            | 50333 |     0 |          0 |    106400 | 47.31 |
+----------------------------+-------+-------+------------+-----------+-------+

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 60.5 |     0 |          0 |       140 | 43.21 |
|   RAMB36/FIFO*    |   58 |     0 |          0 |       140 | 41.43 |
|   RAMB18          |    5 |     0 |          0 |       280 |  1.79 |
+-------------------+------+-------+------------+-----------+-------+
* Note: Each Block RAM Tile only has one FIFO logic available and therefore can accommodate only one FIFO36E1

4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |  198 |     0 |          0 |       220 | 90.00 |
|   DSP48E1 only |  198 |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+
"""

ULTRASCALE = """\
1. CLB Logic
------------

+----------------------------+--------+-------+-----------+-------+
|          Site Type         |  Used  | Fixed | Available | Util% |
+----------------------------+--------+-------+-----------+-------+
| CLB LUTs*                  |  90001 |     0 |    230400 | 39.06 |
| CLB Registers              | 120002 |     0 |    460800 | 26.04 |
+----------------------------+--------+-------+-----------+-------+

3. BLOCKRAM
-----------

+-------------------+------+-------+-----------+-------+
|     Site Type     | Used | Fixed | Available | Util% |
+-------------------+------+-------+-----------+-------+
| Block RAM Tile    |  101 |     0 |       312 | 32.37 |
| URAM              |    4 |     0 |        96 |  4.17 |
+-------------------+------+-------+-----------+-------+

4. ARITHMETIC
-------------

+----------------+------+-------+-----------+-------+
|    Site Type   | Used | Fixed | Available | Util% |
+----------------+------+-------+-----------+-------+
| DSPs           |  573 |     0 |      1728 | 33.16 |
+----------------+------+-------+-----------+-------+
"""

_COLUMNS = (
    *("WNS(ns)", "TNS(ns)", "TNS Failing Endpoints", "TNS Total Endpoints"),
    *("WHS(ns)", "THS(ns)", "THS Failing Endpoints", "THS Total Endpoints"),
    *("WPWS(ns)", "TPWS(ns)", "TPWS Failing Endpoints", "TPWS Total Endpoints"),
)


def timing(wns: str = "0.312", whs: str = "0.014", wpws: str = "2.225") -> str:
    """A timing summary with these worst slacks of setup, hold and pulse width."""
    numbers = (wns, "0.000", "0", "973", whs, "0.000", "0", "973", wpws, "0.000", "0", "570")
    rows = (_COLUMNS, ["-" * len(column) for column in _COLUMNS], numbers)
    table = "".join(
        "    "
        + "  ".join(f"{cell:>{len(column)}}" for cell, column in zip(row, _COLUMNS, strict=True))
        + "  \n"
        for row in rows
    )
    rule = "-" * 96
    return (
        f"Timing Summary Report\n\n{rule}\n| Design Timing Summary\n{rule}\n\n{table}\n\n"
        f"{rule}\n| Intra Clock Table\n{rule}\n\nClock             WNS(ns)      TNS(ns)\n"
        "-----             -------      -------\nclk_fpga_0         -9.000       -9.000\n"
    )


STAGES = "\n".join(
    f'echo "== {stage}"' for stage in ("block design", "synthesis", "implementation", "reports")
)
SUCCESS = f"{STAGES}\necho bits > finn-accel.bit\necho hwh > finn-accel.hwh\n"


def fake_vivado(folder: Path, body: str, version: str = "vivado v2023.1 (64-bit)") -> Path:
    """A program `vivado` that says its version and, when run on a project, does what the script says."""
    program = folder / "vivado"
    program.write_text(f'#!/bin/sh\nif [ "$1" = -version ]; then echo "{version}"; exit 0; fi\n{body}\n')
    program.chmod(0o755)
    return program


def success(utilisation: str = ULTRASCALE, timing_summary: str | None = None) -> str:
    """What a run that ends well does, with these reports."""
    reports = {"utilization.rpt": utilisation, "timing.rpt": timing_summary or timing()}
    files = "".join(f"cat > {name} <<'END'\n{text}\nEND\n" for name, text in reports.items())
    return SUCCESS + files
