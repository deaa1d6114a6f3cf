"""Bits of every FIFO in the order of the graph, and how many of them the simulation filled."""

from __future__ import annotations

from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter

from finn_flow.report.canvas import Sheet, header_height, mark_blocks
from finn_flow.report.data import ReportData
from finn_flow.report.graph_layout import group_titles
from finn_flow.report.palette import INK, op_color

BAR = 0.06  # inches a FIFO
PLOT_HEIGHT, BLOCK_NAMES, BELOW = 3.3, 0.85, 0.55  # inches
HEADROOM = 2.0  # of the vertical axis, which is logarithmic, above the largest FIFO


def fifo_png(data: ReportData) -> bytes:
    """PNG of a bar a FIFO, coloured by the layer before it; a line across a bar is the peak."""
    fifos = data.simulation.fifos
    layers = {layer.name: layer for layer in data.layers}
    ops = [layers[fifo.producer].op for fifo in fifos]
    width = min(17.5, max(8.5, 1.3 + BAR * len(fifos)))
    above = header_height(width, ops) + BLOCK_NAMES
    sheet = Sheet(width, above + PLOT_HEIGHT + BELOW)
    sheet.header("FIFOs by position in the graph", ops)
    axes = sheet.axes(left=0.95, top=above, right=0.25, bottom=BELOW)
    places = range(len(fifos))
    axes.bar(places, [fifo.bits for fifo in fifos], 0.86, color=[op_color(op) for op in ops])
    axes.hlines(
        [max(1, fifo.peak_bits) for fifo in fifos],
        [place - 0.43 for place in places],
        [place + 0.43 for place in places],
        colors=INK,
        lw=1.6,
    )
    titles = group_titles(data.layers, data.edges)
    mark_blocks(axes, [titles[fifo.producer] for fifo in fifos])
    axes.set_yscale("log", base=2)
    axes.set_xlim(-0.8, len(fifos) - 0.2)
    axes.set_ylim(1, HEADROOM * max((fifo.bits for fifo in fifos), default=1))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylabel("bits (logarithmic)")
    axes.set_xticks([])
    axes.set_xlabel("FIFOs in the order of the graph; the same order as in fifo_sizing.json")
    axes.legend(
        handles=[Line2D([], [], color=INK, lw=1.6, label="most bits held at full rate")],
        loc="upper right",
        bbox_to_anchor=(1, -0.01),
    )
    axes.spines[["top", "right"]].set_visible(False)
    return sheet.png()
