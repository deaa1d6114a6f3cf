"""What memories take, counted: LUT RAM, ROMs of LUTs, block RAM; and which of them "auto" becomes.

The geometry is that of the cells (UG473, UG474, UG573, UG574); "auto" is decided by the costs that Yosys'
library gives them, the cheaper of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

from finn_flow.boards import DspBlock
from finn_flow.memory import BRAM18_SHAPES
from finn_flow.resource_counts import Resources

# (bits, words, LUTs) of the LUT RAMs with a write port and a read port, narrow and deep
LUT_RAMS: dict[DspBlock, tuple[tuple[int, int, int], ...]] = {
    "MULT18X18D": ((4, 16, 6), (4, 16, 6)),
    "DSP48E1": ((6, 32, 4), (3, 64, 4)),
    "DSP48E2": ((14, 32, 8), (7, 64, 8)),
}
# Yosys' library: a LUT RAM by its bits and a fixed part; a block RAM of 18 Kbit is BLOCK_COST of the same
LUT_COSTS: dict[DspBlock, tuple[int, int]] = {"DSP48E1": (7, 1), "DSP48E2": (16, 0), "MULT18X18D": (16, 0)}
BLOCK_COST = 129
ROM_BITS = 64  # bits of a ROM that a LUT holds
MUX_INPUTS = 256  # words of a ROM that MUXF7 and MUXF8 put together


@dataclass(frozen=True)
class Memory:
    """Counted resources; mux: 4-way multiplexers of a bit behind memories of more words than a LUT holds."""

    resources: Resources
    mux: int = 0

    @property
    def is_block(self) -> bool:
        return self.resources.bram18 > 0


def _mux(bits: int, rows: int) -> int:
    return bits * -(-rows // 4) if rows > 1 else 0


def block(bits: int, words: int) -> Memory:
    """The least number of block RAMs over their shapes."""
    return Memory(Resources(bram18=min(-(-bits // w) * -(-words // d) for w, d in BRAM18_SHAPES)))


def lut_ram(bits: int, words: int, dsp_block: DspBlock) -> Memory:
    """Written and read in the same cycle."""
    narrow, deep = LUT_RAMS[dsp_block]
    width, depth, luts = narrow if words <= narrow[1] else deep
    rows = -(-words // depth)
    return Memory(Resources(lut=rows * -(-bits // width) * luts), _mux(bits, rows))


def rom(bits: int, words: int) -> Memory:
    """In LUTs; a single word is a constant."""
    if words == 1:
        return Memory(Resources())
    return Memory(Resources(lut=bits * -(-words // ROM_BITS)), _mux(bits, -(-words // MUX_INPUTS)))


def ram(bits: int, words: int, style: str, dsp_block: DspBlock) -> Memory:
    """style: auto, distributed, block."""
    luts, blocks = lut_ram(bits, words, dsp_block), block(bits, words)
    if style == "block":
        return blocks
    if style == "distributed":
        return luts
    width, depth, _ = LUT_RAMS[dsp_block][words > 32]
    of_bits, fixed = LUT_COSTS[dsp_block]
    cost = -(-words // depth) * (of_bits * bits / width + fixed * -(-bits // width))
    return luts if cost <= BLOCK_COST * blocks.resources.bram18 else blocks
