"""Registers of the processing system that pynq touches when it loads an overlay: the clocks of the logic.

Addresses and fields after the technical reference manuals (Zynq-7000 UG585, Zynq UltraScale+ UG1087), values
as a boot loader leaves them: every PLL runs, every clock has 100 MHz. pynq computes dividers from them and
writes these back; nothing else comes of it, for the fabric's clock is the simulation's.
"""

from __future__ import annotations

ZYNQ, ULTRASCALE = "armv7l", "aarch64"  # as platform.machine() says on the board
ARCHITECTURES = {"processing_system7": ZYNQ, "zynq_ultra_ps_e": ULTRASCALE}  # by the .hwh's name of the PS

_SLCR, _CRL, _CRF = 0xF800_0000, 0xFF5E_0000, 0xFD1A_0000
_PLL_7, _CLOCK_7 = 0x0001_4000, 0x0020_0500  # 20 times 50 MHz; divided by 5 and 2
_PLL, _CLOCK = 0x0001_5A00, 0x0101_0F00  # 90 times 33.3 MHz, halved; on, divided by 15

BOOT_VALUES: dict[str, dict[int, int]] = {
    ZYNQ: {
        **{_SLCR + pll: _PLL_7 for pll in (0x100, 0x104, 0x108)},
        _SLCR + 0x120: 0x1F00_0200,
        **{_SLCR + 0x170 + 0x10 * clock: _CLOCK_7 for clock in range(4)},
    },
    ULTRASCALE: {
        **{_CRL + pll: _PLL for pll in (0x20, 0x30)},
        **{_CRF + pll: _PLL for pll in (0x20, 0x2C, 0x38)},
        _CRF + 0x60: 0x0300_0400,
        **{_CRL + 0xC0 + 4 * clock: _CLOCK for clock in range(4)},
    },
}
