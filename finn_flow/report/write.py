"""Writes the report of a build into a folder."""

from __future__ import annotations

from pathlib import Path

from finn_flow.artifacts import write_json
from finn_flow.report.canvas import plain_style
from finn_flow.report.cycles_figure import cycles_png
from finn_flow.report.data import ReportData
from finn_flow.report.fifo_figure import fifo_png
from finn_flow.report.finn_json import json_files
from finn_flow.report.footprint_figure import footprint_png
from finn_flow.report.graph_figure import graph_png
from finn_flow.report.page import render
from finn_flow.report.resources_figure import resources_png
from finn_flow.report.similarity_figure import similarity_png

PAGE = "index.html"


def write_report(data: ReportData, out: Path) -> None:
    """Write the page, its pictures and the JSON files into the folder `out`.

    The page holds its pictures; they lie beside it for other uses. Without faces there is no similarity.png,
    without a footprint no footprint.png.
    """
    out.mkdir(parents=True, exist_ok=True)
    pictures = draw(data)
    for name, png in pictures.items():
        (out / name).write_bytes(png)
    (out / PAGE).write_text(render(data, pictures), encoding="utf-8")
    for name, value in json_files(data).items():
        write_json(out / name, value)


def draw(data: ReportData) -> dict[str, bytes]:
    """PNG by file name, of what there is data for."""
    pictures = {"cycles.png": cycles_png, "resources.png": resources_png, "graph.png": graph_png}
    if data.footprint:
        pictures["footprint.png"] = footprint_png
    pictures["fifos.png"] = fifo_png
    if data.faces:
        pictures["similarity.png"] = similarity_png
    with plain_style():
        return {name: picture(data) for name, picture in pictures.items()}
