"""Exploring a board: the front, its files, and that what is finished is kept."""

from __future__ import annotations

import csv
import io
import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

import finn_flow.explore
from finn_flow.boards import Board
from finn_flow.command import run
from finn_flow.console import Console
from finn_flow.explore import Point, explore, pareto
from finn_flow.folding import apply_folding, load_folding
from finn_flow.folding.fifos import network_resources
from finn_flow.folding.problem import Problem
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.performance import layer_cycles
from tests.hw_graphs import HardwareGraph

BOARD = Board("small", "xczu1", lut=6_000, ff=12_000, bram18=20, uram=0, dsp=60)
HEADROOM = 0.8


def network() -> ModelWrapper:
    """Where LUTs, block RAMs and DSPs stand in for each other; the fastest folding does not fit."""
    graph = HardwareGraph(8, 8, "UINT4").mvau(16, 4).thresholding(4)
    return graph.pad().window(3, depthwise=True).vvau(4).requant(4).mvau(16, 4).model()


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the lowered graph and what exploring it left, in two processes."""
    folder = tmp_path_factory.mktemp("explored")
    network().save(str(folder / "model.onnx"))
    explore(folder / "model.onnx", BOARD, HEADROOM, folder / "explore", Console(io.StringIO()))
    return folder


def points(folder: Path) -> list[Point]:
    return [Point(**row) for row in json.loads((folder / "explore" / "front.json").read_text())]


def test_every_point_is_a_folding_file_that_does_what_the_point_says(explored: Path) -> None:
    front = points(explored)
    assert len(front) > 5
    for point in front:
        model = network().transform(FuseWindowPadding())
        folded = apply_folding(model, load_folding(explored / "explore" / point.file, model))
        assert max(layer_cycles(folded).values()) == point.interval
        assert point.fps == pytest.approx(1e9 / 5 / point.interval)
        counts = network_resources(folded, BOARD.dsp_block).counts
        assert list(point.usage.values()) == list(counts)
        assert (np.array(counts) <= HEADROOM * np.array([6_000, 12_000, 20, 0, 60])).all()


def test_the_front_trades_luts_for_dsps_and_both_for_speed(explored: Path) -> None:
    front = points(explored)
    assert {point.aim for point in front} > {"cost"}
    for one in front:
        for other in front:
            worse = [a > b for a, b in zip(one.coordinates, other.coordinates, strict=True)]
            assert one == other or any(worse) or one.coordinates < other.coordinates
    assert [point.interval for point in front] == sorted(point.interval for point in front)


def test_the_fastest_folding_does_not_fit_and_is_not_there(explored: Path) -> None:
    problem = Problem.of(network().transform(FuseWindowPadding()), BOARD.dsp_block)
    least = problem.candidates()[0]
    assert json.loads((explored / "explore" / "intervals" / f"{least}.json").read_text())["points"] == []
    assert points(explored)[0].interval > least


def test_table_and_picture(explored: Path) -> None:
    folder = explored / "explore"
    rows = list(csv.DictReader((folder / "front.csv").open()))
    front = points(explored)
    assert [(int(row["interval"]), int(row["LUT"]), int(row["DSP"])) for row in rows] == [
        point.coordinates for point in front
    ]
    assert [row["file"] for row in rows] == [point.file for point in front]
    picture = matplotlib.image.imread(folder / "front.png")
    assert picture.shape[0] < picture.shape[1]
    assert picture.std() > 0.05


def again(folder: Path, headroom: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Explore once more without processes; returns the intervals that were computed."""
    computed: list[int] = []

    def solve_all(problem: Any, room: Any, intervals: list[int]) -> Iterator[tuple[int, dict]]:
        computed.extend(intervals)
        yield from ((interval, {}) for interval in intervals)

    monkeypatch.setattr(finn_flow.explore, "_solve_all", solve_all)
    out = folder / "explore"
    explore(folder / "model.onnx", BOARD, headroom, out, Console(io.StringIO()))
    return computed


def test_what_is_finished_is_not_computed_again(explored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (explored / "explore" / "front.json").read_text()
    assert again(explored, HEADROOM, monkeypatch) == []
    assert (explored / "explore" / "front.json").read_text() == before


def test_what_is_missing_or_was_computed_for_another_board_is(
    explored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes((explored / "model.onnx").read_bytes())
    (tmp_path / "explore" / "intervals").mkdir(parents=True)
    for file in (explored / "explore").rglob("*.json"):
        (tmp_path / file.relative_to(explored)).write_bytes(file.read_bytes())
    front = points(explored)
    interval = int(front[0].file.split("_")[1])
    (tmp_path / "explore" / front[0].file).unlink()
    assert again(tmp_path, HEADROOM, monkeypatch) == [interval]
    assert len(again(tmp_path, 0.7, monkeypatch)) == len(list((tmp_path / "explore/intervals").iterdir()))
    assert points(tmp_path) == []
    assert not (tmp_path / "explore" / "front.png").exists()  # nothing to draw, and none from before


@pytest.mark.parametrize("seed", range(5))
def test_front_holds_what_nothing_beats(seed: int) -> None:
    random = np.random.default_rng(seed)
    cloud = [
        Point(int(i), 0.0, "cost", {"LUT": int(a), "DSP": int(b)}, 0.0, str(n))
        for n, (i, a, b) in enumerate(random.integers(0, 8, (60, 3)))
    ]
    front = pareto(cloud)
    places = {point.coordinates for point in cloud}
    best = {
        place
        for place in places
        if not any(
            other != place and all(a <= b for a, b in zip(other, place, strict=True)) for other in places
        )
    }
    assert [point.coordinates for point in front] == sorted(best)


def test_exploring_excludes_an_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config, out = Path(__file__).parents[1] / "hw_configs" / "tiny.json", tmp_path / "out"
    options = {"config": config, "output_dir": out, "images": None, "list": False, "debug": False}
    assert run(Namespace(**options, explore=True, from_step=None, to_step="fold", force=False)) == 2
    assert capsys.readouterr().err == (
        "error: --to = 'fold': excludes --explore, which builds up to lower; leave it out\n"
    )
    assert not out.exists()
