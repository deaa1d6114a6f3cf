"""HLS layers in the netlist: the steps hls to estimate on a small network, with a stand-in for Vitis HLS.

The stand-in (`tests/vitis_hls.py`) makes Verilog of its own of FINN's C++; Vitis HLS was not to be had.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

import tests.vitis_hls
from finn_flow.boards import find_board
from finn_flow.config import load_config
from finn_flow.console import Console
from finn_flow.folding import apply_folding, insert_width_converters, solve
from finn_flow.hls.rules import check_hls_layers
from finn_flow.hls.vitis import Synthesis, read_report, synthesise, write_script
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.performance import network_performance
from finn_flow.pipeline import Pipeline
from finn_flow.resources import Resources
from finn_flow.rtlsim import simulate_layer
from finn_flow.simulate import int8_frames
from finn_flow.step import Step, StepContext
from finn_flow.steps import STEPS
from model.errors import UserError
from tests.cppsim_env import use_sibling_hlslib
from tests.hw_graphs import HardwareGraph
from tests.test_finn_flow_vivado_project import interpreter
from verification.errors import VerificationError
from verification.executor import Executor

use_sibling_hlslib()
ROOT = Path(__file__).parents[1]
HLS = ["MVAU_1", "ElementwiseAdd_0", "Requant_0", "Thresholding_2"]  # in the order of the graph
FRAMES = 3
SIZE = 32


def folded() -> ModelWrapper:
    """14 layers, of which MVAU_1 makes two channels a cycle; the accumulators are one pixel."""
    graph = HardwareGraph(SIZE, 3)
    graph.pad().window(3, 2).mvau(4, 4).thresholding(4)
    other = graph.duplicate()
    graph.mvau(4, 4).thresholding(4).add(other).requant(4, scale_bits=1)
    graph.window(16, depthwise=True).vvau(4).thresholding(4).mvau(4, 4)
    model, board = graph.model().transform(FuseWindowPadding()), find_board("Pynq-Z2")
    folding = solve(model, board, board.clk_period_ns, 1e8 / 3072, 0.9)
    return insert_width_converters(apply_folding(model, folding))


def fold(ctx: StepContext, out: Path) -> None:
    model = folded()
    model.save(str(out / "model.onnx"))
    ctx.result(network_performance(model, find_board("Pynq-Z2").clk_period_ns))


def install(folder: Path) -> None:
    """Put the stand-in into a folder, as a program."""
    program = folder / "vitis_hls"
    program.write_text(f"#!{sys.executable}\n{Path(tests.vitis_hls.__file__).read_text()}")
    program.chmod(0o755)


def pipeline(folder: Path) -> Pipeline:
    """The steps fold (of this file) to estimate."""
    names = ("hls", "rtl", "fifos", "estimate", "rtlsim")
    steps = [Step("fold", fold, ("model.onnx",)), *(step for step in STEPS if step.name in names)]
    config = json.loads((ROOT / "hw_configs" / "tiny.json").read_text())
    file = folder / "toy.json"
    file.write_text(json.dumps({**config, "backend": dict.fromkeys(HLS, "hls")}))
    return Pipeline(steps, load_config(file), folder / "build", Console(io.StringIO()))


@pytest.fixture(scope="module")
def vitis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in."""
    folder = tmp_path_factory.mktemp("bin")
    install(folder)
    return folder


