"""A small accelerator, generated and built for simulation, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import find_board
from finn_flow.folding import apply_folding, insert_width_converters, solve
from finn_flow.hardware import write_layers, write_netlist
from finn_flow.lower import lower
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.performance import network_performance
from finn_flow.simulate import build_accelerator, frame_caps
from finn_flow.streamline import streamline
from model.export import export
from tests.networks import random_network, small_spec
from verification.accelerator import Accelerator


def copy(model: ModelWrapper) -> ModelWrapper:
    """A model that may be changed."""
    return model.transform(SpecializeLayers(), make_deepcopy=True)


@dataclass(frozen=True)
class Generated:
    """Layers in `folder`, their graph without FIFOs, and its II by the estimate."""

    folder: Path
    layers: list[Path]
    model: ModelWrapper
    interval: int

    def frames(self, count: int, seed: int = 0) -> NDArray[np.int8]:
        shape = self.model.get_tensor_shape("pixels")[1:]
        return np.random.default_rng(seed).integers(-128, 128, (count, *shape), np.int8)

    def open(self, depths: dict[str, int] | None = None, study: bool = False) -> Accelerator:
        """The accelerator with these FIFO depths by tensor; study: models of FIFOs that hold a frame."""
        model = copy(self.model)
        model = model.transform(InsertFifos(frame_caps(model) if study else depths))
        netlist = write_netlist(model, self.interval, self.folder)
        library = build_accelerator(self.layers, netlist, study)
        return Accelerator(library, self.folder, model)


def generate(folder: Path, fps: float, seed: int = 0, **changes: Any) -> Generated:
    """A random network of `tests.networks.small_spec`, folded for `fps` on ZCU104, as files."""
    board = find_board("ZCU104")
    integers, _ = streamline(export(random_network(small_spec(**changes), seed), folder / "model.onnx"))
    model = lower(integers).transform(FuseWindowPadding())
    folding = solve(model, board, board.clk_period_ns, fps, 0.9)
    model = insert_width_converters(apply_folding(model, folding)).transform(SpecializeLayers())
    interval = int(network_performance(model, board.clk_period_ns)["max_cycles"])
    return Generated(folder, write_layers(model, folder, lambda n: None), model, interval)
