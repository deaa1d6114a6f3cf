"""The measurements of FINN's `throughput_test`, under its keys, and what it leaves out: all together."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from driver.accelerator import FaceAccelerator

Result = TypeVar("Result")
BATCHES = 8  # of the measurement with data movement, so that packing and running overlap


def throughput_test(accelerator: FaceAccelerator) -> dict[str, float]:
    """Milliseconds, frames a second and MB a second on batches of zeros.

    `runtime[ms]`, `throughput[images/s]` and the bandwidths are those of a batch that is in the buffers;
    `..._with_data_movement` are those of `execute` on eight batches: packing, running, unpacking. Then the
    steps before and after the accelerator, one by one.
    """
    size = accelerator.batch_size
    bytes_in, bytes_out = (
        int(np.prod(accelerator.ishape_packed())),
        int(np.prod(accelerator.oshape_packed())),
    )
    result: dict[str, float] = {}
    frames = np.zeros(accelerator.ishape_normal(), np.int8)
    packed_out = np.empty(accelerator.oshape_packed(), np.uint8)
    steps: dict[str, float] = {}
    folded = _timed(steps, "fold_input[ms]", lambda: accelerator.fold_input(frames))
    packed = _timed(steps, "pack_input[ms]", lambda: accelerator.pack_input(folded))
    _timed(steps, "copy_input_data_to_device[ms]", lambda: accelerator.copy_input_data_to_device(packed))
    runtime = _seconds(accelerator.execute_on_buffers)
    _timed(
        steps,
        "copy_output_data_from_device[ms]",
        lambda: accelerator.copy_output_data_from_device(packed_out),
    )
    out = _timed(steps, "unpack_output[ms]", lambda: accelerator.unpack_output(packed_out))
    _timed(steps, "unfold_output[ms]", lambda: accelerator.unfold_output(out))
    result["runtime[ms]"] = runtime * 1e3
    result["throughput[images/s]"] = size / runtime
    result["DRAM_in_bandwidth[MB/s]"] = bytes_in * 1e-6 / runtime
    result["DRAM_out_bandwidth[MB/s]"] = bytes_out * 1e-6 / runtime
    result["fclk[mhz]"] = accelerator.fclk_mhz
    result["batch_size"] = size
    many = np.zeros((BATCHES * size, *frames.shape[1:]), np.uint8)
    everything = _seconds(lambda: accelerator.execute(many))
    result["runtime_with_data_movement[ms]"] = everything * 1e3
    result["throughput_with_data_movement[images/s]"] = len(many) / everything
    return {**result, **steps}


def _seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _timed(steps: dict[str, float], name: str, action: Callable[[], Result]) -> Result:
    start = time.perf_counter()
    result = action()
    steps[name] = (time.perf_counter() - start) * 1e3
    return result
