"""FINN's own rtlsim on Verilator: its passes and execute_onnx, unchanged, on our layers and on FINN's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_flow.finn_env import prepare_finn
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.specialize_layers import SpecializeLayers
from tests import hw_graphs
from tests.hw_graphs import HardwareGraph
from verification.errors import VerificationError
from verification.verilator import build, patches, xsi
from verification.verilator.patches import PATCHES, Patch, patched
from verification.verilator.simulation import StalledError

PART, CLOCK = "xczu7ev-ffvc1156-2-e", 5.0
VERSAL = "xcvc1902-vsva2197-2MP-e-S"
LATENCY = 50  # cycles beyond FINN's estimate: reset, pipelines


pytestmark = pytest.mark.usefixtures("finn_on_verilator")


def fold(model: ModelWrapper, folding: dict[str, dict[str, Any]]) -> None:
    """Set attributes by op type."""
    for node in model.graph.node:
        for name, value in folding.get(node.op_type, {}).items():
            getCustomOp(node).set_nodeattr(name, value)


def frame(model: ModelWrapper) -> dict[str, NDArray[np.float32]]:
    shape = model.get_tensor_shape("pixels")
    return {"pixels": np.random.default_rng(0).integers(0, 16, shape).astype(np.float32)}


def prepared(model: ModelWrapper, part: str = PART) -> ModelWrapper:
    """FINN's flow for specialised layers, from code to rtlsim."""
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.prepare_rtlsim import PrepareRTLSim
    from finn.transformation.fpgadataflow.set_exec_mode import SetExecMode

    for transformation in (PrepareIP(part, CLOCK), PrepareRTLSim(), SetExecMode("rtlsim")):
        model = model.transform(transformation)
    return model


def finns(model: ModelWrapper, part: str = PART) -> ModelWrapper:
    """FINN's RTL layers."""
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers as FinnsSpecializeLayers

    for node in model.graph.node:
        getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    return model.transform(FinnsSpecializeLayers(part))


def execute(model: ModelWrapper) -> dict[str, NDArray[np.float32]]:
    """Every tensor for `frame`."""
    from finn.core.onnx_exec import execute_onnx

    return execute_onnx(model, frame(model), return_full_exec_context=True)


def compare(model: ModelWrapper, expected: dict[str, NDArray[np.float32]]) -> dict[str, int]:
    """Every layer's output in rtlsim against `expected`; the cycles of each by op type."""
    got = execute(model)
    for node in model.graph.node:
        for tensor in node.output:
            assert (got[tensor] == expected[tensor]).all(), (node.op_type, tensor)
    assert np.ptp(got[model.graph.output[0].name]) > 0
    cycles = {node.op_type: getCustomOp(node).get_nodeattr("cycles_rtlsim") for node in model.graph.node}
    for node in model.graph.node:
        estimate = getCustomOp(node).get_exp_cycles()
        assert 0.9 * estimate < cycles[node.op_type] < estimate + LATENCY or not estimate, node.op_type
    return cycles


def test_our_layers_equal_generic_execution() -> None:
    graph = HardwareGraph(6, 4, "UINT4")
    other = graph.duplicate()
    graph.pad().window(3, depthwise=True).vvau(4).requant(4).add(other).thresholding(4).mvau(6, 4)
    model = graph.model().transform(FuseWindowPadding())
    fold(model, {"VVAU": {"PE": 4}})  # otherwise FINN's takes only its own window generator's order
    expected = execute(model)
    two = {"PE": 2}
    folding = {"WindowGenerator": {"SIMD": 2}, "VVAU": {"PE": 2, "SIMD": 3}, "MVAU": {"PE": 2, "SIMD": 2}}
    folding |= dict.fromkeys(("DuplicateStreams", "Requant", "ElementwiseAdd", "Thresholding"), two)
    fold(model, folding)
    model = prepared(model.transform(SpecializeLayers()))
    assert compare(model, expected)["MVAU_sv_rtl"] > 6 * 6 * 6


