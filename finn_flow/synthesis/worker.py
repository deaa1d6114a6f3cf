"""Synthesises modules in a process of its own: Yosys keeps what it has read, and may run out of memory.

    python worker.py < job.json > cells.json

job: `family` (xc7, xcup), `seconds` of CPU and `bytes` of memory, `modules`, each with `top`, `folder` and
`sources`. cells: per module the number of cells by type. Modules are read side by side and stay apart, so
that the seconds that Yosys takes to read the library of cells are spent once.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any


def wants(attribute: str, style: str) -> str:
    """Selects memories of a style in two ways: slang writes some strings as numbers."""
    return f"a:{attribute}={style} a:{attribute}={8 * len(style)}'h{style.encode().hex()}"


LIBRARY = ("read_verilog -lib -specify +/xilinx/cells_sim.v", "read_verilog -lib +/xilinx/cells_xtra.v")
# DSPs have registers of their own: a memory that slang made of an array of registers would stay outside.
READ = "read_slang --no-implicit-memories"
SYNTHESISE = "synth_xilinx -flatten -noiopad -noclkbuf"
# Yosys packs registers and sums into DSP48E1s alone. A DSP48E2 has the same ones (UG579) and a wider operand:
# on UltraScale+ too DSPs are made as on 7 series.
DSP_FAMILY = "xc7"
# ROMs whose bits are constant in part: before multipliers are made of what they feed.
FOLD = ("opt_mem", "opt", "wreduce", "opt_clean")
# ROMs of LUTs: what the RTL wants to be distributed (slang writes some strings as numbers), and what it
# leaves open up to 512 words. Yosys' own logic for them is four times as large.
DISTRIBUTED = wants("rom_style", "distributed")
SHALLOW = f"t:$mem_v2 r:WR_PORTS=0 %i r:SIZE<=512 %i {wants('rom_style', 'block')} %u %d"
# The RTL tells Yosys in ram_style what Vivado reads in rom_style, "registers" where that says "distributed".
OPEN = "setattr -unset ram_style t:$mem_v2 r:WR_PORTS=0 %i"
ROMS = (
    OPEN,
    f"memory_libmap -lib {{here}}/rom.txt {DISTRIBUTED} %u {SHALLOW} %u",
    "techmap -map {here}/rom_map.v",
)
# Yosys' list of UltraScale's LUT RAMs has 16 address bits for the 9 of RAM512X1S, and it stops at such a one.
# This is no part of FLOW: nothing that a cache can hold depends on it.
WRONG, RIGHT = ('option "ABITS" 16 {\n\t\tabits 16;', 'option "ABITS" 9 {\n\t\tabits 9;')
DEEP_RAMS = f"t:$mem_v2 r:SIZE>256 %i r:SIZE<=512 %i {wants('ram_style', 'distributed')} %u %i"
FLOW = (*LIBRARY, READ, SYNTHESISE, DSP_FAMILY, *FOLD, *ROMS)
HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> None:
    """Read the job from stdin; what Yosys prints goes to stderr, to which the caller gives a log."""
    job = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (job["seconds"], job["seconds"]))
    resource.setrlimit(resource.RLIMIT_AS, (job["bytes"], job["bytes"]))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(synthesise(job["family"], job["modules"]), out)


def synthesise(family: str, modules: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Cells by type, by top module."""
    import pyosys
    from pyosys import libyosys

    xilinx = Path(pyosys.__file__).parent / "share" / "xilinx"
    design = libyosys.Design()

    def run(command: str) -> None:
        libyosys.run_pass(command, design)

    for command in LIBRARY:
        run(command)
    for module in modules:
        os.chdir(module["folder"])  # memory files are named relative to it
        run(f"{READ} --top {module['top']} {' '.join(module['sources'])}")
        run(f"setattr -mod -unset top {module['top']}")
    synth = f"{SYNTHESISE} -family {family}"
    run(f"{synth} -run prepare:map_dsp")
    for command in FOLD:
        run(command)
    run(f"{SYNTHESISE} -family {DSP_FAMILY} -run map_dsp:coarse")
    run(f"{synth} -run coarse:map_memory")
    for command in ROMS:
        run(command.format(here=HERE))
    if family == "xcup":
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as library:
            library.write((xilinx / "lutrams_xcu.txt").read_text().replace(WRONG, RIGHT))
            library.flush()
            run(f"memory_libmap -lib {library.name} {DEEP_RAMS}")
        run("techmap -map +/xilinx/lutrams_xc5v_map.v")
    run(f"{synth} -run map_memory:check")
    with tempfile.NamedTemporaryFile("r") as file:
        run(f"tee -q -o {file.name} stat -json")
        stat = json.load(file)["modules"]
    return {module["top"]: stat["\\" + module["top"]]["num_cells_by_type"] for module in modules}


if __name__ == "__main__":
    main()
