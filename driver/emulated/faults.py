"""Faults that a test makes a DMA channel have, one transfer each.

    device.dma.receive.faults = iter([None, HANG, short(100), error(SLAVE_ERROR), NO_LAST])

makes the second to fifth transfer of the channel fail, and those after them go well again.
"""

from __future__ import annotations

from dataclasses import dataclass

INTERNAL_ERROR, SLAVE_ERROR, DECODE_ERROR = 0x10, 0x20, 0x40  # bits of DMASR


@dataclass(frozen=True)
class Fault:
    """kind: hang, short, no_last or error. size: of a short transfer, in bytes. bit: of DMASR."""

    kind: str
    size: int = 0
    bit: int = 0


HANG = Fault("hang")  # the channel moves nothing
NO_LAST = Fault("no_last")  # receiving: the packet's TLAST is lost. Sending: none is sent


def short(size: int) -> Fault:
    """The transfer completes after `size` bytes. Receiving: the rest of the packet is lost."""
    return Fault("short", size=size)


def error(bit: int) -> Fault:
    """The transfer ends with an error bit and has moved nothing. The host sees it at its second look."""
    return Fault("error", bit=bit)
