"""What Yosys makes of our modules where that is their point: DSPs of several products, memories as asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from finn_flow.cost_model import single
from finn_flow.resource_counts import Resources
from finn_flow.synthesis.yosys import layer_module, synthesise
from tests.rtl_bench import RTL

# Its arguments: module, family, parameters. It synthesises no further than DSPs and memories.
YOSYS = """
import sys
from pyosys import libyosys
module, family, parameters, rtl = sys.argv[1:]
design = libyosys.Design()
for command in (
    f"read_slang --no-implicit-memories --top {module} {parameters}"
    f" --libdir {rtl} --libext .sv {rtl}/{module}.sv",
    f"synth_xilinx -family {family} -flatten -noiopad -noclkbuf -run begin:fine",
    "tee -q -o stat.json stat -json",
):
    libyosys.run_pass(command, design)
"""


def cells(module: str, family: str, parameters: Mapping[str, int | str], kind: str, folder: Path) -> int:
    """Cells of a synthesised module whose names start with `kind`; its memory files are in `folder`."""
    settings = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    command = (sys.executable, "-c", YOSYS, module, family, settings, str(RTL))
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    found = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return sum(count for name, count in found.items() if name.startswith(kind))


def dsps(family: str, parameters: Mapping[str, int | str], folder: Path) -> int:
    return cells("dot_product", family, parameters, "DSP48", folder)


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


def test_products_of_two_bits_take_few_luts_and_registers(tmp_path: Path) -> None:
    """8 x 8; 144 LUTs hold weights and vector. Sums of shifted operands took 860 LUTs and 783 FFs."""
    model = single.mvau(64, 64, 8, 8, 2, "UINT2", "distributed")
    (cost,) = synthesise([layer_module(model, model.graph.node[0], tmp_path)], "xcup")
    assert isinstance(cost, Resources)
    assert (cost.ff, cost.dsp) == (623, 0)
    assert cost.lut <= 700  # ABC does not always find the same


def test_a_product_with_its_own_activation_takes_a_dsp(tmp_path: Path) -> None:
    widths = {"WEIGHT_BITS": 4, "ACT_BITS": 4, "ACC_BITS": 16}
    assert dsps("xcup", {"PE": 4, "SIMD": 2, "LANES": 4, **widths}, tmp_path) == 8


@pytest.mark.parametrize(("style", "expected"), [("distributed", 0), ("block", 1)])
@pytest.mark.parametrize(
    ("module", "parameters", "file"),
    [
        ("weighted_sums", {"STEPS": 512, "WORDS": 512, "SIMD": 2, "WEIGHTS": '"m.dat"'}, "m.dat"),
        ("requant", {"CHANNELS": 512, "PE": 1, "SHIFT_BITS": 0, "PARAMETERS": '"m.dat"'}, "m.dat"),
        ("thresholding", {"CHANNELS": 512, "PE": 1, "STAGES": 1, "THRESHOLDS": '"m"'}, "m_0_0.dat"),
    ],
)
def test_constants_are_where_their_style_says(
    module: str, parameters: dict[str, int | str], file: str, style: str, expected: int, tmp_path: Path
) -> None:
    (tmp_path / file).write_text("".join(f"{word * 37 % 251:x}\n" for word in range(512)))
    styled = {**parameters, "RAM_STYLE": f'"{style}"'}
    assert cells(module, "xcup", styled, "RAMB", tmp_path) == expected


@pytest.mark.parametrize(("style", "expected"), [("distributed", 0), ("block", 1)])
def test_a_window_is_where_its_style_says(style: str, expected: int, tmp_path: Path) -> None:
    picture = {"H": 16, "W": 16, "CHANNELS": 16, "SIMD": 4, "RAM_STYLE": f'"{style}"'}
    assert cells("window", "xcup", picture, "RAMB", tmp_path) == expected
