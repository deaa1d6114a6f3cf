"""Frames a second against LUTs and DSPs: the foldings of a network that are worth having on a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, StrMethodFormatter

from finn_flow.report.canvas import LEFT, Sheet, plain_style
from finn_flow.report.palette import ALARM

WIDTH, HEIGHT, TOP, BELOW = 11.0, 4.6, 0.85, 0.6  # inches
AIM_STYLES = {"cost": ("#0072b2", "o"), "LUT": ("#e69f00", "s"), "DSP": ("#009e73", "^")}  # colour, marker
AIM_NAMES = {"cost": "least cost", "LUT": "fewest LUTs", "DSP": "fewest DSPs"}

Place = tuple[float, Mapping[str, int], str]  # frames a second, use by resource, aim


def front_png(front: Sequence[Place], bounds: Mapping[str, int], board: str) -> bytes:
    """PNG with a panel a resource. bounds: what may be used of each resource."""
    with plain_style():
        sheet = Sheet(WIDTH, HEIGHT)
        sheet.header(f"Foldings that fit {board}")
        middle = WIDTH / 2
        for label, left in (("LUT", 0.95), ("DSP", middle + 0.8)):
            axes = sheet.axes(left=left, top=TOP, right=WIDTH - left - (middle - 1.25), bottom=BELOW)
            for aim, (color, marker) in AIM_STYLES.items():
                places = [(fps, usage[label]) for fps, usage, its in front if its == aim]
                axes.plot(*zip(*places, strict=True) if places else ([], []), marker, color=color, ms=5)
            axes.axhline(bounds[label], color=ALARM, lw=1, ls="--")
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.set_ylim(0, 1.1 * bounds[label] or 1)
            axes.set_xlabel("frames a second (logarithmic)")
            axes.set_ylabel(f"{label}s")
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.grid(True, color="#e3e5e8", lw=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        sheet.figure.legend(handles=_legend(), ncol=4, loc="upper left", bbox_to_anchor=(LEFT / WIDTH, 0.93))
        return sheet.png()


def _legend() -> list[Line2D]:
    marks = [
        Line2D([], [], color=color, marker=marker, ls="", ms=5, label=AIM_NAMES[aim])
        for aim, (color, marker) in AIM_STYLES.items()
    ]
    return [*marks, Line2D([], [], color=ALARM, lw=1, ls="--", label="may be used")]
