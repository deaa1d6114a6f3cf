"""Where the headers come from that FINN's HLS code includes, without Vitis HLS.

finn-hlslib: the folder FINN_HLSLIB, else a shallow clone of the commit that finn-plus pins, fetched once into
the cache. `ap_int.h` and its like: hls4ml's package holds them; nothing of it is imported. What both lack is
in `verification/cppsim/cpp`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path

from verification.errors import VerificationError
from verification.verilator.build import cache_folder as simulation_cache

HERE = Path(__file__).parent / "cpp"
LACKING = HERE / "lacking"  # of what an older finn-hlslib has not; looked at last

VARIABLE = "FINN_HLSLIB"
REPOSITORY = "https://github.com/Xilinx/finn-hlslib.git"
COMMIT = (
    "8d979e2bdced486dd25d26607d1ff5ae327ed6a8"  # finn-plus 1.6.1: finn/interface/external_dependencies.yaml
)
FETCH_SECONDS = 120
PROOF = "bnn-library.h"  # what a folder of finn-hlslib must hold

AP_TYPES = Path("templates", "vivado", "ap_types")  # in hls4ml's package
HLS4ML = "hls4ml==1.3.0"


def cache_folder() -> Path:
    """Where compiled programs and finn-hlslib are kept: QMFN_CACHE, else the user's cache folder."""
    return simulation_cache().with_name("cppsim")


def include_folders() -> tuple[Path, ...]:
    """Folders for g++ -I, in order. Raises VerificationError that says how to get what is missing."""
    return HERE, finn_hlslib(), ap_types(), LACKING


def finn_hlslib(repository: str = REPOSITORY, commit: str = COMMIT) -> Path:
    """finn-hlslib: FINN_HLSLIB, else the cached clone, made if need be. Raises VerificationError."""
    if named := os.environ.get(VARIABLE):
        if not Path(named, PROOF).is_file():
            rule = f"no {PROOF} in it; set {VARIABLE} to a checkout of {REPOSITORY}"
            raise VerificationError(f"{VARIABLE}={named}: {rule}")
        return Path(named).resolve()
    folder = cache_folder() / f"finn-hlslib-{commit[:12]}"
    if not folder.is_dir():
        _fetch(repository, commit, folder)
    return folder


def ap_types() -> Path:
    """hls4ml's ap_int.h and its like. Raises VerificationError."""
    spec = importlib.util.find_spec("hls4ml")
    for package in (spec.submodule_search_locations or []) if spec else []:
        if (folder := Path(package, AP_TYPES)).is_dir():
            return folder
    raise VerificationError(f"hls4ml is not installed; `pip install --no-deps {HLS4ML}` or `make env`")


def _fetch(repository: str, commit: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as name:
        clone = Path(name, "clone")
        commands = (
            ["git", "init", "--quiet", str(clone)],
            ["git", "-C", str(clone), "fetch", "--quiet", "--depth=1", repository, commit],
            ["git", "-C", str(clone), "checkout", "--quiet", "FETCH_HEAD"],
        )
        for command in commands:
            if reason := _failure(command):
                raise VerificationError(
                    f"finn-hlslib: git fetch of {repository} {commit[:12]} failed ({reason}); "
                    f"set {VARIABLE} to a checkout of it"
                )
        os.replace(clone, folder)


def _failure(command: list[str]) -> str:
    """Run a command; empty, or the last line of what it had to say."""
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=quiet, timeout=FETCH_SECONDS
        )
    except FileNotFoundError:
        return "git is not installed"
    except subprocess.TimeoutExpired:
        return f"no answer in {FETCH_SECONDS} s"
    lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
    return lines[-1] if result.returncode else ""
