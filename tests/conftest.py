"""What all tests share, so that a machine that does other things too is no reason to fail or to crawl."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the Makefile; read when torch is first imported
os.environ.setdefault("QMFN_CACHE", str(Path(__file__).parents[1] / ".simulation_cache"))  # not the user's

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
