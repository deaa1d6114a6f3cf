"""The report as written: a page that needs no other file, with every layer and every headline number."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from finn_flow.report import PAGE, CppSimulation, Face, ReportData, write_report
from finn_flow.report.finn_json import json_files
from finn_flow.report.page import render
from tests.test_finn_flow_report_data import BITSTREAM, BOARD, Net, build, faces, network, simulation

PICTURES = ("cycles.png", "resources.png", "graph.png", "footprint.png", "fifos.png", "similarity.png")
VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """Rows of tables as texts, all text, what is referred to; asserts that tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str]] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.references += [values[name] for name in ("src", "href", "action", "data") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            self.images.append(values)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data
        if self.open and self.open[-1] != "style":
            self.text += f" {' '.join(data.split())}"

    def row(self, name: str) -> list[str]:
        """The row that begins so."""
        return next(row for row in self.cells if row[0] == name)


def page_of(data: ReportData) -> Page:
    """The page with empty pictures."""
    return Page(render(data, dict.fromkeys(PICTURES, b"")))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new"
    write_report(build(), out)
    return out


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / PAGE).read_text(encoding="utf-8"))


def test_files(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {PAGE, *PICTURES, *json_files(build())}


def test_json_files_hold_the_same_as_the_data(written: Path) -> None:
    for name, value in json_files(build()).items():
        assert json.loads((written / name).read_text()) == value


def test_page_needs_no_other_file(written: Path, page: Page) -> None:
    html = (written / PAGE).read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|<script|<link", html)
    assert all(ref.startswith(("data:image/png;base64,", "#")) for ref in page.references)


def test_inlined_pictures_are_the_files(written: Path, page: Page) -> None:
    inlined = [base64.b64decode(image["src"].split(",")[1]) for image in page.images]
    assert inlined == [(written / name).read_bytes() for name in PICTURES]
    assert all(len(image["alt"]) > 30 for image in page.images)


def test_links_lead_to_sections(page: Page) -> None:
    links = {ref[1:] for ref in page.references if ref.startswith("#")}
    sections = ("cycles", "resources", "graph", "weights", "verification", "simulation", "bitstream", "faces")
    assert links == {*sections, "layers", "build"}
    assert links <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_every_layer_has_its_row(page: Page) -> None:
    header = page.row("Layer")
    rows = [row for row in page.cells if len(row) == len(header)][1:]
    assert [row[0].removesuffix(" (bottleneck)") for row in rows] == [layer.name for layer in build().layers]
    assert page.row("MVAU_1") == [
        *("MVAU_1", "block2", "2", "3", "", "1,060", "79.7 %", "1×8×8×16", "UINT4", "INT4", "INT13"),
        *("100", "200", "1", "0", "2", "–", "–", "–"),
    ]
    assert page.row("ConvolutionInputGenerator_0")[2:5] == ["", "2", "1"]
    assert page.row("MVAU_7 (bottleneck)")[5:7] == ["1,330", "100.0 %"]


@pytest.mark.parametrize(
    "headline",
    [
        "Throughput 75,188 fps estimated; target: 70,000 fps, met",
        "Latency 0.396 ms estimated: all layers on the longest path, as if none overlapped",
        "Initiation interval 1,330 cycles from frame to frame at 100 MHz; bottleneck: MVAU_7 in accumulators",
        "Simulated in RTL 74,906 fps a frame every 1,335 cycles, the first after 3,333; 3 frames",
        "3 frames, 36 streams equal",
        "on 3 frames back to back. 36 streams, 654,321 integers in all, are equal to",
        "that of the last of 3 frames at full rate",
        "The largest 20 of 35 FIFOs",
        "Fits Small yes most used: BRAM18, 85.0 %; within the 90 % allowed",
        "Weights 0.015 Mbit 2,304 weights; 20.3 % of 32-bit ones",
        "Verified 32 frames 2,234,567 integers compared, all equal; not run: rtlsim, bitstream",
        "Part xc7z020clg400-1, clock period 10 ns, 34 layers.",
        "rtlsim : not run No cycle was simulated.",
        "bitstream : not run Timing is unknown.",
        "Made with qonnx 1.0.0, torch 2.13.0.",
    ],
)
def test_headlines(page: Page, headline: str) -> None:
    assert headline in re.sub(r"\s+", " ", page.text)


@pytest.mark.parametrize(
    "row",
    [
        ["BRAM18", "34", "40", "85.0 %"],
        ["block2", "576", "2", "1,152", "6.25 %"],
        ["total", "2,304", "", "14,976", "20.31 %"],
        ["fold", "19", "32", "1,000,000", "2.5", "all equal"],
        ["initiation interval, cycles", "1,335", "1,330"],
        ["frames a second", "74,906", "75,188"],
        ["latency of the first frame, cycles", "3,333", "39,610"],
        ["StreamingFIFO_1", "ConvolutionInputGenerator_0.out", "7", "11", "3"],
        ["StreamingFIFO_34", "Thresholding_6.out", "16", "36", "18", "576"],
        ["all FIFOs", "", "10,640"],
        ["export", "1.5"],
        ["total", "21.8"],
        ["FIFOs", "", "0", "0", "0", "0", "0", ""],
        ["total", "", "3,400", "6,800", "34", "0", "16", "0", "0", "0"],
    ],
)
def test_tables(page: Page, row: list[str]) -> None:
    assert row in page.cells


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"target": "max"}, "target: as fast as fits"),
        ({"target": None}, "folding as given"),
        ({"target": 80_000.5}, "target: 80,000 fps, missed"),
        ({"board": replace(BOARD, bram18=33)}, "no most used: BRAM18, 103.0 %; beyond the 90 % allowed"),
        ({"board": replace(BOARD, dsp=0)}, "no most used: DSP, the board has none; beyond the 90 % allowed"),
        ({"verification": (), "not_run": {}}, "Verified nothing no graph was compared with a reference"),
        ({"verification": ()}, "no graph was compared with a reference; not run: rtlsim, bitstream"),
        ({"verification": ()}, "Nothing was verified in this build."),
        ({"footprint": ()}, "No footprint was given."),
        (
            {"simulation": simulation(network(), bypasses=())},
            "Depths were given, so that no by-pass was studied.",
        ),
        ({}, "There is no bitstream: no tool for it."),
        (faces(0), "No faces were embedded in this build."),
    ],
)
def test_what_a_build_lacks_is_said(changes: dict[str, Any], text: str) -> None:
    assert text in re.sub(r"\s+", " ", page_of(build(**changes)).text)


