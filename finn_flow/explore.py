"""The foldings worth having on a board: frames a second against LUTs and DSPs.

For every initiation interval (II) that the network can have, the foldings of least cost, of fewest LUTs
and of fewest DSPs within the headroom; what none of the others beats in all three is the Pareto front. In
`explore/` of the build: `front.png` (where anything fits), `front.json`, `front.csv`, and each point as a
folding file that `folding_config_file` takes.

Intervals are spread over processes. What is finished is written at once, in `explore/intervals/`, and is
not computed again while the network, the board, the headroom and the code are the same.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.artifacts import code_hash, file_hash, json_hash, read_json, write_json
from finn_flow.boards import Board
from finn_flow.console import Console
from finn_flow.folding.exact import Solution, least_cost
from finn_flow.folding.files import save_folding
from finn_flow.folding.problem import Floats, Problem
from finn_flow.folding.solver import Room, folding_of
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.report.front_figure import front_png
from finn_flow.resources import RESOURCE_LABELS, RESOURCE_NAMES

AIMS = ("cost", "LUT", "DSP")
GAP, SECONDS = 1e-4, 20.0  # of the proof of a point
REST = (
    1e-3  # weight of all other resources, so that of two foldings with the same LUTs the cheaper one is taken
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """A folding. aim: what it has least of at this II; gap: share of that which might be saved at most."""

    interval: int
    fps: float
    aim: str
    usage: dict[str, int]  # by label of the resource
    gap: float
    file: str

    @property
    def coordinates(self) -> tuple[float, int, int]:
        """What a front is made of: less is better."""
        return self.interval, self.usage["LUT"], self.usage["DSP"]


def explore(lowered: Path, board: Board, headroom: float, folder: Path, console: Console) -> list[Point]:
    """Compute what is missing in `folder`, write the front and return it, fastest first.

    lowered: the hardware graph of the step `lower`.
    """
    model = ModelWrapper(str(lowered)).transform(FuseWindowPadding())
    problem, room = Problem.of(model, board.dsp_block), Room.on(board, headroom)
    key = json_hash([file_hash(lowered), asdict(board), headroom, AIMS, GAP, SECONDS, code_hash()])
    intervals = folder / "intervals"
    intervals.mkdir(parents=True, exist_ok=True)
    missing = [c for c in problem.candidates() if _finished(intervals / f"{c}.json", key) is None]
    with console.progress("Exploring intervals", len(problem.candidates())) as advance:
        advance(len(problem.candidates()) - len(missing))
        for interval, solutions in _solve_all(problem, room, missing):
            rows = [
                asdict(
                    _write(problem, solution, board, folder, f"folding_{interval}_{aim.lower()}.json", aim)
                )
                for aim, solution in solutions.items()
            ]
            write_json(intervals / f"{interval}.json", {"key": key, "points": rows})
            advance(1)
    points = [
        Point(**row)
        for interval in problem.candidates()
        for row in _finished(intervals / f"{interval}.json", key) or ()
    ]
    front = pareto(points)
    write_json(folder / "front.json", [asdict(point) for point in front])
    (folder / "front.csv").write_text(_table(front))
    (folder / "front.png").unlink(missing_ok=True)
    if front:
        bounds = dict(zip(RESOURCE_LABELS.values(), map(int, room.bounds), strict=True))
        png = front_png([(p.fps, p.usage, p.aim) for p in front], bounds, board.name)
        (folder / "front.png").write_bytes(png)
    return front


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats or equals in all of II, LUTs and DSPs; of equals the first.

    >>> def at(*place): return Point(place[0], 0.0, "cost", {"LUT": place[1], "DSP": place[2]}, 0.0, "")
    >>> front = pareto([at(1, 9, 9), at(2, 9, 9), at(2, 8, 9), at(2, 9, 1), at(2, 8, 9)])
    >>> [point.coordinates for point in front]
    [(1, 9, 9), (2, 8, 9), (2, 9, 1)]
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: point.coordinates):
        # Sorted, whatever beats or equals a point stands before it.
        if not any(_no_worse(other, point) for other in front):
            front.append(point)
    return front


def _no_worse(one: Point, other: Point) -> bool:
    return all(a <= b for a, b in zip(one.coordinates, other.coordinates, strict=True))


def _finished(path: Path, key: str) -> list[Row] | None:
    """The points of an interval, computed from the same; None if they are not there."""
    content = read_json(path)
    same = isinstance(content, dict) and content.get("key") == key
    if same and all((path.parents[1] / row["file"]).is_file() for row in content["points"]):
        return content["points"]
    return None


def _write(problem: Problem, solution: Solution, board: Board, folder: Path, file: str, aim: str) -> Point:
    """Write the folding file of a solution; returns its point."""
    interval = max(option.interval for option in problem.options(solution.choice))
    save_folding(folder / file, folding_of(problem, solution))
    usage = dict(zip(RESOURCE_LABELS.values(), map(int, solution.usage), strict=True))
    fps = 1e9 / board.clk_period_ns / interval
    return Point(interval, fps, aim, usage, solution.gap, file)


def _table(front: Iterable[Point]) -> str:
    """The front as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["fps", "interval", "aim", *RESOURCE_LABELS.values(), "gap", "file"])
    for point in front:
        used = point.usage.values()
        writer.writerow([f"{point.fps:.2f}", point.interval, point.aim, *used, point.gap, point.file])
    return out.getvalue()


# --- solving, in processes of their own ---

_shared: dict[str, Any] = {}  # of a process: what all its intervals have in common


def _solve_all(
    problem: Problem, room: Room, intervals: list[int]
) -> Iterator[tuple[int, dict[str, Solution]]]:
    """The solutions of every interval, as they come."""
    if not intervals:
        return
    workers = min(len(intervals), os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _prepare, (problem, room)) as pool:
        try:
            yield from _results(pool, intervals)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _results(pool: Executor, intervals: list[int]) -> Iterator[tuple[int, dict[str, Solution]]]:
    futures = {pool.submit(solve_interval, interval): interval for interval in intervals}
    for future in as_completed(futures):
        yield futures[future], future.result()


def _prepare(problem: Problem, room: Room) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends the pool
    _shared.update(problem=problem, room=room)


def solve_interval(interval: int) -> dict[str, Solution]:
    """By aim, the best folding of at most this II; none where nothing fits or nothing was found in time."""
    problem, room = _shared["problem"], _shared["room"]
    solutions: dict[str, Solution] = {}
    for aim in AIMS:
        solution = least_cost(problem, interval, _weights(aim, room.unit), room.bounds, GAP, SECONDS)
        if not isinstance(solution, Solution):
            break  # what does not fit does not fit for any aim
        solutions[aim] = solution
    return solutions


def _weights(aim: str, unit: Floats) -> Floats:
    if aim == "cost":
        return unit
    labels = [RESOURCE_LABELS[name] for name in RESOURCE_NAMES]
    return unit * np.where(np.array(labels) == aim, 1.0, REST)
