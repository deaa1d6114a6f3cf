"""The board's DRAM, and the host's cache in front of it.

A buffer exists twice, as it does on the board: what the host sees (its cache) and what a DMA sees (the DRAM).
`flush` and `invalidate` copy between them and nothing else does, so that a driver that forgets one gets old
data here every time, not now and then.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driver.emulated.errors import EmulationError

PAGE = 4096
BASE, SIZE = 0x1000_0000, 0x1000_0000  # 256 MiB for the programmable logic, as PYNQ's images reserve
FILL = 0xA5  # of new memory: nothing may rely on zeros


@dataclass(eq=False)
class Block:
    """One allocation: its device address, and its bytes in the host's cache."""

    address: int
    cached: NDArray[np.uint8]

    @property
    def end(self) -> int:
        return self.address + len(self.cached)


class Memory:
    """The DRAM that a DMA reaches: `SIZE` bytes from `BASE`."""

    def __init__(self) -> None:
        self._dram = np.zeros(SIZE, np.uint8)  # the operating system gives pages as they are touched
        self._blocks: list[Block] = []  # by address

    @property
    def buffers(self) -> int:
        """How many allocations have not been freed."""
        return len(self._blocks)

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(len(block.cached) for block in self._blocks)

    def allocate(self, size: int) -> Block:
        """The lowest free pages that hold `size` bytes. Raises RuntimeError, as PYNQ does, if none do."""
        need = PAGE * max(1, math.ceil(size / PAGE))
        address = BASE
        for block in self._blocks:
            if block.address - address >= need:
                break
            address = block.address + PAGE * max(1, math.ceil(len(block.cached) / PAGE))
        if address + need > BASE + SIZE:
            raise RuntimeError(f"BO allocation failed: no {size} bytes left, {self.bytes} in use")
        block = Block(address, np.full(size, FILL, np.uint8))
        self._dram[address - BASE : block.end - BASE] = FILL
        bisect.insort(self._blocks, block, key=lambda other: other.address)
        return block

    def return_pointer(self, block: Block) -> None:
        """Free an allocation. The name is that of PYNQ's interface."""
        self._blocks.remove(block)

    def flush(self, block: Block, offset: int, size: int) -> None:
        """Cache to DRAM."""
        self.at(block.address + offset, size)[:] = block.cached[offset : offset + size]

    def invalidate(self, block: Block, offset: int, size: int) -> None:
        """DRAM to cache."""
        block.cached[offset : offset + size] = self.at(block.address + offset, size)

    def decodes(self, address: int, size: int) -> bool:
        """Whether there is memory at all."""
        return address >= BASE and address + size <= BASE + SIZE

    def at(self, address: int, size: int) -> NDArray[np.uint8]:
        """What a DMA reads or writes. Raises EmulationError if it is not all in one allocation."""
        for block in self._blocks:
            if block.address <= address and address + size <= block.end:
                return self._dram[address - BASE : address - BASE + size]
        raise EmulationError(f"a transfer of {size} bytes at {address:#x} leaves every allocated buffer")
