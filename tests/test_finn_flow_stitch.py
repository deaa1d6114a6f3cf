"""Our accelerator as FINN's stitched IP: FINN's execute_onnx runs it whole, unchanged."""

from __future__ import annotations

from ast import literal_eval
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.hardware import write_netlist
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.simulate import frame_caps
from finn_flow.stitch import set_stitch_metadata
from tests.accelerators import Generated, copy, generate
from verification.executor import Executor

FRAMES = 3


pytestmark = pytest.mark.usefixtures("finn_on_verilator")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("stitch"), 20_000)


@pytest.fixture(scope="module")
def model(generated: Generated) -> ModelWrapper:
    """The accelerator with FIFOs that hold a frame, for a batch of FRAMES in rtlsim."""
    model = copy(generated.model).transform(InsertFifos(frame_caps(generated.model)))
    wrapper, _ = write_netlist(model, generated.interval, generated.folder)
    set_stitch_metadata(model, generated.layers, wrapper, generated.interval)
    model.set_metadata_prop("exec_mode", "rtlsim")
    _, *frame = model.get_tensor_shape("pixels")
    model.set_tensor_shape("pixels", [FRAMES, *frame])
    return model


def execute(model: ModelWrapper, frames: np.ndarray) -> np.ndarray:
    from finn.core.onnx_exec import execute_onnx

    return execute_onnx(model, {"pixels": frames.astype(np.float32)})[model.graph.output[0].name]


def test_finns_execution_gives_the_executors_integers(generated: Generated, model: ModelWrapper) -> None:
    executor, frames = Executor(generated.model), generated.frames(FRAMES)
    expected = executor.run(frames)[executor.outputs[0]]
    assert len({tuple(frame.flat) for frame in expected}) == FRAMES
    assert (execute(model, frames) == expected).all()
    cycles = int(model.get_metadata_prop("cycles_rtlsim"))
    assert FRAMES * generated.interval < cycles < (FRAMES + 3) * generated.interval
    library = model.get_metadata_prop("rtlsim_so")
    assert (execute(model, frames) == expected).all()
    assert model.get_metadata_prop("rtlsim_so") == library


def test_metadata_is_finns(generated: Generated, model: ModelWrapper) -> None:
    assert literal_eval(model.get_metadata_prop("vivado_stitch_ifnames")) == {
        "clk": ["ap_clk"],
        "rst": ["ap_rst_n"],
        "s_axis": [["s_axis_0", 24]],
        "m_axis": [["m_axis_0", 16]],
        "aximm": [],
        "axilite": [],
    }
    project = Path(model.get_metadata_prop("vivado_stitch_proj"))
    listed = [Path(line) for line in (project / "all_verilog_srcs.txt").read_text().split()]
    assert listed == [*generated.layers, project / "dataflow.v"]
    assert listed[-1] == Path(model.get_metadata_prop("wrapper_filename"))


def test_a_flipped_weight_changes_the_output(generated: Generated, model: ModelWrapper) -> None:
    frames, memory = generated.frames(FRAMES), generated.folder / "MVAU_0_weights.dat"
    before, text = execute(model, frames), memory.read_text()
    try:
        memory.write_text(f"{int(text[0], 16) ^ 4:x}{text[1:]}")
        assert (execute(model, frames) != before).any()
    finally:
        memory.write_text(text)
