"""What became of an accelerator on its device: bitstream.json, which the package and the report read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.errors import UserError

BITFILE, HARDWARE = "finn-accel.bit", "finn-accel.hwh"  # FINN's names
RESULT = "bitstream.json"
PERIOD_FIELD = "synth_clk_period_ns"


@dataclass(frozen=True)
class Netlist:
    """What a bitstream is made of. sources: Verilog in the order of dependence, memory files beside it.

    in_bits, out_bits: of TDATA at the two ends of the module `accelerator`.
    """

    name: str
    sources: tuple[Path, ...]
    in_bits: int
    out_bits: int


@dataclass(frozen=True)
class Bitstream:
    """A bitstream, or why there is none.

    tool: with its version, None if none ran. reason: a sentence on why it was skipped. clock_mhz: that it
    is built for. utilisation: {"LUT": {"used": n, "offered": n}, ...} of the whole device as implemented.
    timing: {"wns_ns": worst slack, never negative, as a missed clock is an error, "fmax_mhz": by that slack}.
    """

    status: Literal["built", "skipped"]
    clock_mhz: float
    tool: str | None = None
    reason: str | None = None
    utilisation: Mapping[str, Mapping[str, float]] | None = None
    timing: Mapping[str, float] | None = None

    @property
    def summary(self) -> str:
        """One line for whoever watches the build."""
        if self.timing is None:
            return f"skipped: {self.reason}"
        return f"{BITFILE} for {self.clock_mhz:.4g} MHz, of at most {self.timing['fmax_mhz']:.4g} MHz"


def check_timing(period_ns: float, wns_ns: float, where: str) -> dict[str, float]:
    """What `Bitstream.timing` holds. Raises UserError, which names the slack, if it is negative.

    >>> check_timing(10.0, 2.0, "timing.rpt")
    {'wns_ns': 2.0, 'fmax_mhz': 125.0}
    """
    fmax = 1000 / (period_ns - wns_ns)
    if wns_ns < 0:
        rule = (
            f"timing is missed: WNS {wns_ns:.3f} ns, so at most {fmax:.4g} MHz; give "
            f"{period_ns - wns_ns:.3f} or more, or fold for fewer frames a second; reports: {where}"
        )
        raise UserError(PERIOD_FIELD, period_ns, rule)
    return {"wns_ns": round(wns_ns, 3), "fmax_mhz": round(fmax, 3)}
