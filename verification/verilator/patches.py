"""What finn-rtllib's files need before Verilator (or Yosys) takes them: a list of named patches.

Files are read from the installed package and written, patched, into the folder of a simulation; none is
changed where it is, none is in this repository. A patch that no longer finds its text is an error: the
library has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verification.errors import VerificationError


@dataclass(frozen=True)
class Patch:
    """In `file`, `old` becomes `new`."""

    file: str
    why: str
    old: str
    new: str


PATCHES: tuple[Patch, ...] = ()


def patched(source: Path, folder: Path) -> Path:
    """`source`, or a patched copy of it in `folder`."""
    patches = [patch for patch in PATCHES if patch.file == source.name]
    if not patches:
        return source
    text = source.read_text()
    for patch in patches:
        if patch.old not in text:
            raise VerificationError(f"{source}: not as expected, patch does not apply: {patch.why}")
        text = text.replace(patch.old, patch.new)
    copy = folder / source.name
    copy.write_text(text)
    return copy
