"""What a cell of Xilinx' library takes on the device."""

from __future__ import annotations

from collections.abc import Mapping

from finn_flow.resource_counts import Resources

_LUT, _FF = Resources(lut=1), Resources(ff=1)

# An inverter is a LUT: the inputs of a carry chain come from LUTs. Two LUTs that Vivado would pack into one
# count as two. Memories of LUTs: UG474, UG574. Carry chains and the multiplexers behind LUTs take none.
CELLS: dict[str, Resources] = {
    **{f"LUT{inputs}": _LUT for inputs in range(1, 7)},
    "INV": _LUT,
    "LUT6_2": _LUT,
    **dict.fromkeys(("SRL16", "SRL16E", "SRLC16E", "SRLC32E"), _LUT),
    **dict.fromkeys(("RAM32X1S", "RAM64X1S"), _LUT),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), Resources(lut=2)),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), Resources(lut=4)),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM512X1S"), Resources(lut=8)),
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE"), _FF),
    **dict.fromkeys(("RAMB18E1", "RAMB18E2"), Resources(bram18=1)),
    **dict.fromkeys(("RAMB36E1", "RAMB36E2"), Resources(bram18=2)),
    "URAM288": Resources(uram=1),
    **dict.fromkeys(("DSP48E1", "DSP48E2"), Resources(dsp=1)),
    **dict.fromkeys(
        ("CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "BUFG", "$scopeinfo"), Resources()
    ),
}


def cells_resources(cells: Mapping[str, int]) -> Resources:
    """The sum over cells by type. Raises KeyError for a type that is not in the table.

    >>> cells_resources({"LUT4": 3, "RAM64M8": 2, "FDRE": 5, "RAMB36E2": 1, "CARRY4": 9})
    Resources(lut=19, ff=5, bram18=2, uram=0, dsp=0)
    """
    total = Resources()
    for name, number in cells.items():
        total += CELLS[name].times(number)
    return total
