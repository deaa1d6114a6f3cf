"""A figure measured in inches, and its PNG. No pyplot: nothing global is left behind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from finn_flow.report.palette import BAND, INK, MUTED, legend_patches, op_kinds

DPI = 110
LEFT = 0.4  # inches from the edge to title and legend
LEGEND_COLUMN, LEGEND_ROW, TITLE_HEIGHT = 1.8, 0.19, 0.42
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the pictures are the same everywhere
    "font.size": 8,
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a $
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


@contextmanager
def plain_style() -> Iterator[None]:
    """The pictures' style whatever the user's matplotlibrc says. Letters that the font lacks become boxes."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def header_height(width: float, ops: Sequence[str]) -> float:
    """Inches that title and legend take at the top of a sheet of this width."""
    return TITLE_HEIGHT + LEGEND_ROW * -(-len(op_kinds(ops)) // _legend_columns(width))


def _legend_columns(width: float) -> int:
    return max(1, int((width - LEFT) / LEGEND_COLUMN))


class Sheet:
    """A white figure of width x height inches."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes with these margins to the edges, in inches."""
        width, height = self.width - left - right, self.height - top - bottom
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def drawing(self) -> Axes:
        """Axes without axes over the whole sheet; coordinates are inches from the top left corner."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        return axes

    def header(self, title: str, ops: Sequence[str] = ()) -> None:
        """Write the title and below it what the colours of the ops are."""
        left = LEFT / self.width
        self.figure.text(left, 1 - 0.22 / self.height, title, size=11, weight="bold", va="center")
        if ops:
            self.figure.legend(
                handles=legend_patches(ops),
                ncol=_legend_columns(self.width),
                loc="upper left",
                bbox_to_anchor=(left, 1 - TITLE_HEIGHT / self.height),
                borderpad=0,
                borderaxespad=0,
            )

    def png(self) -> bytes:
        file = io.BytesIO()
        self._canvas.print_png(file, metadata={"Software": None})
        return file.getvalue()


def mark_blocks(axes: Axes, titles: Sequence[str]) -> None:
    """Bars at 0, 1, ... that have the same title follow each other: every other such block on a grey band,
    its title above."""
    groups = groupby(enumerate(titles), key=lambda item: item[1])
    for number, (title, members) in enumerate(groups):
        places = [place for place, _ in members]
        if number % 2 == 0:
            axes.axvspan(places[0] - 0.5, places[-1] + 0.5, color=BAND, zorder=0, lw=0)
        axes.annotate(
            title,
            ((places[0] + places[-1]) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            size=7.5,
        )
