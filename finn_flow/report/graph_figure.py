"""The dataflow graph as a picture: a box a layer, a row a block, residual by-passes above their row."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from finn_flow.report.canvas import Sheet, header_height
from finn_flow.report.data import Edge, Layer, ReportData
from finn_flow.report.graph_layout import GraphLayout, Place, lay_out
from finn_flow.report.palette import ALARM, BAND, INK, MUTED, ink_on, op_color

# All in inches.
BOX_W, BOX_H = 1.24, 0.7
STEP_X = 1.5  # from box to box
LANE, BARE_LANE = 1.0, 0.4  # height of a lane with boxes, and of one where only a by-pass runs
TITLE, GUTTER = 0.24, 0.3  # above and below the boxes of a row
MARGIN = 0.55
NAME_LINE, LINE = 0.12, 0.113  # of the text in a box
CORNER, HEAD = 0.09, 0.08  # radius of corners, length of arrow heads
BYPASS = "#8a3b00"
NAME_CHARS = 18  # that fit on a line of a box


def graph_png(data: ReportData) -> bytes:
    """PNG of the graph; text can be read at full size."""
    layout, ops = lay_out(data.layers, data.edges), [layer.op for layer in data.layers]
    width = max(7.0, 2 * MARGIN + (layout.columns - 1) * STEP_X + BOX_W)
    plan = _Plan(layout, header_height(width, ops) + 0.1)
    sheet = Sheet(width, plan.height)
    sheet.header(f"Dataflow graph of {data.name}", ops)
    axes = sheet.drawing()
    _draw_groups(axes, plan)
    _draw_edges(axes, plan, data.edges)
    _draw_ends(axes, plan, data)
    for layer in data.layers:
        _draw_box(axes, plan.corner(layer.name), layer, layer is data.bottleneck, _output(data.edges, layer))
    return sheet.png()


class _Plan:
    """Inches of what the layout counts in rows, columns and lanes; `top` is where it begins."""

    def __init__(self, layout: GraphLayout, top: float) -> None:
        self.layout = layout
        self._with_boxes = {(place.row, place.lane) for place in layout.places.values()}
        heights = [TITLE + self._above(row, 0) + BOX_H + GUTTER for row in range(len(layout.lanes))]
        *self.tops, bottom = accumulate(heights, initial=top)
        self.height = bottom + 0.1

    def place(self, name: str) -> Place:
        return self.layout.places[name]

    def corner(self, name: str) -> tuple[float, float]:
        """Top left corner of a layer's box."""
        place = self.place(name)
        return MARGIN + place.column * STEP_X, self.lane_top(place.row, place.lane)

    def lane_top(self, row: int, lane: int) -> float:
        return self.tops[row] + TITLE + self._above(row, lane)

    def level(self, row: int, lane: int) -> float:
        """Where a by-pass runs in a lane: through the middle of its boxes, if there are any."""
        height = BOX_H if (row, lane) in self._with_boxes else BARE_LANE
        return self.lane_top(row, lane) + height / 2

    def _above(self, row: int, lane: int) -> float:
        """Height of the lanes above one."""
        above = range(lane + 1, self.layout.lanes[row] + 1)
        return sum(LANE if (row, other) in self._with_boxes else BARE_LANE for other in above)


def _draw_groups(axes: Axes, plan: _Plan) -> None:
    for group in plan.layout.groups:
        left, top = MARGIN + group.first * STEP_X - 0.1, plan.tops[group.row]
        width = (group.last - group.first) * STEP_X + BOX_W + 0.2
        height = plan.lane_top(group.row, 0) + BOX_H + 0.1 - top
        _draw_rounded(axes, (left, top), width, height, facecolor=BAND, edgecolor="none")
        axes.text(left + 0.08, top + 0.12, group.title, size=8, weight="bold", color=MUTED, va="center")


def _draw_box(axes: Axes, corner: tuple[float, float], layer: Layer, slowest: bool, output: str) -> None:
    x, y = corner
    color = op_color(layer.op)
    edge, line = (ALARM, 3.0) if slowest else (MUTED, 0.6)
    _draw_rounded(axes, corner, BOX_W, BOX_H, facecolor=color, edgecolor=edge, linewidth=line)
    lines = [f"{layer.cycles:,} cycles", f"→ {output}"]
    if layer.folding:
        lines.insert(0, "  ".join(f"{_SHORT.get(key, key)} {value}" for key, value in layer.folding.items()))
    name, ink, x = _wrap(layer.name), ink_on(color), x + BOX_W / 2
    name_height = NAME_LINE * (1 + name.count("\n"))
    y += (BOX_H - name_height - LINE * len(lines)) / 2
    style: dict[str, Any] = {"color": ink, "ha": "center", "va": "top"}
    axes.text(x, y, name, size=7, weight="bold", linespacing=1.0, **style)
    axes.text(x, y + name_height, "\n".join(lines), size=6.6, linespacing=1.1, **style)


