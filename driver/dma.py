"""The AXI DMA (Xilinx PG021, direct register mode): pynq's channels, and what they lack: waits that end.

pynq's `wait` spins for ever when a transfer does not end, and does not say which error halted a channel.
"""

from __future__ import annotations

import time
from typing import Any

from driver.errors import DeviceError, DeviceTimeoutError

MM2S, S2MM = 0x00, 0x30  # registers of the channel into the accelerator, and of the one out of it
CONTROL, STATUS = 0x0, 0x4
RESET = 1 << 2  # in the control register of either channel; resets both
IDLE = 1 << 1
ERRORS = {
    1 << 4: "internal error (a transfer of no bytes, or more came than fits)",
    1 << 5: "slave error (memory refused the access)",
    1 << 6: "decode error (no memory at that address)",
}
POLL_S = 50e-6  # between two looks at the status: short beside a frame, long beside a register access
RESET_S = 1.0  # a reset ends with the transactions under way, which takes microseconds


class Dma:
    """One AXI DMA. ip: its `pynq.lib.dma.DMA`. `send` and `receive` begin a transfer, `finish_*` end it."""

    def __init__(self, ip: Any) -> None:
        self._ip = ip

    @property
    def most_bytes(self) -> int:
        """The longest transfer that its length register holds."""
        return int(self._ip.buffer_max_size)

    def send(self, buffer: Any, nbytes: int) -> None:
        """Begin to bring the first bytes of a buffer into the accelerator. The last one carries TLAST."""
        _begin(self._ip.sendchannel, buffer, nbytes)

    def receive(self, buffer: Any, nbytes: int) -> None:
        """Begin to fill the first bytes of a buffer with what comes out."""
        _begin(self._ip.recvchannel, buffer, nbytes)

    def finish_send(self, deadline: float) -> None:
        """Wait until the input is in. deadline: by time.monotonic(). Raises DeviceError."""
        self._wait(MM2S, "input", deadline)
        self._ip.sendchannel.wait()

    def finish_receive(self, nbytes: int, deadline: float) -> None:
        """Wait until the output is there, all of it. Raises DeviceError."""
        self._wait(S2MM, "output", deadline)
        self._ip.recvchannel.wait()
        got = self._ip.recvchannel.transferred
        if got != nbytes:
            raise DeviceError(f"the accelerator ended its output after {got} of {nbytes} bytes")

    def reset(self) -> None:
        """Stop whatever is under way, in both channels. Raises DeviceTimeoutError if the DMA does not."""
        self._ip.write(MM2S + CONTROL, RESET)
        deadline = time.monotonic() + RESET_S
        while self._ip.read(MM2S + CONTROL) & RESET:
            if time.monotonic() > deadline:
                raise DeviceTimeoutError(
                    "the DMA does not answer to its reset; is the clock of the design running?"
                )
            time.sleep(POLL_S)

    def start(self) -> None:
        """Let both channels take transfers again after a reset."""
        self._ip.sendchannel.start()
        self._ip.recvchannel.start()

    def _wait(self, channel: int, name: str, deadline: float) -> None:
        while True:
            status = self._ip.read(channel + STATUS)
            for bit, meaning in ERRORS.items():
                if status & bit:
                    raise DeviceError(f"the DMA's {name} stopped: {meaning}")
            if status & IDLE:
                return
            if time.monotonic() > deadline:
                raise DeviceTimeoutError(
                    f"the accelerator's {name} did not end in time (DMA status {status:#x})"
                )
            time.sleep(POLL_S)


def _begin(channel: Any, buffer: Any, nbytes: int) -> None:
    try:
        channel.transfer(buffer, nbytes=nbytes)
    except RuntimeError as error:  # pynq's, if the channel is halted or busy
        raise DeviceError(str(error)) from None
