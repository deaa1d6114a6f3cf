"""Colours of the ops, the same in every picture, and what the pictures' text looks like."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

# Okabe and Ito's colours, which colour-blind people can tell apart, a lighter one and a grey.
OP_COLORS = {
    "MVAU": "#0072b2",
    "VVAU": "#56b4e9",
    "Thresholding": "#e69f00",
    "Requant": "#f0e442",
    "ConvolutionInputGenerator": "#009e73",
    "WindowGenerator": "#009e73",
    "FMPadding": "#94d8bd",
    "DuplicateStreams": "#cc79a7",
    "ElementwiseAdd": "#d55e00",
    "StreamingDataWidthConverter": "#b8b8b8",
    "StreamingFIFO": "#7a6a9b",
}
OTHER = "#e4e4e4"  # any other op
INK = "#1a1a1a"
MUTED = "#595959"
BAND = "#f3f4f6"
ALARM = "#b3001b"  # the bottleneck and limits


def op_color(op: str) -> str:
    return OP_COLORS.get(op, OTHER)


def ink_on(color: str) -> str:
    """White or nearly black, whichever stands out more on `color`.

    >>> ink_on("#0072b2"), ink_on("#f0e442")
    ('white', '#1a1a1a')
    """
    red, green, blue = (part**2.2 for part in to_rgb(color))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "white" if luminance < 0.2 else INK  # at 0.2 both have a contrast of 4.2 : 1


def op_kinds(ops: Iterable[str]) -> list[str]:
    """The different ops, in the order of the palette; those that it does not name come last.

    >>> op_kinds(["Requant", "Pool", "MVAU", "Requant"])
    ['MVAU', 'Requant', 'Pool']
    """
    order = {op: place for place, op in enumerate(OP_COLORS)}
    return sorted(set(ops), key=lambda op: (order.get(op, len(order)), op))


def legend_patches(ops: Iterable[str]) -> list[Patch]:
    """A legend entry for each kind of op."""
    return [Patch(facecolor=op_color(op), edgecolor=MUTED, linewidth=0.4, label=op) for op in op_kinds(ops)]
