"""FINN's own cppsim, its passes unchanged, without Vitis HLS."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from finn_flow.finn_env import prepare_finn
from finn_flow.passes.specialize_layers import SpecializeLayers
from tests.cppsim_env import use_sibling_hlslib
from tests.hw_graphs import HardwareGraph
from verification.cppsim.finn import install
from verification.executor import Executor

use_sibling_hlslib()


def test_finns_passes_compile_and_run_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_finn()
    from finn.core.onnx_exec import execute_onnx
    from finn.transformation.fpgadataflow.compile_cppsim import CompileCppSim
    from finn.transformation.fpgadataflow.prepare_cppsim import PrepareCppSim
    from finn.transformation.fpgadataflow.set_exec_mode import SetExecMode
    from finn.util.basic import CppBuilder

    monkeypatch.setattr(CppBuilder, "append_includes", CppBuilder.append_includes)  # to restore it
    for name in ("FINN_CUSTOM_HLS", "XILINX_HLS"):
        monkeypatch.setenv(name, "")
        del os.environ[name]  # monkeypatch restores what it was before
    install()
    install()
    graph = HardwareGraph(3, 8, "INT4").mvau(4, 4).model()
    pixels = np.random.default_rng(0).integers(-8, 8, (1, 3, 3, 8))
    output = graph.graph.output[0].name
    want = Executor(graph).run(pixels)[output]
    model = graph.transform(SpecializeLayers("hls")).transform(SetExecMode("cppsim"))
    model = model.transform(PrepareCppSim()).transform(CompileCppSim())
    got = execute_onnx(model, {"pixels": pixels.astype(np.float32)})[output]
    assert (got == want).all()
    assert want.any()
