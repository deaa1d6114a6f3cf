"""Cycles of every layer, in order, and which of them sets the pace."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from finn_flow.report.canvas import Sheet, header_height, mark_blocks
from finn_flow.report.data import ReportData
from finn_flow.report.graph_layout import group_titles
from finn_flow.report.palette import ALARM, op_color

BAR = 0.079  # inches a layer
PLOT_HEIGHT, BLOCK_NAMES = 3.3, 0.85  # inches
HEADROOM = 1.22  # of the vertical axis above the II
LETTER = 0.63  # width of a letter as a share of its size


def cycles_png(data: ReportData) -> bytes:
    """PNG of a bar a layer, coloured by kind of op; the initiation interval (II) is a line."""
    layers = data.layers
    width = min(17.5, max(8.5, 1.3 + BAR * len(layers)))
    size = min(7.0, 72 * (width - 1.2) / len(layers) * 0.92)
    below = 0.2 + LETTER * size / 72 * max(len(layer.name) for layer in layers)
    ops = [layer.op for layer in layers]
    above = header_height(width, ops) + BLOCK_NAMES
    sheet = Sheet(width, above + PLOT_HEIGHT + below)
    sheet.header("Cycles per layer", ops)
    axes = sheet.axes(left=0.95, top=above, right=0.25, bottom=below)
    axes.bar(range(len(layers)), [y.cycles for y in layers], 0.86, color=[op_color(op) for op in ops])
    titles = group_titles(layers, data.edges)
    mark_blocks(axes, [titles[layer.name] for layer in layers])
    _mark_bottleneck(axes, data)
    axes.set_xlim(-0.8, len(layers) - 0.2)
    axes.set_ylim(0, HEADROOM * data.performance.max_cycles)
    axes.set_xticks(range(len(layers)), [layer.name for layer in layers], rotation=90, size=size)
    axes.tick_params(axis="x", length=0, pad=2)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel("cycles a frame")
    axes.spines[["top", "right"]].set_visible(False)
    return sheet.png()


def _mark_bottleneck(axes: Axes, data: ReportData) -> None:
    interval, slowest = data.performance.max_cycles, data.bottleneck
    axes.axhline(interval, color=ALARM, lw=1.2, ls=(0, (5, 3)))
    place = data.layers.index(slowest)
    on_left = place < len(data.layers) / 2
    axes.annotate(
        f"bottleneck: {slowest.name} ({slowest.block}), II = {interval:,} cycles",
        (place, interval),
        xytext=(14 if on_left else -14, 20),
        textcoords="offset points",
        ha="left" if on_left else "right",
        va="center",
        size=9.5,
        weight="bold",
        color=ALARM,
        arrowprops={"arrowstyle": "-|>", "color": ALARM, "lw": 1.4},
    )
