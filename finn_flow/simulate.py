"""Building simulations of a generated accelerator, with its FIFOs or with models of run-time depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

import verification
from finn_flow.backends import HLS_WRAPPER, layer_instance
from finn_flow.frames import frames_to_verify
from finn_flow.netlist import TOP
from model.network import PIXEL_OFFSET
from verification.verilator.build import Design, Progress, build, silent

SIMULATION = Path(verification.__file__).parent / "verilator" / "sv"
MONITOR, FIFO_MODEL = SIMULATION / "fifo_monitor.sv", SIMULATION / "fifo_model.sv"
HLS_WAIVERS = SIMULATION / "vitis_hls.vlt"
SOURCES = "sources.txt"


def write_sources(files: Sequence[Path], folder: Path) -> None:
    """Keep the names of generated files in the order of dependence, for `read_sources`."""
    (folder / SOURCES).write_text("".join(f"{path.name}\n" for path in files))


def read_sources(folder: Path) -> list[Path]:
    """The files of a generated folder, in the order of dependence."""
    return [folder / name for name in (folder / SOURCES).read_text().split()]


def build_accelerator(
    layers: Sequence[Path],
    netlist: Sequence[Path],
    study: bool = False,
    trace: bool = False,
    progress: Progress = silent,
) -> Path:
    """The library of an accelerator, its FIFOs watched. study: with FIFO models in the place of the FIFOs."""
    modules = [FIFO_MODEL if study and path.name == "fifo.sv" else path for path in layers]
    return build(Design(TOP, (*waivers(layers), *modules, MONITOR, *netlist), trace), progress)


def waivers(layers: Sequence[Path]) -> tuple[Path, ...]:
    """What Verilator needs first if some of these files are Vitis HLS's."""
    return (HLS_WAIVERS,) if any(path.name.endswith(HLS_WRAPPER) for path in layers) else ()


def frame_caps(model: ModelWrapper) -> dict[str, int]:
    """For every stream between layers, a FIFO depth that holds a frame: {tensor: words}, powers of two."""
    words = {}
    for node in model.graph.node:
        layer = layer_instance(node)
        for index, tensor in enumerate(node.output):
            *beats, _ = layer.get_folded_output_shape(index)
            words[tensor] = 1 << (int(np.prod(beats)) - 1).bit_length()
    return words


def int8_frames(count: int, images: Path | None, size: int) -> NDArray[np.int8]:
    """Real frames as the accelerator takes them: (count, size, size, 3)."""
    return (frames_to_verify(count, images, size).astype(np.int16) - PIXEL_OFFSET).astype(np.int8)
