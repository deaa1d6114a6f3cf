"""Where the tests of C++ simulation find finn-hlslib."""

from __future__ import annotations

import os
from pathlib import Path

SIBLING = Path(__file__).parents[2] / "shared" / "finn-hlslib"  # a folder beside the repository


def use_sibling_hlslib() -> None:
    """FINN_HLSLIB as it is set, else the sibling folder; else it is fetched, or the tests fail saying so."""
    if SIBLING.is_dir():
        os.environ.setdefault("FINN_HLSLIB", str(SIBLING))
