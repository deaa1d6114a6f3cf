"""Every register access of the driver against a script; PG021's offsets and bits are written out again."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driver import DeviceError, DeviceTimeoutError, FaceAccelerator
from driver.dma import Dma
from tests.driver.deployments import EMBEDDING, SIZE
from tests.driver.fake_device import BASE, FakeDevice

MM2S_CONTROL, MM2S_STATUS, MM2S_ADDRESS, MM2S_HIGH, MM2S_LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
S2MM_CONTROL, S2MM_STATUS, S2MM_ADDRESS, S2MM_HIGH, S2MM_LENGTH = 0x30, 0x34, 0x48, 0x4C, 0x58
HALTED, RUNNING, IDLE = 0x1, 0x0, 0x2
Access = tuple[str, int, int]  # kind, offset, value


class ReplayDevice(FakeDevice):
    """Answers register accesses from a script, in order, and takes no other."""

    def __init__(self, bitfile: Path) -> None:
        super().__init__(bitfile, SIZE * SIZE * 3, EMBEDDING)
        self.script: list[Access] = []

    def read_registers(self, address: int, length: int) -> bytes:
        assert length == 4
        kind, offset, value = self.script.pop(0)
        assert (kind, offset) == ("read", address - BASE)
        return struct.pack("<I", value)

    def write_registers(self, address: int, data: Any) -> None:
        assert self.script.pop(0) == ("write", address - BASE, struct.unpack("<I", bytes(data))[0])


def start() -> list[Access]:
    """pynq starts both channels when it makes its DMA object, and the driver after a reset."""
    return [
        ("write", MM2S_CONTROL, 1),
        ("read", MM2S_STATUS, RUNNING),
        ("write", S2MM_CONTROL, 1),
        ("read", S2MM_STATUS, RUNNING),
    ]


def send(buffer: int, nbytes: int, first: bool) -> list[Access]:
    """pynq's transfer: the length starts it. The first one after a start finds a channel that is not idle."""
    status = RUNNING if first else IDLE
    return [
        *(("read", MM2S_STATUS, status), ("read", MM2S_STATUS, status)),
        *(("write", MM2S_ADDRESS, buffer), ("write", MM2S_HIGH, 0), ("write", MM2S_LENGTH, nbytes)),
    ]


def receive(buffer: int, nbytes: int, first: bool) -> list[Access]:
    status = RUNNING if first else IDLE
    return [
        *(("read", S2MM_STATUS, status), ("read", S2MM_STATUS, status)),
        *(("write", S2MM_ADDRESS, buffer), ("write", S2MM_HIGH, 0), ("write", S2MM_LENGTH, nbytes)),
    ]


def finished_send() -> list[Access]:
    """The driver sees that it is idle; then pynq's wait looks: running, status, error, idle, bytes."""
    return [
        *[("read", MM2S_STATUS, RUNNING)] * 2,  # not yet: the driver looks again
        *[("read", MM2S_STATUS, IDLE)] * 5,
        ("read", MM2S_LENGTH, 0),
    ]


def finished_receive(nbytes: int) -> list[Access]:
    return [*[("read", S2MM_STATUS, IDLE)] * 5, ("read", S2MM_LENGTH, nbytes)]


RESET = [
    ("write", MM2S_CONTROL, 4),
    *[("read", MM2S_CONTROL, 4)] * 2,
    ("read", MM2S_CONTROL, 0),
]


@pytest.fixture
def replay(deploy: Path) -> ReplayDevice:
    return ReplayDevice(deploy / "bitfile" / "finn-accel.bit")


def test_two_batches_touch_these_registers_and_no_others(deploy: Path, replay: ReplayDevice) -> None:
    replay.script = start()
    accelerator = FaceAccelerator(deploy, replay, batch_size=2)
    assert replay.script == []
    inputs, outputs = sorted(replay.buffers)[:2], sorted(replay.buffers)[2:]
    replay.script = [
        *send(inputs[0], 2 * 192, first=True),
        *receive(outputs[0], 2 * 64, first=True),
        *finished_send(),
        *send(inputs[1], 192, first=False),
        *finished_receive(2 * 64),
        *receive(outputs[1], 64, first=False),
        *finished_send(),
        *finished_receive(64),
    ]
    accelerator.execute(np.zeros((3, SIZE, SIZE, 3), np.uint8))
    assert replay.script == []
    accelerator.close()
    assert replay.script == []


def test_a_hang_is_ended_by_these_accesses(deploy: Path, replay: ReplayDevice) -> None:
    replay.script = start()
    accelerator = FaceAccelerator(deploy, replay, batch_size=2, timeout_s=1e-9)
    inputs, outputs = sorted(replay.buffers)[:2], sorted(replay.buffers)[2:]
    batch = [*send(inputs[0], 192, first=True), *receive(outputs[0], 64, first=True)]
    replay.script = [
        *batch,
        ("read", MM2S_STATUS, RUNNING),
        *RESET,
        *start(),
        *batch,
        *[("read", MM2S_STATUS, IDLE)] * 5,
        ("read", MM2S_LENGTH, 0),
        *finished_receive(64),
    ]
    accelerator.execute(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert replay.script == []
    assert replay.downloads == 2


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (0x11, "the DMA's output stopped: internal error (a transfer of no bytes, or more came than fits)"),
        (0x21, "the DMA's output stopped: slave error (memory refused the access)"),
        (0x41, "the DMA's output stopped: decode error (no memory at that address)"),
        (0x22, "the DMA's output stopped: slave error (memory refused the access)"),
    ],
)
def test_each_error_bit_has_its_words(status: int, message: str) -> None:
    class Ip:
        def read(self, offset: int) -> int:
            assert offset == S2MM_STATUS
            return status

    with pytest.raises(DeviceError) as error:
        Dma(Ip()).finish_receive(64, time.monotonic() + 100)
    assert str(error.value) == message
    assert not isinstance(error.value, DeviceTimeoutError)


def test_a_channel_that_pynq_finds_busy_is_a_device_error() -> None:
    class Channel:
        def transfer(self, buffer: object, nbytes: int) -> None:
            raise RuntimeError("DMA channel not idle")

    class Ip:
        sendchannel = Channel()

    with pytest.raises(DeviceError, match=r"^DMA channel not idle$"):
        Dma(Ip()).send(None, 4)
