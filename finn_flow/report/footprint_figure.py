"""How much the weights of each block take."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from finn_flow.report.canvas import Sheet
from finn_flow.report.data import Footprint, ReportData
from finn_flow.report.palette import BAND, OP_COLORS

ROW = 0.36  # inches a block
FLOAT_BITS = 32


def footprint_png(data: ReportData) -> bytes:
    """PNG of two bars a block: its weights in kbit, and their width as a share of 32 bits."""
    rows = len(data.footprint)
    sheet = Sheet(11.0, 1.15 + ROW * rows)
    size, share = sheet.axes(0.9, 0.6, 4.3, 0.45), sheet.axes(7.1, 0.6, 0.4, 0.45)
    _draw_sizes(size, data.footprint)
    _draw_shares(share, data.footprint)
    for axes in (size, share):
        axes.set_ylim(rows - 0.4, -0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    return sheet.png()


def _draw_sizes(axes: Axes, blocks: tuple[Footprint, ...]) -> None:
    kbits = [block.bits / 1000 for block in blocks]
    axes.barh(range(len(blocks)), kbits, 0.66, color=OP_COLORS["MVAU"])
    for row, block in enumerate(blocks):
        amount = f"  {block.weights:,} × {block.weight_bits} bit = {kbits[row]:,.1f}"
        axes.text(kbits[row], row, amount, va="center")
    axes.set_xlim(0, 1.5 * max(kbits))
    axes.set_yticks(range(len(blocks)), [block.block for block in blocks])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_title("Weight footprint per block, kbit")


def _draw_shares(axes: Axes, blocks: tuple[Footprint, ...]) -> None:
    axes.barh(range(len(blocks)), 1.0, 0.66, color=BAND)
    shares = [block.weight_bits / FLOAT_BITS for block in blocks]
    axes.barh(range(len(blocks)), shares, 0.66, color=OP_COLORS["ConvolutionInputGenerator"])
    for row, share in enumerate(shares):
        axes.text(share, row, f"  {100 * share:.2f} %", va="center")
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("Share of 32-bit weights")