def test_finns_layers_equal_generic_execution() -> None:
    graph = HardwareGraph(5, 4, "UINT4")
    graph.pad().window(3).mvau(6, 4).thresholding(4)
    shape = [1, 5, 5, 6]
    types = {"dataType": "UINT4", "inShape": shape, "outShape": shape}
    graph._layer("StreamingDataWidthConverter", inWidth=8, outWidth=24, **types)
    model = graph.model()
    expected = execute(model)
    two = {"SIMD": 2}
    folding = {"FMPadding": two, "ConvolutionInputGenerator": two, "Thresholding": {"PE": 2}}
    fold(model, {**folding, "MVAU": {"PE": 2, "SIMD": 2}})
    cycles = compare(prepared(finns(model)), expected)
    assert list(cycles) == [
        "FMPadding_rtl",
        "ConvolutionInputGenerator_rtl",
        "MVAU_rtl",
        "Thresholding_rtl",
        "StreamingDataWidthConverter_rtl",
    ]


def test_finns_mvau_on_versal_equals_generic_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hw_graphs, "ACC", "INT24")
    model = HardwareGraph(4, 8, "UINT8").mvau(4, 8).model()
    expected = execute(model)
    fold(model, {"MVAU": {"PE": 2, "SIMD": 4}})
    model = prepared(finns(model, VERSAL), VERSAL)
    folder = Path(getCustomOp(model.graph.node[0]).get_nodeattr("code_gen_dir_ipgen"))
    assert "VERSION = 3," in (folder / "MVAU_rtl_0_wrapper.v").read_text()  # DSP58
    compare(model, expected)


def one_step() -> ModelWrapper:
    """FINN's MVAU with SF = 1, and NF = 1: an output a cycle."""
    model = HardwareGraph(8, 4, "UINT4").mvau(4, 4).model()
    fold(model, {"MVAU": {"PE": 4, "SIMD": 4}})
    return model


def stalled_outputs(model: ModelWrapper) -> list[int]:
    """The only layer's output beats while the sink pauses for up to 60 cycles at a time."""
    from finn.util.data_packing import npy_to_rtlsim_input

    (node,) = prepared(finns(model)).graph.node
    layer = getCustomOp(node)
    pixels = frame(model)["pixels"].reshape(layer.get_folded_input_shape())
    words = npy_to_rtlsim_input(pixels, layer.get_input_datatype(), layer.get_instream_width())
    weights = npy_to_rtlsim_input(
        f"{layer.get_nodeattr('code_gen_dir_ipgen')}/input_1.npy",
        layer.get_input_datatype(1),
        layer.get_instream_width(1),
    )
    io: Any = {"inputs": {"in0": words, "in1": weights * 64}, "outputs": {"out0": []}}
    sim = layer.get_rtlsim()
    sim.stall("out0_V", 1, 0.05, 60)
    layer.reset_rtlsim(sim)
    layer.rtlsim_multi_io(sim, io)
    layer.close_rtlsim(sim)
    return io["outputs"]["out0"]


def test_finns_mvau_keeps_every_output_of_a_stalled_sink() -> None:
    model = one_step()
    bits = model.get_tensor_datatype(model.graph.output[0].name).bitwidth()
    expected = execute(model)[model.graph.output[0].name].astype(int).reshape(-1, 4) % 2**bits
    got = [[word >> bits * lane & (1 << bits) - 1 for lane in range(4)] for word in stalled_outputs(model)]
    assert got == expected.tolist()


def test_finns_mvau_loses_outputs_without_its_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(patch for patch in PATCHES if patch.name != "queue-for-all-in-flight")
    monkeypatch.setattr(patches, "PATCHES", others)
    with pytest.raises(VerificationError, match=r"Overflowing output queue"):
        stalled_outputs(one_step())