def test_a_bitstream_is_held_against_the_estimate() -> None:
    page = page_of(build(bitstream=BITSTREAM))
    assert ["LUT", "4,001", "3,400", "10,000", "40.0 %"] in page.cells
    assert ["BRAM18", "35", "34", "40", "87.5 %"] in page.cells
    assert ["built for", "100 MHz"] in page.cells
    assert ["at most, by the worst slack of 2.000 ns", "125 MHz"] in page.cells
    assert ["frames a second at that clock", "93,633"] in page.cells
    assert "Vivado 2023.1. The device holds an AXI DMA and its connections" in page.text


def test_the_simulation_of_cpp_and_the_layers_that_are_hls_are_told() -> None:
    compared = CppSimulation(layers=34, streams=40, frames=8, elements=2_000_000, compile_seconds=61.5)
    page = page_of(build(cppsim=compared, hls_layers=("VVAU_0", "MVAU_7")))
    assert ["34", "40", "8", "2,000,000", "61.5", "all equal"] in page.cells
    assert "Made by Vitis HLS: VVAU_0, MVAU_7. All other layers are our SystemVerilog." in page.text
    plain = page_of(build())
    assert "Vitis HLS" not in plain.text
    assert ["34", "40"] not in [row[:2] for row in plain.cells]


def test_one_frame_is_one_frame() -> None:
    one = replace(build().verification[0], frames=1)
    assert "Verified 1 frame 1,234,567 integers" in page_of(build(verification=(one,))).text


def test_names_are_escaped() -> None:
    odd = (Face("<script>&\udcff", faces(1)["faces"][0].thumbnail),)
    data = build(name="<b>", faces=odd, similarity=faces(1)["similarity"])
    html = render(data, dict.fromkeys(PICTURES, b""))
    assert "<script>" not in html
    assert "<li>&lt;script&gt;&amp;?</li>" in html
    assert "<h1>&lt;b&gt; on Small</h1>" in html


def test_the_smallest_report(tmp_path: Path) -> None:
    net = Net()
    net.add("MVAU", "block1")
    write_report(build(net, footprint=(), verification=(), not_run={}, **faces(0)), tmp_path)
    page = Page((tmp_path / PAGE).read_text(encoding="utf-8"))
    assert page.row("MVAU_0 (bottleneck)")[1] == "block1"
    assert {path.name for path in tmp_path.glob("*.png")} == {
        *("cycles.png", "resources.png", "graph.png", "fifos.png")
    }
    assert json.loads((tmp_path / "summary.json").read_text())["similarity"] == []


def test_a_second_report_is_the_same(written: Path, tmp_path: Path) -> None:
    write_report(build(), tmp_path)
    for path in written.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
