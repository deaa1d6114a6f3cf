"""Where the layers stand in the graph's picture: a row a block, a column a layer, a lane a by-pass.

A block, or a repetition of one, is a group. Its longest path runs along lane 0; what by-passes that path is
above, in lanes of its own. Groups without a by-pass share a row while they fit into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finn_flow.report.data import Edge, Layer

# Ops that only move data.
PLUMBING = (
    "FMPadding",
    "ConvolutionInputGenerator",
    "WindowGenerator",
    "DuplicateStreams",
    "StreamingDataWidthConverter",
    "StreamingFIFO",
)


@dataclass(frozen=True)
class Place:
    """Position of a layer."""

    row: int
    column: int
    lane: int

    def is_before(self, other: Place) -> bool:
        """Whether the other is the next to the right in the same lane."""
        return (other.row, other.column, other.lane) == (self.row, self.column + 1, self.lane)


@dataclass(frozen=True)
class Group:
    """A group's extent: columns first..last of a row."""

    title: str
    row: int
    first: int
    last: int


@dataclass(frozen=True)
class GraphLayout:
    """places: by layer name. lanes: the greatest lane of each row; a by-pass may be alone in it."""

    places: dict[str, Place]
    groups: list[Group]
    lanes: list[int]

    @property
    def columns(self) -> int:
        return 1 + max(place.column for place in self.places.values())


def lay_out(layers: Sequence[Layer], edges: Sequence[Edge]) -> GraphLayout:
    """Place every layer. layers: in topological order."""
    after = _neighbours(layers, edges)
    groups = [_Drawn(title, names, after) for title, names in _groups(group_titles(layers, edges)).items()]
    places: dict[str, Place] = {}
    drawn: list[Group] = []
    lanes: list[int] = []
    for row, members in enumerate(_rows(groups)):
        column = 0
        for group in members:
            places |= {name: Place(row, column + c, lane) for name, (c, lane) in group.at.items()}
            drawn.append(Group(group.title, row, column, column + group.columns - 1))
            column += group.columns
        lanes.append(max(group.lanes for group in members))
    for edge in edges:
        start, end = places[edge.producer], places[edge.consumer]
        if start.row == end.row and not start.is_before(end):
            lanes[start.row] = max(lanes[start.row], 1)
    return GraphLayout(places, drawn, lanes)


def _neighbours(layers: Sequence[Layer], edges: Sequence[Edge]) -> dict[str, list[str]]:
    after: dict[str, list[str]] = {layer.name: [] for layer in layers}
    for edge in edges:
        after[edge.producer].append(edge.consumer)
    return after


def group_titles(layers: Sequence[Layer], edges: Sequence[Edge]) -> dict[str, str]:
    """The group of every layer, by name, in topological order.

    Plumbing belongs to what it feeds, so that a by-pass begins and ends in the same group.
    """
    after = _neighbours(layers, edges)
    order = {name: number for number, name in enumerate(dict.fromkeys(layer.group for layer in layers))}
    title: dict[str, str] = {}
    for layer in reversed(layers):
        fed = [title[name] for name in after[layer.name]]
        title[layer.name] = min(fed, key=order.__getitem__) if layer.op in PLUMBING and fed else layer.group
    return {layer.name: title[layer.name] for layer in layers}


def _groups(titles: dict[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, title in titles.items():
        groups.setdefault(title, []).append(name)
    return groups


class _Drawn:
    """One group laid out by itself. at: (column, lane) of each layer."""

    def __init__(self, title: str, names: list[str], after: dict[str, list[str]]) -> None:
        self.title = title
        members = set(names)
        inner = {name: [other for other in after[name] if other in members] for name in names}
        depth = _depths(inner)
        self.columns = 1 + max(depth.values())
        self.at = _lanes(depth, _longest_path(inner, depth))
        skips = any(depth[other] - depth[name] > 1 for name, others in inner.items() for other in others)
        self.lanes = max(skips, *(lane for _, lane in self.at.values()))


def _depths(inner: dict[str, list[str]]) -> dict[str, int]:
    """Number of layers before each on the longest way to it; keys are in topological order."""
    depth = dict.fromkeys(inner, 0)
    for name, others in inner.items():
        for other in others:
            depth[other] = max(depth[other], depth[name] + 1)
    return depth


def _longest_path(inner: dict[str, list[str]], depth: dict[str, int]) -> set[str]:
    name = max(depth, key=depth.__getitem__)
    path = {name}
    for other in reversed(inner):
        if name in inner[other] and depth[other] == depth[name] - 1:
            name = other
            path.add(name)
    return path


def _lanes(depth: dict[str, int], path: set[str]) -> dict[str, tuple[int, int]]:
    """Lane 0 for the path; for the others the lowest lane above that is free in their column."""
    at = {name: (depth[name], 0) for name in path}
    taken = set(at.values())
    for name in depth:
        if name not in path:
            lane = next(lane for lane in range(1, len(depth) + 1) if (depth[name], lane) not in taken)
            at[name] = (depth[name], lane)
            taken.add(at[name])
    return at


def _rows(groups: Sequence[_Drawn]) -> list[list[_Drawn]]:
    widest = max(group.columns for group in groups)
    rows: list[list[_Drawn]] = []
    for group in groups:
        before = rows[-1] if rows else []
        plain = not group.lanes and not any(other.lanes for other in before)
        if before and plain and sum(other.columns for other in before) + group.columns <= widest:
            before.append(group)
        else:
            rows.append([group])
    return rows
