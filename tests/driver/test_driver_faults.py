"""Ten thousand calls with every kind of fault: no frame is lost, no buffer is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from driver import DeviceError, DriverError, FaceAccelerator, InputError
from tests.driver.deployments import EMBEDDING
from tests.driver.fake_device import ERROR, HANG, SHORT, FakeDevice, accumulators

CALLS = 10_000
KINDS = ("good", "good", "good", "bad input", "fault", "fault twice", "reopen", "resize")
BAD = (np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.int8))


def test_ten_thousand_calls_lose_no_frame_and_no_buffer(deploy: Path, device: FakeDevice) -> None:
    rng = np.random.default_rng(2)
    pool = rng.integers(-128, 128, (64, 8, 8, 3), np.int8)
    answers = accumulators(pool, EMBEDDING)
    seen = dict.fromkeys(KINDS, 0)
    accelerator = FaceAccelerator(deploy, device, batch_size=4, timeout_s=0.001)
    for _ in range(CALLS):
        kind = KINDS[rng.integers(len(KINDS))]
        seen[kind] += 1
        start, count = rng.integers(0, 50), rng.integers(1, 14)
        frames, right = pool[start : start + count], answers[start : start + count]
        if kind == "bad input":
            assert fails(accelerator, BAD[rng.integers(len(BAD))]) is InputError
        elif kind == "reopen":
            accelerator.close()
            assert device.buffers == {}
            accelerator = FaceAccelerator(deploy, device, batch_size=4, timeout_s=0.001)
        elif kind == "resize":
            accelerator.batch_size = int(rng.integers(1, 6))
        elif kind.startswith("fault"):
            fault = (HANG, SHORT, ERROR)[rng.integers(3)]
            device.faults.extend([None] * rng.integers(-(-count // accelerator.batch_size)))
            device.faults.append(fault)
        if kind == "fault twice":
            # Whichever batches were on their heels, the one that failed is the first to be sent again.
            device.faults.extend([fault] * 3)
            assert issubclass(fails(accelerator, frames), DeviceError)
            device.faults.clear()
        else:
            assert np.array_equal(accelerator.execute(frames), right)
        assert len(device.buffers) == 4
    accelerator.close()
    assert device.buffers == {}
    assert all(number > CALLS // 20 for number in seen.values())


def fails(accelerator: FaceAccelerator, batch: np.ndarray) -> type[DriverError]:
    """The kind of error that a batch ends in; quicker than pytest.raises."""
    try:
        accelerator.execute(batch)
    except DriverError as error:
        return type(error)
    raise AssertionError("no error")
