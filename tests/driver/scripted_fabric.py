"""A fabric that does what a test says: gives these packets, takes what it is offered or does not."""

from __future__ import annotations

from collections import deque

import numpy as np

from driver.emulated.fabric import NOTHING, Bytes, Step


class ScriptedFabric:
    """packets: what comes out next, each with whether TLAST ends it. deaf: takes nothing."""

    name = "scripted"
    cycles = None

    def __init__(self) -> None:
        self.packets: deque[tuple[Bytes, bool]] = deque()
        self.offered: list[tuple[bytes, bool]] = []
        self.deaf = False
        self.programmed = self.closed = 0

    def give(self, *packets: bytes, last: bool = True) -> None:
        self.packets.extend((np.frombuffer(packet, np.uint8), last) for packet in packets)

    def program(self) -> None:
        self.programmed += 1

    def offer(self, data: Bytes, last: bool) -> None:
        self.offered.append((data.tobytes(), last))

    def waiting(self) -> bool:
        return self.deaf and bool(self.offered)

    def step(self, room: int) -> Step:
        if not room or not self.packets:
            return Step(NOTHING, stalled=True)
        data, last = self.packets.popleft()
        if len(data) > room:
            self.packets.appendleft((data[room:], last))
            return Step(data[:room])
        return Step(data, last)

    def close(self) -> None:
        self.closed += 1
