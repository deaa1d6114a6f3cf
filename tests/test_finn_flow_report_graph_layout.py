"""Where layers stand in the graph's picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finn_flow.report.graph_layout import GraphLayout, Group, Place, group_titles, lay_out
from tests.test_finn_flow_report_data import BRANCH, Net, network


def layout_of(net: Net) -> GraphLayout:
    return lay_out(net.layers, net.edges)


def test_a_chain_is_a_row() -> None:
    net = Net()
    for op in ("FMPadding", "MVAU", "Thresholding"):
        net.add(op, "block1")
    layout = layout_of(net)
    assert layout.places == {
        "FMPadding_0": Place(0, 0, 0),
        "MVAU_0": Place(0, 1, 0),
        "Thresholding_0": Place(0, 2, 0),
    }
    assert layout.groups == [Group("block1", 0, 0, 2)]
    assert (layout.lanes, layout.columns) == ([0], 3)


def test_a_by_pass_without_layers_gets_a_bare_lane() -> None:
    net = Net()
    net.residual("block3.1")
    layout = layout_of(net)
    assert layout.lanes == [1]
    assert {place.lane for place in layout.places.values()} == {0}
    assert layout.columns == len(BRANCH) + 3


def test_a_converter_in_a_by_pass_stands_above() -> None:
    net = Net()
    net.residual("block3.1", converter=True)
    layout = layout_of(net)
    assert layout.places["StreamingDataWidthConverter_0"] == Place(0, 1, 1)
    assert layout.places["MVAU_0"] == Place(0, 1, 0)
    assert layout.places["ElementwiseAdd_0"] == Place(0, len(BRANCH) + 1, 0)


def test_two_layers_above_one_column_get_lanes_of_their_own() -> None:
    net = Net()
    fork = net.add("MVAU", "block1")
    ends = []
    for _ in range(3):
        net.add("MVAU", "block1", after=fork)
        ends.append(net.add("MVAU", "block1"))
    net.add("ElementwiseAdd", "block1")
    for end in ends[:-1]:
        net.connect(end, "ElementwiseAdd_0")
    layout = layout_of(net)
    second = [place.lane for place in layout.places.values() if place.column == 1]
    assert sorted(second) == [0, 1, 2]
    assert layout.lanes == [2]


def test_plain_blocks_share_a_row_and_by_passed_ones_do_not() -> None:
    layout = layout_of(network())
    assert [(group.title, group.row) for group in layout.groups] == [
        *(("block1", 0), ("block2", 0), ("block3.1", 1), ("block3.2", 2), ("block8", 3), ("accumulators", 3)),
    ]
    assert layout.groups[1] == Group("block2", 0, 4, 7)
    assert layout.lanes == [0, 1, 1, 0]


def test_plain_blocks_that_do_not_fit_take_another_row() -> None:
    net = Net()
    for block in ("block1", "block2"):
        for _ in range(4):
            net.add("MVAU", block)
    assert [group.row for group in layout_of(net).groups] == [0, 1]


def test_plumbing_belongs_to_what_it_feeds() -> None:
    net = Net()
    net.add("FMPadding", "pixels")
    net.add("MVAU", "block1")
    net.add("StreamingDataWidthConverter", "block1")
    net.add("DuplicateStreams", "block1")
    net.add("MVAU", "block2")
    net.add("StreamingDataWidthConverter", "block2")
    assert list(group_titles(net.layers, net.edges).values()) == ["block1"] * 2 + ["block2"] * 4


def test_a_stream_past_a_block_of_the_same_row_gets_a_lane() -> None:
    net = Net()
    for block in ("block1", "block1", "block1", "block1", "block2", "block3"):
        net.add("MVAU", block)
    assert layout_of(net).lanes == [0, 0]
    net.connect("MVAU_4", "MVAU_5")
    assert layout_of(net).lanes == [0, 0]
    net.connect("MVAU_0", "MVAU_3")
    assert layout_of(net).lanes == [1, 0]


@given(st.lists(st.sampled_from(["plain", "residual", "converted"]), min_size=1, max_size=6))
def test_no_two_layers_at_a_place_and_streams_run_to_the_right(kinds: list[str]) -> None:
    net = Net()
    for number, kind in enumerate(kinds):
        if kind == "plain":
            net.add("MVAU", f"block{number}")
        else:
            net.residual(f"block{number}.0", converter=kind == "converted")
    layout = layout_of(net)
    assert set(layout.places) == {layer.name for layer in net.layers}
    assert len(set(layout.places.values())) == len(net.layers)
    for edge in net.edges:
        start, end = layout.places[edge.producer], layout.places[edge.consumer]
        assert start.row < end.row or (start.row == end.row and start.column < end.column)
    for place in layout.places.values():
        assert place.lane <= layout.lanes[place.row]
