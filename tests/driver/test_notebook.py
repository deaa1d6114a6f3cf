"""The notebook runs on the emulated board, and shows what it promises."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.driver.tiny import ROOT, tiny_deploy

NOTEBOOK = ROOT / "driver" / "notebooks" / "face_embedding.ipynb"
FIGURES = {"faces": 1, "similarity": 1, "identify": 1, "throughput": 1}  # by the cell's id


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The executed notebook's cells by their ids. nbconvert fails if a cell raises."""
    folder = tmp_path_factory.mktemp("notebook")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", NOTEBOOK]
    environment = {
        **os.environ,
        "QMFN_EMULATED": "rtl",
        "QMFN_DEPLOY": str(tiny_deploy()),
        "PYTHONPATH": str(ROOT),
        "MPLCONFIGDIR": str(folder),
    }
    result = subprocess.run(
        [*command, "--output-dir", folder],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {cell["id"]: cell for cell in json.loads((folder / NOTEBOOK.name).read_text())["cells"]}


def printed(cell: dict[str, Any]) -> str:
    """What it printed, without warnings."""
    texts = [output["text"] for output in cell["outputs"] if output.get("name") == "stdout"]
    return "".join("".join(text) for text in texts)


def pictures(cell: dict[str, Any]) -> list[np.ndarray]:
    data = [output["data"] for output in cell.get("outputs", []) if output["output_type"] == "display_data"]
    files = [base64.b64decode(entry["image/png"]) for entry in data if "image/png" in entry]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


def test_it_is_committed_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert [cell["metadata"] for cell in notebook["cells"]] == [{}] * len(notebook["cells"])
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_pynq_delivers_it_from_the_wheel_by_its_entry_point(tmp_path: Path) -> None:
    (wheel,) = (tiny_deploy() / "driver").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    tool = Path(sys.executable).with_name("pynq-get-notebooks")
    subprocess.run(
        [tool, "--ignore-overlays", "--quiet", "--path", tmp_path / "got", "qmobilefacenet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
    )
    (delivered,) = (tmp_path / "got" / "qmobilefacenet").iterdir()
    assert delivered.name == NOTEBOOK.name
    assert delivered.read_bytes() == NOTEBOOK.read_bytes()


def test_every_figure_is_there_and_no_other(cells: dict[str, dict[str, Any]]) -> None:
    found = {name: len(pictures(cell)) for name, cell in cells.items() if pictures(cell)}
    assert found == FIGURES


def test_the_figures_are_not_empty(cells: dict[str, dict[str, Any]]) -> None:
    for name in FIGURES:
        (picture,) = pictures(cells[name])
        assert min(picture.shape[:2]) > 80, name
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50, name  # more than axes and text


def test_it_runs_on_the_emulated_board(cells: dict[str, dict[str, Any]]) -> None:
    text = printed(cells["load"])
    assert "device:  emulated Pynq-Z2 (Verilated accelerator)\n" in text
    assert "DMA:     axi_dma_0, xilinx.com:ip:axi_dma:7.1\n" in text
    assert "input:   (4, 32, 32, 3) DataType['INT8']\n" in text


def test_the_integers_are_those_of_the_build(cells: dict[str, dict[str, Any]]) -> None:
    assert printed(cells["embed"]) == (
        "8 embeddings of 16 numbers\n0 of 128 integers differ from the build's\n"
    )


def test_people_are_enrolled_and_identified(cells: dict[str, dict[str, Any]]) -> None:
    text = printed(cells["enrol"])
    assert text == (
        "enrolled: 4 pictures of 1 people, threshold 0.500\nidentified by the same picture: 4 of 4\n"
    )
    assert re.fullmatch(r"identified by another picture: [0-4] of 4\n", printed(cells["identify"]))


def test_throughput_stands_beside_the_report(cells: dict[str, dict[str, Any]]) -> None:
    manifest = json.loads((tiny_deploy() / "manifest.json").read_text())
    rates = dict(re.findall(r"^(.*?) +([\d.]+) images/s$", printed(cells["throughput"]), re.M))
    assert list(rates) == ["report", "batch in the buffers", "with data movement"]
    assert float(rates["report"]) == pytest.approx(manifest["fps"], abs=0.05)
    assert all(float(rate) > 0 for rate in rates.values())
    interval = manifest["interval_cycles"]
    text = printed(cells["cycles"])
    assert f"cycles a frame: {interval}, by the report {interval}\n" in text
    assert f"at 100 MHz: {manifest['fps']:.1f} images/s\n" in text
