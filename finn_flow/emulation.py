"""What the emulated board needs of a build: `deploy/emulation/`, read by `driver/emulated`.

The accelerator as a shared library with its memory files, its graph for the integer executor, and what
stands for the bitfile. It runs on the machine that built it: the library is compiled for it, and the
executor's worker is the Python that ran the build.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.artifacts import ROOT, write_json
from finn_flow.boards import Board
from finn_flow.hwh import hwh
from finn_flow.netlist import input_stream, output_stream
from finn_flow.simulate import build_accelerator, read_sources
from verification.verilator.build import Progress, silent

MODEL, SETTINGS = "model.onnx", "emulation.json"
LIBRARY, BITFILE = "accelerator.so", "accelerator.bit"
NO_BITFILE = "No bitstream: it tells pynq where the .hwh of the emulated board is.\n"


def write_emulation(
    out: Path,
    name: str,
    board: Board,
    layers: Path,
    netlist: Path,
    interval: int,
    progress: Progress = silent,
) -> None:
    """Write the folder `out`, new, for the build `name`.

    layers, netlist: the folders of the steps rtl and fifos. interval: II of the accelerator in cycles.
    """
    out.mkdir()
    model = ModelWrapper(str(layers / MODEL))
    library = build_accelerator(read_sources(layers), read_sources(netlist), progress=progress)
    shutil.copy(library, out / LIBRARY)
    for memory in sorted(layers.glob("*.dat")):
        shutil.copy(memory, out)
    shutil.copy(layers / MODEL, out)
    (out / BITFILE).write_text(NO_BITFILE)
    streams = input_stream(model, interval), output_stream(model)
    (out / BITFILE).with_suffix(".hwh").write_text(hwh(name, board, *streams))
    settings = {
        "build": name,
        "board": board.name,
        "bitfile": BITFILE,
        "library": LIBRARY,
        # Every layer moves something at least once a frame.
        "quiet_cycles": 2 * interval + 10_000,
        "worker": {
            "command": [sys.executable, "-m", "finn_flow.serve", "--model", MODEL],
            "environment": {"PYTHONPATH": str(ROOT)},
        },
    }
    write_json(out / SETTINGS, settings)
