"""The deploy folder of the tiny network, made by the environment that builds networks."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD_PYTHON = ROOT / ".venv" / "bin" / "python"  # `make env`
FOLDER = ROOT / "build" / "driver-tests"


@cache
def tiny_deploy() -> Path:
    """Build it, unless it is up to date: half a minute, or two where nothing is in the simulation's cache."""
    config = ROOT / "hw_configs" / "tiny.json"
    command = [BUILD_PYTHON, "build.py", "--config", config, "--output-dir", FOLDER, "--to", "package"]
    environment = {"QMFN_CACHE": str(ROOT / ".simulation_cache"), **os.environ}  # as tests/conftest.py has it
    environment.pop("PYTHONPATH", None)
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return FOLDER / "deploy"
