"""Seconds that the simulation of a whole accelerator takes for a frame, once its pipeline is full.

    python -m benchmarks.steady_frame build/w4a4 [build/...]

Each build must have run its step `fifos`. Frames go in back to back; the first ones fill the accelerator and
the last ones empty it, so that the median of those between counts. Outputs are compared with the executor's.
Prints a Markdown table; CPU time is what says much on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.markdown import table
from finn_flow.finn_env import prepare_finn
from finn_flow.simulate import build_accelerator, int8_frames, read_sources
from verification.accelerator import Accelerator

FRAMES = 7
STEADY = slice(2, 5)  # of them: more than three are never inside at once


def measure(build: Path) -> tuple[object, ...]:
    """A row of the table. Raises SystemExit if an output is wrong."""
    layers, netlist = build / "rtl", build / "fifos"
    model = ModelWrapper(str(netlist / "model.onnx"))
    size = model.get_tensor_shape(model.graph.input[0].name)[1]
    pixels = int8_frames(FRAMES, None, size)
    library = build_accelerator(read_sources(layers), read_sources(netlist))
    clock, cpu, ends = [], [], []
    with Accelerator(library, layers, model) as accelerator:
        accelerator.start(pixels)
        for frame in range(FRAMES):
            started = time.perf_counter(), time.process_time()
            ends.append(accelerator.advance(frame + 1, 10**9))
            clock.append(time.perf_counter() - started[0])
            cpu.append(time.process_time() - started[1])
        run = accelerator.finish(FRAMES, 10**9)
        want = accelerator.executor.run(pixels)[accelerator.executor.outputs[0]]
    if not (run.accumulators == want.reshape(FRAMES, -1)).all():
        raise SystemExit(f"error: {build}: the accelerator's output differs from the executor's")
    interval = int(np.diff(ends)[-1])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures = (f"{median(seconds[STEADY]):.2f}" for seconds in (clock, cpu))
    return build.name, len(accelerator.fifos), f"{interval:,}", *figures, f"{memory:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="+", type=Path, metavar="BUILD", help="folders of builds")
    arguments = parser.parse_args()
    prepare_finn()
    head = (
        f"build, {len(os.sched_getaffinity(0))} cores",
        "FIFOs",
        "II",
        "s a frame",
        "s of CPU",
        "GiB at most",
    )
    print(table(head, *(measure(build) for build in arguments.builds)))


if __name__ == "__main__":
    main()
