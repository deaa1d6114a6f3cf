"""Boards as data: the part on each and what that part offers.

Resources are those of the device by its datasheet (Zynq-7000 DS190, Zynq UltraScale+ DS891, Kria K26
DS987); FINN's `platforms.py` lists slightly less for some. A custom board is a `Board` made from a part
number and its resources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.errors import UserError

DspBlock = Literal["DSP48E1", "DSP48E2", "MULT18X18D"]


@dataclass(frozen=True)
class Board:
    """A part and its resources. bram18: block RAMs of 18 Kbit; uram: of 288 Kbit; clock period in ns."""

    name: str
    part: str
    lut: int
    ff: int
    bram18: int
    uram: int
    dsp: int
    clk_period_ns: float = 5.0

    @property
    def clock_mhz(self) -> float:
        return 1000 / self.clk_period_ns

    @property
    def dsp_block(self) -> DspBlock:
        """The kind of DSP slice: 7-series parts have the one with the 25-bit operand."""
        if self.part.startswith("LFE5"):
            return "MULT18X18D"
        return "DSP48E1" if self.part.startswith("xc7") else "DSP48E2"


def _board(
    name: str, part: str, lut: int, bram18: int, uram: int, dsp: int, clk_period_ns: float = 5.0
) -> Board:
    # Each LUT of these families has two flip-flops.
    return Board(name, part, lut, 2 * lut, bram18, uram, dsp, clk_period_ns)


_ALL = (
    _board("Pynq-Z1", "xc7z020clg400-1", 53_200, 280, 0, 220, clk_period_ns=10.0),
    _board("Pynq-Z2", "xc7z020clg400-1", 53_200, 280, 0, 220, clk_period_ns=10.0),
    _board("Ultra96-V2", "xczu3eg-sbva484-1-i", 70_560, 432, 0, 360),
    _board("AUP-ZU3", "xczu3eg-sfvc784-2-e", 70_560, 432, 0, 360),
    _board("ZCU102", "xczu9eg-ffvb1156-2-e", 274_080, 1824, 0, 2520),
    _board("ZCU104", "xczu7ev-ffvc1156-2-e", 230_400, 624, 96, 1728),
    _board("KV260", "xck26-sfvc784-2LV-c", 117_120, 288, 64, 1248),
    # Each LUT4 of an ECP5 has one flip-flop.
    Board("ecp5-85k", "LFE5U-85F-6BG381C", 83_640, 83_640, 208, 0, 156, clk_period_ns=20.0),
)
BOARDS: dict[str, Board] = {board.name: board for board in _ALL}


def find_board(name: str) -> Board:
    """The board of that name. Raises UserError that lists the known ones.

    >>> find_board("ZCU104").dsp
    1728
    """
    if name not in BOARDS:
        raise UserError("board", name, f"unknown; known boards: {', '.join(sorted(BOARDS))}")
    return BOARDS[name]
