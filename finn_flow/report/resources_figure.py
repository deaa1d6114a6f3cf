"""What the kinds of op use of the board."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from finn_flow.backends import FIFO
from finn_flow.report.canvas import Sheet, header_height
from finn_flow.report.data import ReportData, ResourceUse
from finn_flow.report.palette import ALARM, INK, op_color, op_kinds

WIDTH, ROW = 11.0, 0.6  # inches in all, and of a resource


def resources_png(data: ReportData) -> bytes:
    """PNG of a bar a resource, stacked by kind of op, in shares of what the board has."""
    uses = [use for use in data.uses if use.offered]
    kinds = op_kinds([*(layer.op for layer in data.layers), *([FIFO] if data.fifos.lut else [])])
    above = header_height(WIDTH, kinds) + 0.2
    sheet = Sheet(WIDTH, above + 0.6 + ROW * len(uses))
    sheet.header(f"Resources by kind of layer, as shares of {data.board.name}", kinds)
    axes = sheet.axes(left=0.9, top=above, right=0.3, bottom=0.4)
    for row, use in enumerate(uses):
        left = 0.0
        for kind in kinds:
            used = sum(getattr(y.resources, use.name) for y in data.layers if y.op == kind)
            used += getattr(data.fifos, use.name) if kind == FIFO else 0
            share = used / use.offered
            axes.barh(row, share, 0.62, left=left, color=op_color(kind), edgecolor="white", lw=0.4)
            left += share
        text = axes.annotate(
            _amount(use), (left, row), (6, 0), textcoords="offset points", va="center", size=9
        )
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    _draw_limits(axes, data, len(uses))
    axes.set_xlim(0, max(1.22, 1.28 * max(use.used / use.offered for use in uses)))
    axes.set_yticks(range(len(uses)), [use.label for use in uses], size=9)
    axes.set_ylim(len(uses) - 0.5, -0.75)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return sheet.png()


def _amount(use: ResourceUse) -> str:
    return f"{use.used:,} of {use.offered:,} ({100 * use.used / use.offered:.1f} %)"


def _draw_limits(axes: Axes, data: ReportData, rows: int) -> None:
    axes.axvline(1.0, color=ALARM, lw=1.6)
    axes.text(1.0, -0.62, " board", color=ALARM, size=8.5, va="center")
    if data.headroom < 1.0:
        axes.axvline(data.headroom, color=INK, lw=1.2, ls=(0, (4, 3)))
        allowed = f"may be used: {100 * data.headroom:g} % "
        axes.text(data.headroom, -0.62, allowed, size=8.5, va="center", ha="right")
