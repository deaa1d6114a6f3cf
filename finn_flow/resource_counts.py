"""Counts of what a device is made of."""

from __future__ import annotations

from dataclasses import dataclass, fields

from finn_flow.boards import Board


@dataclass(frozen=True)
class Resources:
    """Counts of LUT, flip-flop, 18 Kbit block RAM, UltraRAM and DSP slice."""

    lut: int = 0
    ff: int = 0
    bram18: int = 0
    uram: int = 0
    dsp: int = 0

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """In the order of RESOURCE_NAMES."""
        return self.lut, self.ff, self.bram18, self.uram, self.dsp

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def times(self, number: int) -> Resources:
        """The cost of `number` copies."""
        return Resources(*(number * count for count in self.counts))

    def report(self) -> dict[str, int]:
        """Under the keys of FINN's estimate_layer_resources.json, with FF besides."""
        return {"BRAM_18K": self.bram18, "LUT": self.lut, "FF": self.ff, "URAM": self.uram, "DSP": self.dsp}


RESOURCE_NAMES = tuple(field.name for field in fields(Resources))
RESOURCE_LABELS = dict(zip(RESOURCE_NAMES, ("LUT", "FF", "BRAM18", "URAM", "DSP"), strict=True))


def board_resources(board: Board) -> Resources:
    """What a board offers."""
    return Resources(*(getattr(board, name) for name in RESOURCE_NAMES))
