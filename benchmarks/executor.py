"""Seconds a frame of the integer executor and of FINN's execute_onnx, on the same hardware graph.

    python -m benchmarks.executor --model hw.onnx [--frames N] [--finn-frames N]

Both run in this process on the same random frames, and their outputs must be equal. The best of three runs
of the executor counts, and the best frame of execute_onnx. Prints a Markdown table, with the CPU time of all
threads beside the time on the clock (on a busy machine only the former says much), and where the executor's
time goes by kind of op.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.finn_env import prepare_finn
from verification.executor import Executor
from verification.executor.plan import Step

REPEATS = 3


@dataclass(frozen=True)
class Seconds:
    """A frame's time on the clock, and that of all threads together."""

    clock: float
    cpu: float

    @classmethod
    def of(cls, call: Callable[[], Any], frames: int = 1) -> tuple[Seconds, Any]:
        clock, cpu = time.perf_counter(), time.process_time()
        result = call()
        return cls((time.perf_counter() - clock) / frames, (time.process_time() - cpu) / frames), result

    @classmethod
    def best(cls, measured: list[Seconds]) -> Seconds:
        return cls(min(one.clock for one in measured), min(one.cpu for one in measured))


@dataclass
class Timed:
    """A step that adds the CPU time it takes to its kind's."""

    step: Step
    seconds: dict[str, float]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def run(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        start = time.thread_time()
        output = self.step.run(tensors)
        self.seconds[self.step.node.kind] += time.thread_time() - start
        return output


def random_frames(executor: Executor, model: ModelWrapper, count: int) -> np.ndarray:
    """Frames of the graph's shape over the range of its input type."""
    datatype: Any = model.get_tensor_datatype(executor.input) or DataType["INT8"]
    shape = (count, *executor.streams[executor.input].shape[1:])
    return np.random.default_rng(0).integers(int(datatype.min()), int(datatype.max()) + 1, shape)


def time_finn(model: ModelWrapper, frames: np.ndarray) -> tuple[Seconds, np.ndarray]:
    """The fastest frame's time, and the output of all."""
    prepare_finn()
    from finn.core.onnx_exec import execute_onnx

    source, target = model.graph.input[0].name, model.graph.output[0].name
    inputs = [{source: frame[None].astype(np.float32)} for frame in frames]
    measured = [Seconds.of(partial(execute_onnx, model, given)) for given in inputs]
    best = Seconds.best([seconds for seconds, _ in measured])
    return best, np.concatenate([outputs[target] for _, outputs in measured])


def time_executor(executor: Executor, frames: np.ndarray) -> tuple[Seconds, np.ndarray]:
    """A frame's time in the fastest run, and the output of all."""
    measured = [Seconds.of(lambda: executor.run(frames), len(frames)) for _ in range(REPEATS)]
    return Seconds.best([seconds for seconds, _ in measured]), measured[0][1][executor.outputs[0]]


def time_by_kind(executor: Executor, frames: np.ndarray) -> dict[str, float]:
    """CPU seconds a frame of each kind of op."""
    seconds: dict[str, float] = defaultdict(float)
    steps = executor.steps
    executor.steps = tuple(Timed(step, seconds) for step in steps)  # type: ignore[misc]
    executor.run(frames)
    executor.steps = steps
    return {kind: value / len(frames) for kind, value in sorted(seconds.items(), key=lambda item: -item[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a hardware graph, ONNX")
    parser.add_argument("--frames", type=int, default=16, help="frames for the executor (default 16)")
    parser.add_argument(
        "--finn-frames", type=int, default=2, help="of these, frames for execute_onnx (default 2)"
    )
    arguments = parser.parse_args()
    model = ModelWrapper(arguments.model)
    planning, executor = Seconds.of(lambda: Executor(model))
    frames = random_frames(executor, model, max(arguments.frames, arguments.finn_frames))
    finn, expected = time_finn(model, frames[: arguments.finn_frames])
    ours, outputs = time_executor(executor, frames)
    if not (outputs[: len(expected)] == expected).all():
        raise SystemExit("error: the executor's output differs from execute_onnx's")

    cores, finn_name = len(os.sched_getaffinity(0)), f"execute_onnx, finn-plus {version('finn-plus')}"
    rows = [
        (
            f"{len(executor.steps)} nodes, {cores} cores, outputs equal",
            "frames",
            "s a frame",
            "CPU s a frame",
        ),
        ("---", "---", "---", "---"),
        (finn_name, len(expected), f"{finn.clock:.2f}", f"{finn.cpu:.2f}"),
        (f"executor, torch {version('torch')}", len(frames), f"{ours.clock:.4f}", f"{ours.cpu:.4f}"),
        ("times faster", "", f"{finn.clock / ours.clock:.0f}", f"{finn.cpu / ours.cpu:.0f}"),
    ]
    print("\n".join(f"| {' | '.join(map(str, row))} |" for row in rows))
    by_kind = ", ".join(
        f"{kind} {1000 * value:.2f}" for kind, value in time_by_kind(executor, frames).items()
    )
    print(f"\nPlanned in {planning.clock:.1f} s. CPU milliseconds a frame: {by_kind}.")


if __name__ == "__main__":
    main()