def _draw_rounded(
    axes: Axes, corner: tuple[float, float], width: float, height: float, **colors: Any
) -> None:
    style = "round,pad=0,rounding_size=0.06"
    # Not add_patch, which would take longer than the drawing to adapt the axes' limits, which are set.
    axes.add_artist(FancyBboxPatch(corner, width, height, boxstyle=style, **colors))


_SHORT = {"parallel_window": "window"}


def _wrap(name: str) -> str:
    """A long name on two lines, split before a capital.

    >>> _wrap("ConvolutionInputGenerator_12").split()
    ['ConvolutionInput', 'Generator_12']
    """
    if len(name) <= NAME_CHARS:
        return name
    splits = [match.start() for match in re.finditer(r"(?<=[a-z])(?=[A-Z])", name[:NAME_CHARS])]
    at = splits[-1] if splits else NAME_CHARS
    return f"{name[:at]}\n{name[at:]}"


def _output(edges: tuple[Edge, ...], layer: Layer) -> str:
    """Type and word width of what a layer sends on."""
    for edge in edges:
        if edge.producer == layer.name:
            return f"{edge.datatype}, {edge.width} bit"
    return layer.output_type


def _draw_edges(axes: Axes, plan: _Plan, edges: tuple[Edge, ...]) -> None:
    for edge in edges:
        start, end = plan.place(edge.producer), plan.place(edge.consumer)
        (x0, y0), (x1, y1) = plan.corner(edge.producer), plan.corner(edge.consumer)
        right, left = (x0 + BOX_W, y0 + BOX_H / 2), (x1, y1 + BOX_H / 2)
        if start.row != end.row:
            _draw_wrap(axes, plan, start.row, right, left)
        elif start.is_before(end):
            _draw_line(axes, [right, left])
        else:
            _draw_bypass(axes, plan, edge, right, left)


def _draw_line(axes: Axes, points: list[tuple[float, float]], color: str = MUTED, width: float = 1.0) -> None:
    """A line of horizontal and vertical pieces with round corners, and an arrow head at its end."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    vertices.append(points[-1])
    codes.append(Path.LINETO)
    axes.add_artist(PathPatch(Path(vertices, codes), fc="none", ec=color, lw=width))
    x, y = points[-1]
    dx, dy = (HEAD, 0.0) if points[-2][1] == y else (0.0, HEAD)
    head = [(x, y), (x - dx - dy / 2, y - dy - dx / 2), (x - dx + dy / 2, y - dy + dx / 2)]
    axes.add_artist(Polygon(head, color=color, lw=0))


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point a corner's radius away from it in the direction of `other`."""
    (x, y), (u, v) = corner, other
    length = abs(u - x) + abs(v - y)
    share = min(CORNER, length / 2) / length if length else 0.0
    return x + share * (u - x), y + share * (v - y)


def _draw_wrap(
    axes: Axes, plan: _Plan, row: int, right: tuple[float, float], left: tuple[float, float]
) -> None:
    """From the end of a row through the gutter below it to the start of another row."""
    gutter = plan.lane_top(row, 0) + BOX_H + GUTTER / 2 + 0.06
    out, into = right[0] + 0.18, left[0] - 0.2
    points = [right, (out, right[1]), (out, gutter), (into, gutter), (into, left[1]), left]
    _draw_line(axes, points)


def _draw_bypass(
    axes: Axes, plan: _Plan, edge: Edge, right: tuple[float, float], left: tuple[float, float]
) -> None:
    """Up into the lane, along it, and down."""
    start, end = plan.place(edge.producer), plan.place(edge.consumer)
    lane = max(1, start.lane, end.lane)
    level = plan.level(start.row, lane)
    if start.lane == lane:
        first = [right]
    else:
        x = right[0] - BOX_W / 2
        first = [(x, right[1] - BOX_H / 2), (x, level)]
    if end.lane == lane:
        last = [left]
    else:
        x = left[0] + BOX_W / 2
        last = [(x, level), (x, left[1] - BOX_H / 2)]
    _draw_line(axes, first + last, BYPASS, 1.8)
    if start.lane == end.lane:
        label = f"by-pass {edge.tensor}: {edge.datatype}, {edge.width} bit"
        middle = (first[-1][0] + last[0][0]) / 2
        axes.text(middle, level - 0.06, label, size=7, color=BYPASS, ha="center", va="bottom")


def _draw_ends(axes: Axes, plan: _Plan, data: ReportData) -> None:
    """Arrows into the layers that no layer feeds, and out of those that feed none."""
    fed = {edge.consumer for edge in data.edges}
    feeds = {edge.producer for edge in data.edges}
    for layer in data.layers:
        x, y = plan.corner(layer.name)
        middle = y + BOX_H / 2
        if layer.name not in fed:
            _draw_line(axes, [(x - 0.45, middle), (x, middle)], INK, 1.6)
            axes.text(x - 0.3, middle - 0.05, "in", size=8, ha="center", va="bottom")
        if layer.name not in feeds:
            _draw_line(axes, [(x + BOX_W, middle), (x + BOX_W + 0.45, middle)], INK, 1.6)
            axes.text(x + BOX_W + 0.2, middle - 0.05, "out", size=8, ha="center", va="bottom")
