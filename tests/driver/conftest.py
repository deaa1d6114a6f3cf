"""A deploy folder and a device for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from driver import FaceAccelerator
from tests.driver.deployments import EMBEDDING, SIZE, make_deployment
from tests.driver.fake_device import FakeDevice

FRAME_BYTES = SIZE * SIZE * 3


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    return make_deployment(tmp_path / "deploy")


@pytest.fixture
def device(deploy: Path) -> FakeDevice:
    return FakeDevice(deploy / "bitfile" / "finn-accel.bit", FRAME_BYTES, EMBEDDING)


@pytest.fixture
def accelerator(deploy: Path, device: FakeDevice) -> Iterator[FaceAccelerator]:
    """Batches of 4; a hang is noticed after 5 ms, which the fake never takes: it is done at once."""
    with FaceAccelerator(deploy, device, batch_size=4, timeout_s=0.005) as accelerator:
        yield accelerator
    assert device.buffers == {}


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (11, SIZE, SIZE, 3), np.uint8)
