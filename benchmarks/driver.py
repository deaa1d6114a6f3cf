"""What the host does to a frame before and after the accelerator, on one core: `python -m benchmarks.driver`.

Checking and packing into the DMA's buffer, copying the accumulators out, scaling and normalising.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from driver.deploy import Deployment, open_deployment
from driver.host import check_frames, embeddings, pack, unpack

ROUNDS = 20


def frames_per_second(action: Callable[[], object], frames: int) -> float:
    """The best of some rounds: what the code takes, not what else the machine does."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return frames / min(times)


def measure(deployment: Deployment, batch: int) -> dict[str, float]:
    """Frames a second of each step, and of all of them together."""
    rng = np.random.default_rng(0)
    stream, length = deployment.input, deployment.output.count
    faces = rng.integers(0, 256, (batch, *stream.shape), np.uint8)
    packed = np.empty((batch, stream.count), np.int8)
    device = rng.integers(-(2**18), 2**18, (batch, length), np.int32)
    out = np.empty((batch, length), np.int32)

    def before() -> None:
        pack(check_frames(faces, stream), packed)

    def after() -> None:
        unpack(device, out)
        embeddings(out, deployment)

    def both() -> None:
        before()
        after()

    steps = {"check and pack": before, "unpack, scale, normalise": after, "all": both}
    return {name: frames_per_second(step, batch) for name, step in steps.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.driver", description=__doc__.splitlines()[0])
    parser.add_argument("--deploy", type=Path, default=Path("build/w4a4/deploy"), metavar="DIR")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N")
    options = parser.parse_args()
    deployment = open_deployment(options.deploy)
    for name, rate in measure(deployment, options.batch_size).items():
        print(f"{name:<26}{rate:>12,.0f} frames/s")


if __name__ == "__main__":
    main()