@pytest.mark.parametrize("depth", [2, 700])
def test_finns_fifo(depth: int) -> None:
    graph = HardwareGraph(16, 4, "UINT4")
    shape, kind = [1, 16, 16, 2, 2], {"dataType": "UINT4", "impl_style": "rtl", "ram_style": "block"}
    graph._layer("StreamingFIFO", depth=depth, folded_shape=shape, normal_shape=[1, 16, 16, 4], **kind)
    (node,) = prepared(finns(graph.model())).graph.node
    layer = getCustomOp(node)
    words = np.random.default_rng(depth).integers(0, 256, 512).tolist()
    io: Any = {"inputs": {"in0": words}, "outputs": {"out0": []}}
    sim = layer.get_rtlsim()
    sim.stall("out0_V", 1, 0.1, 20)
    layer.reset_rtlsim(sim)
    layer.rtlsim_multi_io(sim, io)
    assert io["outputs"]["out0"] == words


def test_a_layer_is_built_once_wherever_its_code_is(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = HardwareGraph(8, 4, "UINT4").mvau(4, 4)
    first = prepared(graph.model().transform(SpecializeLayers()))
    monkeypatch.setattr(build, "_verilate", lambda *_: pytest.fail("built again"))
    second = prepared(graph.model().transform(SpecializeLayers()))
    folders = {getCustomOp(model.graph.node[0]).get_nodeattr("rtlsim_so") for model in (first, second)}
    assert len(folders) == 2
    output = first.graph.output[0].name
    assert (execute(first)[output] == execute(second)[output]).all()


@pytest.fixture(scope="module")
def duplicate() -> Any:
    """DuplicateStreams, traced, with its simulation prepared."""
    graph = HardwareGraph(4, 4, "UINT4")
    graph.tensor = graph.duplicate()
    model = graph.model().transform(SpecializeLayers())
    getCustomOp(model.graph.node[0]).set_nodeattr("rtlsim_trace", "default")
    return getCustomOp(prepared(model).graph.node[0])


def test_missing_outputs_are_named(duplicate: Any) -> None:
    sim = duplicate.get_rtlsim()
    io: Any = {"inputs": {"in0": [1, 2, 3]}, "outputs": {"out0": [], "out1": []}}
    with pytest.raises(StalledError, match=r"^nothing moved for 50 cycles at cycle \d+: out0_V 3 of 4 beats"):
        xsi.rtlsim_multi_io(sim, io, {"out0": 4, "out1": 3}, sname="_V", liveness_threshold=50)
    duplicate.close_rtlsim(sim)


def test_a_trace_is_written_beside_the_simulation(duplicate: Any) -> None:
    folder = Path(duplicate.get_nodeattr("rtlsim_so")).parents[2]
    trace = folder / "DuplicateStreams_0.fst"
    trace.unlink(missing_ok=True)
    duplicate.close_rtlsim(duplicate.get_rtlsim())
    assert trace.stat().st_size > 100


def test_finns_preparation_leaves_the_simulator_bound() -> None:
    import finn.xsi

    prepare_finn.__wrapped__()
    assert finn.xsi.compile_sim_obj is xsi.compile_sim_obj


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_patch_fits_once(patch: Patch) -> None:
    source = library_file(patch.file)
    text = patch.apply(source.read_text())
    assert text != source.read_text()
    assert patched(source, source.read_text()) != source.read_text()


def test_a_patch_whose_text_is_gone_is_an_error() -> None:
    message = (
        r"^finn-rtllib/mvu/mvu_vvu_axi\.sv: patch queue-for-all-in-flight fits 0 places, not one \(a defect: "
    )
    with pytest.raises(VerificationError, match=message):
        patched(library_file("mvu/mvu_vvu_axi.sv"), "module other; endmodule")


def test_files_of_the_same_name_elsewhere_stay() -> None:
    assert patched(Path("elsewhere/fifo.sv"), "module fifo; endmodule") == "module fifo; endmodule"


def library_file(name: str) -> Path:
    from finn.util.settings import get_settings

    return Path(get_settings().finn_rtllib) / name
