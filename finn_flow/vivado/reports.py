"""What Vivado's utilisation and timing reports say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from finn_flow.resources import RESOURCE_LABELS

# Rows of report_utilization by our names: (7-series, UltraScale+), and how many of ours one is.
ROWS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "LUT": (("Slice LUTs", "CLB LUTs"), 1),
    "FF": (("Slice Registers", "CLB Registers"), 1),
    "BRAM18": (("Block RAM Tile",), 2),
    "URAM": (("URAM",), 1),
    "DSP": (("DSPs",), 1),
}
assert set(ROWS) == set(RESOURCE_LABELS.values())
COLUMN = re.compile(r"\s{2,}")


class ReportError(ValueError):
    """A report lacks what it is read for."""


@dataclass(frozen=True)
class Timing:
    """Worst slack in ns of setup, which a longer period mends, and of hold and pulses, which it does not."""

    wns_ns: float
    hold_ns: float


def parse_utilisation(text: str) -> dict[str, dict[str, float]]:
    """{resource: {"used": n, "offered": n}} of report_utilization's text; URAM only where the part has it.

    Half a block RAM tile is one of 18 Kbit. Raises ReportError if a resource is missing.
    """
    rows = _table_rows(text)
    found: dict[str, dict[str, float]] = {}
    for label, (names, factor) in ROWS.items():
        row = next((rows[name] for name in names if name in rows), None)
        if row is not None:
            used, offered = float(row["Used"]), float(row["Available"])
            found[label] = {"used": factor * used, "offered": factor * offered}
        elif label != "URAM":
            raise ReportError(f"no row {' or '.join(names)} in the utilisation report")
    return found


def _table_rows(text: str) -> dict[str, dict[str, str]]:
    """First row of each name in the tables of a report, by column. A name may have a footnote's asterisk."""
    rows: dict[str, dict[str, str]] = {}
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0] == "Site Type":
            head = cells
        elif head and len(cells) == len(head):
            rows.setdefault(cells[0].rstrip("*"), dict(zip(head, cells, strict=True)))
    return rows


def parse_timing(text: str) -> Timing:
    """The Design Timing Summary in the text of report_timing_summary. Raises ReportError if there is none."""
    lines = iter(text.splitlines())
    head = next((COLUMN.split(line.strip()) for line in lines if line.strip().startswith("WNS(ns)")), None)
    next(lines, None)  # dashes
    numbers = next(lines, "").split()
    if head is None or len(numbers) != len(head):
        raise ReportError("no Design Timing Summary in the timing report")
    row = dict(zip(head, numbers, strict=True))
    if row["WNS(ns)"] == "NA":
        raise ReportError("no path has a constraint in the timing report")
    hold = (row[column] for column in ("WHS(ns)", "WPWS(ns)"))
    return Timing(float(row["WNS(ns)"]), min(float(slack) for slack in hold if slack != "NA"))
