"""The folder of a generated accelerator: modules, layers, memories, and the top module."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import FIFO, base_op, is_hls, layer_instance
from finn_flow.hls.verilog import streamer_modules, write_hls_layer
from finn_flow.netlist import CORE, MODULES, TOP, accelerator, dataflow
from finn_flow.ops.rtl_layer import RTL


def write_layers(
    model: ModelWrapper, folder: Path, advance: Callable[[int], None], made: Path | None = None
) -> list[Path]:
    """Write a file for every layer that is no FIFO, its memories, and the modules they need; the sources.

    made: the folder of the step `hls`, where layers are HLS.
    """
    modules: dict[str, Path] = {}
    layers: list[Path] = []
    for node in model.graph.node:
        layer = layer_instance(node)
        if is_hls(node):
            assert made is not None, node.name
            modules.update((path.name, path) for path in streamer_modules())
            layers += write_hls_layer(node, made, folder)
        elif base_op(node.op_type) != FIFO:
            modules.update((path.name, path) for path in layer.modules())
            layers.append(layer.write_hdl(model, folder)[0])
        advance(1)
    modules.update((f"{name}.sv", RTL / f"{name}.sv") for name in MODULES)
    copies = [Path(shutil.copy(path, folder)) for _, path in sorted(modules.items())]
    return [*copies, *layers]


def write_netlist(model: ModelWrapper, interval: int, folder: Path) -> list[Path]:
    """Write dataflow.v and accelerator.v of a graph with FIFOs; see `finn_flow.netlist`."""
    files = {f"{CORE}.v": dataflow(model), f"{TOP}.v": accelerator(model, interval)}
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in files]
