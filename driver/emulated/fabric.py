"""What a fabric is: the programmable logic between the two streams of the DMA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
NOTHING = np.empty(0, np.uint8)


@dataclass(frozen=True)
class Step:
    """What one step of the clock brought. data: that left the fabric; last: its last beat ended a packet.

    stalled: nothing moves any more, whatever time goes by, until the host does something.
    """

    data: Bytes = field(default_factory=lambda: NOTHING)
    last: bool = False
    stalled: bool = False


class Fabric(Protocol):
    """An accelerator that takes frames and gives integers, TLAST ending a batch on both sides.

    name: what it is, in words. cycles: of its clock since it was programmed, None if it has no clock.
    """

    name: str

    @property
    def cycles(self) -> int | None: ...

    def program(self) -> None:
        """Load the bitstream: as on the FPGA, everything starts anew."""

    def offer(self, data: Bytes, last: bool) -> None:
        """Offer whole beats on the input. last: TLAST on the last of them."""

    def waiting(self) -> bool:
        """Whether beats that were offered have not been taken yet."""

    def step(self, room: int) -> Step:
        """Let time go by while the output is ready for `room` bytes.

        Returns when these are there, when a packet ends, when all that was offered has been taken, or when
        nothing moves any more.
        """

    def close(self) -> None:
        """Free what it holds. Harmless if it is closed."""
