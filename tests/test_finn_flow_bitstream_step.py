"""The step `bitstream` on boards that are no Zynq; `test_finn_flow_steps.py` has those that are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finn_flow import ecp5
from finn_flow.bitstream import Bitstream
from finn_flow.bitstream_step import bitstream
from finn_flow.boards import Board, find_board
from finn_flow.hardware import write_layers, write_netlist
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.simulate import write_sources
from model.errors import UserError
from tests.hw_graphs import HardwareGraph

BUILT = Bitstream("built", 50.0, "tools", None, {}, {"wns_ns": 1.0, "fmax_mhz": 52.63})


def progress(description: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda units: None)


class Context:
    """What the step asks of its context, of a build with one layer in `folder`."""

    def __init__(self, folder: Path, board: Board) -> None:
        self.folder, self.name, self.config = folder, "toy", SimpleNamespace(device=board)
        self.said: list[str] = []
        self.results: dict[str, Any] = {}
        self.progress = progress
        for step in ("rtl", "fifos", "out"):
            (folder / step).mkdir()
        model = HardwareGraph(4, 2, "INT8").mvau(2, 4).model().transform(SpecializeLayers())
        write_sources(write_layers(model, folder / "rtl", lambda units: None), folder / "rtl")
        model = model.transform(InsertFifos({}))
        model.save(str(folder / "fifos" / "model.onnx"))
        write_sources(write_netlist(model, 100, folder / "fifos"), folder / "fifos")

    def path(self, step: str, file: str = "") -> Path:
        return self.folder / step / file

    def result_of(self, step: str) -> dict[str, Any]:
        return {"fold": {"max_cycles": 100}}[step]

    def say(self, line: str) -> None:
        self.said.append(line)

    def result(self, values: dict[str, Any]) -> None:
        self.results |= values

    def run(self) -> dict[str, Any]:
        bitstream(self, self.folder / "out")  # type: ignore[arg-type]
        return json.loads((self.folder / "out" / "bitstream.json").read_text())


def test_an_ecp5_gets_its_bitstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_project(folder: Path, board: Board, progress: object) -> Bitstream:
        assert (folder / "synth.ys").is_file()
        for name in ("finn-accel.bit", "routed.config", *ecp5.REPORTS):
            (folder / name).write_text(name)
        return BUILT

    monkeypatch.setattr(ecp5, "run_project", run_project)
    context = Context(tmp_path, find_board("ecp5-85k"))
    assert context.run()["timing"] == {"wns_ns": 1.0, "fmax_mhz": 52.63}
    assert context.said == ["finn-accel.bit for 50 MHz, of at most 52.63 MHz"]
    assert context.results == {"status": "built"}
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"bitstream.json", "finn-accel.bit", "ecp5"}
    kept = {path.name for path in (out / "ecp5").iterdir()}
    assert {"MVAU_0.v", "MVAU_0_weights.dat", "ecp5_top.v", "synth.ys", *ecp5.REPORTS} <= kept
    assert "routed.config" not in kept
    assert not (tmp_path / "bitstream-run").exists()


def test_a_run_that_fails_leaves_its_folder_until_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_project(folder: Path, board: Board, progress: object) -> Bitstream:
        assert not (folder / "yosys.log").exists()
        (folder / "yosys.log").write_text("ERROR: no")
        raise UserError("board", board.name, "no")

    monkeypatch.setattr(ecp5, "run_project", run_project)
    context = Context(tmp_path, find_board("ecp5-85k"))
    for _ in range(2):
        with pytest.raises(UserError):
            context.run()
        assert (tmp_path / "bitstream-run" / "yosys.log").read_text() == "ERROR: no"
        for path in (tmp_path / "out" / "ecp5").iterdir():
            path.unlink()
        (tmp_path / "out" / "ecp5").rmdir()


def test_a_custom_board_has_no_project(tmp_path: Path) -> None:
    part = "xc7a35tcpg236-1"
    context = Context(tmp_path, replace(find_board("Pynq-Z2"), name=part, part=part))
    result = context.run()
    reason = f"there is no project for {part}; its netlist is in rtl/ and fifos/"
    assert (result["status"], result["reason"]) == ("skipped", reason)
    assert context.said == [f"skipped: {reason}"]
