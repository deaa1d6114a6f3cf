"""The pictures: of a sane size, not blank, true to the data, drawn for the smallest and for odd data."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from finn_flow.report.canvas import DPI, Sheet, header_height, plain_style
from finn_flow.report.cycles_figure import cycles_png
from finn_flow.report.data import Face, ReportData
from finn_flow.report.fifo_figure import fifo_png
from finn_flow.report.graph_figure import BOX_H, BOX_W, BYPASS, STEP_X, graph_png
from finn_flow.report.palette import ALARM, INK, OP_COLORS, OTHER, ink_on, op_color
from finn_flow.report.resources_figure import resources_png
from finn_flow.report.similarity_figure import similarity_png
from finn_flow.report.write import draw
from tests.test_finn_flow_report_data import BOARD, Net, build, faces, layer, simulation

NAMES = ["cycles.png", "resources.png", "graph.png", "footprint.png", "fifos.png", "similarity.png"]


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def count(png: bytes, color: str) -> int:
    """Pixels of exactly this colour."""
    wanted = np.round(np.array(to_rgb(color)) * 255).astype(np.uint8)
    return int((pixels(png) == wanted).all(axis=2).sum())


def only(picture: Callable[[ReportData], bytes], data: ReportData) -> bytes:
    with plain_style():
        return picture(data)


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return draw(build())


def test_pictures_are_drawn(pictures: dict[str, bytes]) -> None:
    assert list(pictures) == NAMES
    for name, png in pictures.items():
        image = pixels(png)
        height, width, _ = image.shape
        assert 600 < width < 3500, name
        assert 200 < height < 3500, name
        assert image.std() > 10, name
        assert (image == 255).all(axis=2).mean() > 0.2, name  # on white


@pytest.mark.parametrize("name", ["cycles.png", "resources.png", "graph.png", "fifos.png"])
def test_ops_have_their_colours(pictures: dict[str, bytes], name: str) -> None:
    for op in ("MVAU", "Thresholding", "Requant", "ConvolutionInputGenerator"):
        assert count(pictures[name], OP_COLORS[op]) > 30, op


def test_the_bottleneck_is_marked(pictures: dict[str, bytes]) -> None:
    assert count(pictures["cycles.png"], ALARM) > 200
    assert count(pictures["graph.png"], ALARM) > 200


def test_every_layer_has_its_box(pictures: dict[str, bytes]) -> None:
    ops = [layer.op for layer in build().layers]
    box = BOX_W * BOX_H * DPI**2
    for op in ("MVAU", "VVAU", "Requant", "Thresholding", "FMPadding"):
        boxes = count(pictures["graph.png"], OP_COLORS[op]) / box
        assert 0.6 * ops.count(op) < boxes < 1.05 * ops.count(op), op  # the text takes some


def test_by_passes_are_drawn(pictures: dict[str, bytes]) -> None:
    chain = Net()
    for _ in range(5):
        chain.add("MVAU", "block1")
    assert count(only(graph_png, build(chain)), BYPASS) == 0
    assert count(pictures["graph.png"], BYPASS) > 2 * 9 * STEP_X * DPI  # two, over nine layers each


def test_bars_are_as_high_as_the_cycles() -> None:
    net = Net()
    net.add("MVAU", "block1")
    net.add("VVAU", "block2")
    slow, fast = replace(net.layers[0], cycles=3000), replace(net.layers[1], cycles=1000)
    net.layers[:] = [slow, fast]
    image = pixels(only(cycles_png, build(net)))
    heights = []
    for op in ("MVAU", "VVAU"):
        color = np.round(np.array(to_rgb(OP_COLORS[op])) * 255)
        heights.append(int((image == color).all(axis=2).sum(axis=0).max()))
    assert heights[0] == pytest.approx(3 * heights[1], abs=25)  # the legend's patch is in a column, too


def test_fifo_bars_are_as_high_as_the_bits_and_lines_mark_the_peaks() -> None:
    net = Net()
    for op in ("MVAU", "VVAU", "Requant"):
        net.add(op, "block1")
    big, small = simulation(net).fifos
    fifos = (replace(big, depth=256, peak=1), replace(small, depth=16, peak=16))  # 2**12 and 2**8 bits
    image = pixels(only(fifo_png, build(net, simulation=simulation(net, fifos=fifos, bypasses=()))))
    bars = []
    for op in ("MVAU", "VVAU"):
        rows = (image == np.round(np.array(to_rgb(OP_COLORS[op])) * 255)).all(axis=2)
        bars.append(np.flatnonzero(rows.sum(axis=1) > 100))  # wider than the legend's patch
    assert len(bars[0]) == pytest.approx(12 / 8 * len(bars[1]), abs=8)
    wide = np.flatnonzero((image == np.round(np.array(to_rgb(INK)) * 255)).all(axis=2).sum(axis=1) > 100)
    wide = wide[wide > bars[0][0]]  # without the title
    assert bars[0][0] < wide.max() < bars[0][-1]  # far below the top of the deep one
    assert abs(int(wide.min()) - int(bars[1][0])) < 4  # at the top of the full one


def test_a_single_layer_is_drawn() -> None:
    net = Net()
    net.add("MVAU", "block1")
    pictures = draw(build(net, footprint=(), **faces(0)))
    assert list(pictures) == [*NAMES[:3], "fifos.png"]
    assert all(pixels(png).std() > 10 for png in pictures.values())


@pytest.mark.parametrize("number", [1, 2, 30, 70])
def test_any_number_of_faces_is_drawn(number: int) -> None:
    image = pixels(only(similarity_png, build(**faces(number))))
    assert max(image.shape) < 2000
    assert image.std() > 10


def test_the_diagonal_is_dark_and_the_rest_is_not() -> None:
    image = pixels(only(similarity_png, build(faces=faces(2)["faces"], similarity=np.eye(2))))
    dark = (image == (8, 48, 107)).all(axis=2)  # the colour of similarity 1
    rows, columns = (np.flatnonzero(dark.sum(axis=axis) > 20) for axis in (1, 0))  # not the colour bar
    cells = dark[rows[0] : rows[-1], columns[0] : columns[-1]]
    top, bottom = np.array_split(cells, 2)
    shares = [[float(cell.mean()) for cell in np.array_split(half, 2, axis=1)] for half in (top, bottom)]
    assert shares[0][0] > 0.7 < shares[1][1]
    assert shares[0][1] < 0.05 > shares[1][0]


def test_odd_names_are_drawn_without_a_word() -> None:
    names = ("日本 $x_2$", "two\nlines", "\udcff.png")
    odd = tuple(Face(name, face.thumbnail) for name, face in zip(names, faces(3)["faces"], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(build(name="$a", faces=odd))


def test_resources_beyond_the_board_are_drawn() -> None:
    board = replace(BOARD, lut=1000, dsp=0)
    assert pixels(only(resources_png, build(board=board, headroom=1.0))).std() > 10


def test_nothing_global_is_left_behind() -> None:
    before = dict(matplotlib.rcParams)
    with plain_style():
        assert matplotlib.rcParams["text.parse_math"] is False
    assert dict(matplotlib.rcParams) == before


def test_pictures_do_not_depend_on_the_users_style() -> None:
    net = Net()
    net.add("MVAU", "block1")
    data = build(net, footprint=(), **faces(0))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        styled = draw(data)
    assert styled == draw(data)


def test_sheet_is_measured_in_inches() -> None:
    assert pixels(Sheet(3.0, 2.0).png()).shape == (220, 330, 3)


def test_header_grows_with_its_legend() -> None:
    ops = list(OP_COLORS)
    assert header_height(24.0, ops) < header_height(4.0, ops)
    assert header_height(4.0, ops[:1]) == header_height(24.0, ops)


@pytest.mark.parametrize("color", [*OP_COLORS.values(), OTHER])
def test_text_stands_out_on_every_colour(color: str) -> None:
    def luminance(name: str) -> float:
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(name)
        ]
        return float(np.dot((0.2126, 0.7152, 0.0722), parts))

    low, high = sorted((luminance(color), luminance(ink_on(color))))
    assert (high + 0.05) / (low + 0.05) >= 4.2


def test_unknown_ops_are_grey() -> None:
    assert op_color(layer("Pool_0", op="Pool").op) == OTHER
