"""What finn-rtllib's files need before Verilator takes them, or to be right: a list of named patches.

Files are read from the installed package and written, patched, into the folder of a simulation; none is
changed where it is, none is in this repository. A patch that does not find its text, once, is an error: the
library has changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from verification.errors import VerificationError

LIBRARY = "finn-rtllib"


@dataclass(frozen=True)
class Patch:
    """In `file` of finn-rtllib, the match of the regular expression `old` becomes `new`."""

    name: str
    file: str
    why: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The patched text. Raises VerificationError unless `old` matches exactly once."""
        if (found := len(re.findall(self.old, text, re.DOTALL))) != 1:
            place = f"{LIBRARY}/{self.file}: patch {self.name}"
            raise VerificationError(f"{place} fits {found} places, not one ({self.why})")
        return re.sub(self.old, self.new, text, flags=re.DOTALL)


PATCHES = (
    *(
        Patch(
            f"no-recovery-{name}",
            f"mvu/{name}.sv",
            "Verilator simulates no DSP primitive, so none has to recover for 100 ns after the start",
            r"#100ns;\s*Dirty <= 0;",
            "Dirty = 0;",
        )
        for name in ("mvu", "mvu_vvu_8sx9_dsp58")
    ),
    Patch(
        "hoist-leaf-loads",
        "mvu/add_multi.sv",
        "Verilator evaluates no constant function that is declared in a generate block",
        r"(\tuwire [^\n]*sum0;\n.*?)(\t\ttypedef int unsigned +leaf_load_t.*?LEAF_LOAD = [^\n]*\n)",
        r"\2\1",
    ),
    Patch(
        "pack-address-bits",
        "fifo/hdl/fifo.sv",
        "Verilator evaluates no constant function that returns an unpacked struct",
        r"typedef struct \{(\s*int unsigned  lo;)",
        r"typedef struct packed {\1",
    ),
    *(
        Patch(
            f"allow-unused-range-{Path(file).stem}",
            file,
            f"Verilator refuses {what}, and it is not used",
            r"\A",
            "/* verilator lint_off SELRANGE */\n",
        )
        for file, what in (
            ("fifo/hdl/fifo.sv", "a range of the address of two memories where there is one"),
            ("mvu/mvu_vvu_8sx9_dsp58.sv", "the second register of a pipeline of one"),
        )
    ),
    Patch(
        "shift-for-empty-range",
        "thresholding/hdl/thresholding.sv",
        "Verilator refuses the range [M-1:M] of the first stage, whose value is not used there",
        r"p\.ptr\[M-1:SN\+1\] <",
        r"(p.ptr[M-1:0] >> (SN+1)) <",
    ),
    Patch(
        "queue-for-all-in-flight",
        "mvu/mvu_vvu_axi.sv",
        "a defect: with one SIMD step (SF = 1) a stalled sink overflows the output queue",
        r"MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;",
        "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH + 2;",
    ),
)


def patched(source: Path, text: str) -> str:
    """The text of a file with the patches that it needs. Raises VerificationError if one does not fit."""
    for patch in PATCHES:
        if source.resolve().as_posix().endswith(f"/{LIBRARY}/{patch.file}"):
            text = patch.apply(text)
    return text
