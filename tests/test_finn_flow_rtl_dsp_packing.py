"""How many DSPs Yosys makes of finn_flow/rtl/dot_product.sv: several products each, or none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rtl_bench import RTL

# Its arguments: family, parameters, file of the result. It synthesises no further than the DSPs.
YOSYS = """
import sys
from pyosys import libyosys
family, parameters, result = sys.argv[1:]
design = libyosys.Design()
for command in (
    f"read_slang --no-implicit-memories --top dot_product {parameters} dot_product.sv",
    f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -run begin:map_memory",
    f"tee -q -o {result} stat -json",
):
    libyosys.run_pass(command, design)
"""


def dsps(family: str, parameters: dict[str, int], folder: Path) -> int:
    """DSP48s of a synthesised dot_product."""
    settings = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    result = folder / "stat.json"
    command = (sys.executable, "-c", YOSYS, family, settings, str(result))
    subprocess.run(command, cwd=RTL, capture_output=True, check=True)
    cells = json.loads(result.read_text())["design"]["num_cells_by_type"]
    return sum(count for name, count in cells.items() if name.startswith("DSP48"))


@pytest.mark.parametrize(
    ("family", "pe", "bits", "expected"),
    [
        ("xcup", 8, (4, 4), 4),
        ("xc7", 8, (4, 4), 4),
        ("xcup", 2, (8, 8), 2),
        ("xc7", 3, (5, 5), 2),
        ("xc7", 1, (8, 8), 2),
    ],
)
def test_a_dsp_makes_several_products(
    family: str, pe: int, bits: tuple[int, int], expected: int, tmp_path: Path
) -> None:
    widths = {"WEIGHT_BITS": bits[0], "ACT_BITS": bits[1]}
    assert dsps(family, {"PE": pe, "SIMD": 2, "ACC_BITS": 20, **widths}, tmp_path) == expected


@pytest.mark.parametrize("lanes", [1, 4])
def test_products_of_luts_take_no_dsp(lanes: int, tmp_path: Path) -> None:
    widths = {"WEIGHT_BITS": 8, "ACT_BITS": 8, "ACC_BITS": 20}
    assert dsps("xcup", {"PE": 4, "SIMD": 2, "LANES": lanes, "DSP": 0, **widths}, tmp_path) == 0


def test_a_product_with_its_own_activation_takes_a_dsp(tmp_path: Path) -> None:
    widths = {"WEIGHT_BITS": 4, "ACT_BITS": 4, "ACC_BITS": 16}
    assert dsps("xcup", {"PE": 4, "SIMD": 2, "LANES": 4, **widths}, tmp_path) == 8