@pytest.fixture(scope="module")
def built(vitis: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build through FIFO sizing and simulation."""
    folder = tmp_path_factory.mktemp("netlist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{vitis}{os.pathsep}{os.environ['PATH']}")
        pipeline(folder).build()
    return folder / "build"


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_the_whole_accelerator_gives_the_executors_integers(built: Path) -> None:
    result = read(built / "rtlsim" / "rtlsim.json")
    model = ModelWrapper(str(built / "fold" / "model.onnx"))
    streams = {tensor for node in model.graph.node for tensor in node.output}
    accumulators = Executor(model).run(int8_frames(FRAMES, None, SIZE))["mvau12"]
    assert len({tuple(frame.reshape(-1)) for frame in accumulators}) == FRAMES
    assert (result["frames"], result["streams"]) == (FRAMES, len(streams))
    digest = hashlib.sha256(accumulators.astype("<i4").tobytes()).hexdigest()
    assert result["accumulators_sha256"] == digest
    assert abs(result["interval_cycles"] - result["estimated_interval_cycles"]) <= 16
    assert read(built / "fifos" / "fifo_study.json")["bypasses"][0]["tensor"].startswith("thresholding")


def test_a_layer_in_the_netlist_is_called_as_the_node(built: Path) -> None:
    netlist = (built / "fifos" / "dataflow.v").read_text()
    assert "  MVAU_1_hls MVAU_1 (\n" in netlist
    assert "  MVAU_0 MVAU_0 (\n" in netlist
    sources = (built / "rtl" / "sources.txt").read_text().split()
    modules = [f"MVAU_1{end}" for end in (".v", "_memstream_wrapper.v", "_hls.v")]
    assert [name for name in sources if name.startswith("MVAU_1")] == modules
    assert sources.count("memstream.sv") == 1
    assert (built / "rtl" / "Requant_0_SCALE_ROM_AUTO_1R.dat").is_file()


def test_an_hls_layer_runs_alone(built: Path) -> None:
    said = simulate_layer(built, "MVAU_1", int8_frames(2, None, SIZE), None)
    assert said.startswith("MVAU_1: 2,048 integers of 2 frames equal; latency ")
    assert said.endswith(" 2,048 by the estimate: as estimated within 1 % or 16 cycles")


def test_cycles_and_resources_are_those_of_the_report(built: Path) -> None:
    estimate = read(built / "estimate" / "estimate.json")
    layers = {name: (row["cycles"], row["resources"]) for name, row in estimate["layers"].items()}
    reported = {"lut": 400, "ff": 300, "bram18": 1, "uram": 0, "dsp": 2}
    assert layers["Requant_0"] == (1024 + 3, reported)
    streamed = 8  # words of 2 weights of 4 bits: 8 LUTs
    assert layers["MVAU_1"] == (2048 + 3, {**reported, "lut": 400 + streamed})
    assert estimate["resource_note"].endswith(
        " Of HLS layers: what Vitis HLS's reports say, and the memories of their parameters."
    )


# --- the script, in a Tcl interpreter without Vitis HLS ---

RECORD = """set calls [open calls.txt w]
proc unknown {command args} { puts $::calls "[file tail [pwd]]: $command $args"; flush $::calls }
source synthesise.tcl
"""


def test_the_script_does_for_each_layer_what_finns_does(tmp_path: Path) -> None:
    write_script(["MVAU_1", "Requant_0"], find_board("Pynq-Z2"), tmp_path)
    for layer in ("MVAU_1", "Requant_0"):
        (tmp_path / layer).mkdir()
    (tmp_path / "record.tcl").write_text(RECORD)
    environment = {**os.environ, "FINN_HLSLIB": "/library"}
    subprocess.run([*interpreter(), "record.tcl"], cwd=tmp_path, env=environment, check=True)
    lines = (tmp_path / "calls.txt").read_text().splitlines()
    calls = [line for line in lines if not line.endswith(": exit 0")]  # Python's Tcl has no exit
    assert calls[: len(calls) // 2] == [
        "MVAU_1: open_project -reset project_MVAU_1",
        "MVAU_1: add_files top_MVAU_1.cpp -cflags {-std=c++14 -I/library}",
        "MVAU_1: set_top MVAU_1",
        "MVAU_1: open_solution sol1",
        "MVAU_1: set_part xc7z020clg400-1",
        "MVAU_1: set_param hls.enable_hidden_option_error false",
        "MVAU_1: config_compile -disable_unroll_code_size_check -pipeline_style flp",
        "MVAU_1: config_interface -m_axi_addr64",
        "MVAU_1: config_rtl -module_auto_prefix",
        "MVAU_1: config_rtl -deadlock_detection none",
        "MVAU_1: create_clock -period 10.0 -name default",
        "MVAU_1: csynth_design ",
        "MVAU_1: export_design -format ip_catalog",
        "MVAU_1: close_project ",
    ]
    assert calls[len(calls) // 2 :] == [
        call.replace("MVAU_1", "Requant_0") for call in calls[: len(calls) // 2]
    ]


# --- what goes wrong ---


@pytest.fixture
def code(built: Path, tmp_path: Path) -> Path:
    """What the step hls writes before Vitis HLS runs."""
    folder = tmp_path / "hls"
    shutil.copytree(built / "hls", folder, ignore=shutil.ignore_patterns("project_*"))
    return folder


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("BREAKS", "failed: [HLS 207-3771] use of undeclared identifier"),
        ("FORGETS", "ended with 0 and made no Verilog of it"),
    ],
)
def test_a_layer_that_vitis_hls_does_not_make_is_one_line(
    code: Path, vitis: Path, monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    monkeypatch.setenv(variable, "ElementwiseAdd_0")
    with pytest.raises(VerificationError) as error:
        synthesise(vitis / "vitis_hls", HLS, code)
    log = code.parent / "vitis_hls.log"
    assert str(error.value) == f"ElementwiseAdd_0: vitis_hls {reason}; log: {log}"
    assert "Analyzing ElementwiseAdd_0" in log.read_text()


def test_a_report_says_cycles_and_resources_or_is_missed(
    code: Path, vitis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDES", "Requant_0")
    synthesise(vitis / "vitis_hls", HLS, code)
    assert read_report("MVAU_1", code) == Synthesis(2048 + 3, Resources(400, 300, 1, 0, 2))
    file = "project_{0}/sol1/syn/report/{0}_csynth.xml"
    report = code / "MVAU_1" / file.format("MVAU_1")
    report.write_text(report.read_text().replace("2051", "?"))  # of a loop whose bound the data say
    assert read_report("MVAU_1", code).interval is None
    with pytest.raises(VerificationError) as error:
        read_report("Requant_0", code)
    missing = code / "Requant_0" / file.format("Requant_0")
    assert str(error.value) == (
        f"Requant_0: no report of its synthesis in {missing}: "
        f"[Errno 2] No such file or directory: '{missing}'"
    )


@pytest.mark.parametrize(
    ("attributes", "board", "message"),
    [
        (
            {"mem_mode": "external"},
            "ZCU104",
            "MVAU_1.mem_mode = 'external': no such stream enters the accelerator; "
            "legal values: internal_decoupled, internal_embedded",
        ),
        (
            {"ram_style": "ultra"},
            "ZCU104",
            "MVAU_1.ram_style = 'ultra': an UltraRAM cannot be initialised; "
            "legal values: auto, block, distributed",
        ),
        (
            {},
            "ecp5-85k",
            "backend = 'hls': Vitis HLS has no part LFE5U-85F-6BG381C; use rtl on this board",
        ),
    ],
)
def test_what_cannot_be_hls_is_refused(attributes: dict[str, str], board: str, message: str) -> None:
    model = HardwareGraph(4, 2).mvau(2, 4).mvau(2, 4).model()
    model.graph.node[1].attribute.extend(helper.make_attribute(*pair) for pair in attributes.items())
    with pytest.raises(UserError) as error:
        check_hls_layers(model, ["MVAU_1"], find_board(board))
    assert str(error.value) == message
    check_hls_layers(model, [] if board == "ecp5-85k" else ["MVAU_0"], find_board(board))
