"""A `pynq.Device` whose fabric is one line of numpy: quick enough for tens of thousands of calls.

The real `pynq.Overlay`, `allocate` and `pynq.lib.dma` run on it. Its AXI DMA has the registers of PG021
(direct register mode) as far as pynq and the driver use them, and the faults that tests ask for.
"""

from __future__ import annotations

import struct
from collections import deque
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from pynq.buffer import PynqBuffer
from pynq.pl_server.device import Device

BASE = 0x4000_0000
MM2S, S2MM = 0x00, 0x30
CONTROL, STATUS, ADDRESS, LENGTH = 0x00, 0x04, 0x18, 0x28
HALTED, IDLE, SLAVE_ERROR = 0x1, 0x2, 0x20
PARAMETERS = {
    "c_include_mm2s": "1",
    "c_include_s2mm": "1",
    "c_include_sg": "0",
    "c_sg_length_width": "26",
    "c_m_axi_mm2s_data_width": "32",
    "c_m_axi_s2mm_data_width": "32",
}
HANG, SHORT, ERROR = "hang", "short", "error"  # faults of one batch


def accumulators(pixels: np.ndarray, count: int) -> np.ndarray:
    """What the fake computes of int8 frames (N, ...): int32 (N, count) that tell one frame from another."""
    flat = pixels.reshape(len(pixels), int(np.prod(pixels.shape[1:]))).astype(np.float64)
    return (flat @ _weights(flat.shape[1], count)).astype(np.int32)


@cache
def _weights(inputs: int, outputs: int) -> np.ndarray:
    """Small integers, for a product that a double holds exactly."""
    return np.random.default_rng(9).integers(-99, 100, (inputs, outputs)).astype(np.float64)


class FakeDevice(Device):
    """frame_bytes: of one input frame; count: accumulators of one output frame.

    faults: what befalls the next batches, in order: HANG, SHORT, ERROR or None. parameters: of the DMA.
    """

    def __init__(self, bitfile: Path, frame_bytes: int, count: int, **parameters: str) -> None:
        super().__init__("fake")
        self.name = "fake"
        self.capabilities = {"REGISTER_RW": True}
        self.emulated_bitfile = bitfile
        self.frame_bytes, self.count = frame_bytes, count
        self.parameters = PARAMETERS | parameters
        self.faults: deque[str | None] = deque()
        self.buffers: dict[int, PynqBuffer] = {}
        self.allocated = self.downloads = self.resets = self.batches = 0
        self.deaf = False  # whether the DMA ignores its reset
        self.log: list[tuple[str, int, int]] | None = None  # register accesses: kind, offset, value
        self._next = 0x1000_0000
        self._power_on()

    # -- memory

    def allocate(self, shape: Any, dtype: Any, **_: Any) -> PynqBuffer:
        buffer = PynqBuffer(shape, dtype, device=self, device_address=self._next, coherent=True)
        buffer.memory, buffer.pointer, buffer.return_to = self, self._next, self
        self.buffers[self._next] = buffer
        self._next += (buffer.nbytes + 0xFFF) & ~0xFFF
        self.allocated += 1
        return buffer

    def return_pointer(self, pointer: int) -> None:
        """Called by PynqBuffer.freebuffer."""
        self.buffers.pop(pointer).freed = True  # or it asks for a munmap when it is collected

    def flush(self, *_: Any) -> None: ...

    def invalidate(self, *_: Any) -> None: ...

    # -- bitstream

    def get_bitfile_metadata(self, name: str, partial: bool = False) -> Any:
        dma = {
            "fullpath": "axi_dma_0",
            "type": "xilinx.com:ip:axi_dma:7.1",
            "phys_addr": BASE,
            "addr_range": 0x10000,
            "parameters": self.parameters,
            "gpio": {},
            "interrupts": {},
            "registers": {},
            "state": None,
        }
        empty: dict[str, Any] = {
            name: {} for name in ("gpio_dict", "interrupt_controllers", "interrupt_pins")
        }
        more: dict[str, Any] = {name: {} for name in ("hierarchy_dict", "mem_dict", "clock_dict")}
        return SimpleNamespace(ip_dict={"axi_dma_0": dma}, systemgraph=None, **empty, **more)

    def download(self, bitstream: Any, parser: Any = None) -> None:
        self.downloads += 1
        self._power_on()
        bitstream.timestamp = str(self.downloads)
        self.reset(parser, bitstream.timestamp, bitstream.bitfile_name)

    # -- registers

    def read_registers(self, address: int, length: int) -> bytes:
        offset = address - BASE
        value = self._registers.get(offset, 0)
        if self.log is not None:
            self.log.append(("read", offset, value))
        return struct.pack("<I", value)

    def write_registers(self, address: int, data: Any) -> None:
        offset, value = address - BASE, struct.unpack("<I", bytes(data))[0]
        if self.log is not None:
            self.log.append(("write", offset, value))
        if offset in (MM2S + CONTROL, S2MM + CONTROL):
            self._control(offset, value)
        else:
            self._registers[offset] = value
            if offset in (MM2S + LENGTH, S2MM + LENGTH):
                self._begin(offset - LENGTH, value)

    def _power_on(self) -> None:
        self._registers = {channel + STATUS: HALTED for channel in (MM2S, S2MM)}
        self._inside: deque[tuple[np.ndarray, str | None]] = deque()  # batches inside, each with its fault

    def _control(self, offset: int, value: int) -> None:
        self._registers[offset] = value
        if value & 4 and not self.deaf:
            self.resets += 1
            inside = self._inside
            self._power_on()
            self._inside = inside  # a reset of the DMA does not empty the accelerator
        elif value & 1:
            self._registers[offset + STATUS - CONTROL] &= ~HALTED
        elif not value & 4:
            self._registers[offset + STATUS - CONTROL] |= HALTED

    def _begin(self, channel: int, nbytes: int) -> None:
        assert not self._registers[channel + STATUS] & HALTED, "a transfer on a halted channel"
        self._registers[channel + STATUS] &= ~IDLE
        if channel == MM2S:
            fault = self.faults.popleft() if self.faults else None
            self.batches += 1
            data = self._memory(MM2S, nbytes).copy()
            self._inside.append((data, fault))
            self._registers[MM2S + STATUS] |= IDLE
        self._deliver()

    def _deliver(self) -> None:
        """End the output's transfer if it is under way and a batch is inside."""
        status = self._registers[S2MM + STATUS]
        if status & (HALTED | IDLE) or not self._registers.get(S2MM + LENGTH) or not self._inside:
            return
        data, fault = self._inside[0]
        if fault == HANG:
            return
        self._inside.popleft()
        if fault == ERROR:
            self._registers[S2MM + STATUS] |= SLAVE_ERROR | HALTED
            return
        out = (
            accumulators(data.view(np.int8).reshape(-1, self.frame_bytes), self.count).view(np.uint8).ravel()
        )
        out = out[: len(out) - (4 if fault == SHORT else 0)]
        assert len(out) <= self._registers[S2MM + LENGTH], "more comes out than the driver asked for"
        self._memory(S2MM, len(out))[:] = out
        self._registers[S2MM + LENGTH] = len(out)
        self._registers[S2MM + STATUS] |= IDLE

    def _memory(self, channel: int, nbytes: int) -> np.ndarray:
        buffer = self.buffers[self._registers[channel + ADDRESS]]  # KeyError: not a buffer that is in use
        return np.asarray(buffer).reshape(-1).view(np.uint8)[:nbytes]
