"""How alike the embeddings are, with the faces along both sides."""

from __future__ import annotations

from matplotlib.axes import Axes

from finn_flow.report.canvas import Sheet
from finn_flow.report.data import ReportData

LARGEST = 13.0  # inches of the matrix
CELL = 0.68  # inches of a face, while there are few
WITH_VALUES, WITH_FACES = 24, 64  # up to so many faces, values and thumbnails are drawn
LETTERS = 24  # of a name that are drawn
DARK = 0.55  # similarity from which on the ink is white


def similarity_png(data: ReportData) -> bytes:
    """PNG of the cosine similarity of every pair of faces."""
    count = len(data.faces)
    cell = min(CELL, LARGEST / count)
    with_faces = count <= WITH_FACES
    left, top = (2.3 + cell, 0.7 + cell) if with_faces else (0.5, 0.6)
    sheet = Sheet(max(6.0, left + cell * count + 1.2), top + cell * count + 0.25)
    axes = sheet.axes(left, top, sheet.width - left - cell * count, 0.25)
    image = axes.imshow(data.similarity, cmap="Blues", vmin=0, vmax=1, extent=(0, count, count, 0))
    if count <= WITH_VALUES:
        _draw_values(axes, data)
    if with_faces:
        _draw_faces(axes, data)
    axes.set(xlim=(0, count), ylim=(count, 0), xticks=[], yticks=[])
    bar = sheet.axes(left + cell * count + 0.2, top, sheet.width - left - cell * count - 0.38, 0.25)
    sheet.figure.colorbar(image, cax=bar, extend="min", extendfrac=0.04)
    sheet.header("Cosine similarity of the embeddings")
    return sheet.png()


def _draw_values(axes: Axes, data: ReportData) -> None:
    for row, values in enumerate(data.similarity):
        for column, value in enumerate(values):
            color = "white" if value > DARK else "black"
            axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=color, size=8)


def _draw_faces(axes: Axes, data: ReportData) -> None:
    """Thumbnails left of the rows and above the columns, numbered; names on the left."""
    for place, face in enumerate(data.faces):
        for x, y in ((-1.0, place), (place, -1.0)):
            extent = (x + 0.04, x + 0.96, y + 0.96, y + 0.04)
            axes.imshow(face.thumbnail, extent=extent, clip_on=False, interpolation="antialiased")
        name = face.label if len(face.label) <= LETTERS else f"{face.label[: LETTERS - 1]}…"
        axes.text(place + 0.5, -1.04, str(place + 1), ha="center", va="bottom", size=8)
        axes.text(-1.1, place + 0.5, f"{name}  {place + 1}", ha="right", va="center", size=8)
