"""The steps cppsim and hls on the tiny network: some layers HLS, all of them simulated in C++."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

import tests.vitis_hls
from finn_flow import cppsim
from finn_flow.backends import hls_layers, layer_backends
from finn_flow.boards import find_board
from finn_flow.hls.generate import cpp_network
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.simulate import int8_frames
from finn_flow.steps import STEPS
from model.errors import UserError
from tests.cppsim_env import use_sibling_hlslib
from verification.errors import MismatchError
from verification.executor import Executor

use_sibling_hlslib()
ROOT = Path(__file__).parents[1]
TINY = json.loads((ROOT / "hw_configs" / "tiny.json").read_text())
HLS = ["MVAU_3", "Thresholding_0"]
SKIPPED = (
    "Skipping step: rtl and what follows, as Vitis HLS is not on the PATH, which makes RTL of "
    "Thresholding_0, MVAU_3"
)


def write_config(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**TINY, "verify": {"frames": 1, "cppsim_frames": 3}, **changes}))
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    return write_config(folder / "tiny.json", backend=dict.fromkeys(HLS, "hls"))


@pytest.fixture(scope="module")
def built(build: ModuleType, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole build, which ends before rtl."""
    folder = tmp_path_factory.mktemp("hls")
    assert build.main(["--config", str(config), "--output-dir", str(folder), "--debug"]) == 0
    return folder


@pytest.fixture(scope="module")
def folded(built: Path) -> ModelWrapper:
    return ModelWrapper(str(built / "fold" / "model.onnx"))


def test_every_layer_was_simulated_and_every_stream_compared(built: Path, folded: ModelWrapper) -> None:
    result = json.loads((built / "cppsim" / "cppsim.json").read_text())
    streams = {tensor for node in folded.graph.node for tensor in node.output} | {"pixels"}
    assert result["frames"] == 3
    assert result["layers"] == len(folded.graph.node)
    assert result["streams"] == len(streams)
    sizes = {name: int(np.prod(folded.get_tensor_shape(name))) for name in streams - {"pixels"}}
    assert result["elements"] == 3 * sum(sizes.values())
    accumulators = Executor(folded).run(int8_frames(3, None, 32))["accumulators"]
    assert result["accumulators_sha256"] == hashlib.sha256(accumulators.tobytes()).hexdigest()


def test_the_code_of_hls_layers_and_one_script_are_in_the_build(built: Path) -> None:
    folder = built / "hls"
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == HLS
    assert (folder / "layers.tcl").read_text() == (
        "set layers {Thresholding_0 MVAU_3}\nset part xc7z020clg400-1\nset period 10.0\n"
    )
    assert (folder / "synthesise.tcl").is_file()
    assert "void MVAU_3(" in (folder / "MVAU_3" / "top_MVAU_3.cpp").read_text()
    assert not any(str(built) in path.read_text() for path in folder.rglob("*.*"))


def test_what_needs_vitis_is_skipped_in_one_line_each_time(
    build: ModuleType, built: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--config", str(config), "--output-dir", str(built)]) == 0
    *steps, last, end = capsys.readouterr().out.splitlines()
    ran = [step.name for step in STEPS][: len(steps) - 1]
    assert [line.split()[2] for line in steps[:-1]] == ran
    assert all(line.startswith("Skipping step") for line in steps[:-1])
    assert steps[-1].startswith("Running step: rtl [")
    assert last == SKIPPED
    assert end == f"Outputs are in {built}"
    assert not {"rtl", "fifos", "rtlsim", "report"} & {path.name for path in built.iterdir()}


def test_a_wrong_weight_is_found_in_its_layer(folded: ModelWrapper, tmp_path: Path) -> None:
    network = cpp_network(folded, find_board("Pynq-Z2"), tmp_path)
    memory = tmp_path / "MVAU_3" / "memblock.dat"
    words = memory.read_text().split()
    memory.write_text("\n".join([f"{int(words[0], 16) ^ 1:x}", *words[1:]]))
    pixels = int8_frames(1, None, 32)
    with pytest.raises(MismatchError) as error:
        network.check(pixels)
    assert error.value.node == "MVAU_3"
    assert (error.value.tensor, error.value.index[:2]) == ("block3.1.expand.acc", (0, 0))
    assert abs(error.value.got - error.value.expected) <= 15  # of a weight times an activation of 4 bits
    elements = int(np.prod(folded.get_tensor_shape("block3.1.expand.acc")))
    assert error.value.elements == elements
    assert network.check_layer("VVAU_2", pixels) > 0  # alone, it is not reached by the error


def test_a_layer_without_code_is_an_error(folded: ModelWrapper, tmp_path: Path) -> None:
    from verification.cppsim.check import CppNetwork
    from verification.errors import VerificationError

    network = cpp_network(folded, find_board("Pynq-Z2"), tmp_path)
    with pytest.raises(VerificationError) as error:
        CppNetwork(folded, network.layers[:-2] + network.layers[-1:])
    missing = network.layers[-2].name
    assert str(error.value) == f"layers without C++: {missing} ({missing.rsplit('_', 1)[0]})"


# --- choosing a backend ---


def test_all_hls_leaves_windows_to_rtl(folded: ModelWrapper) -> None:
    backends = layer_backends(folded, "hls")
    assert {name for name, backend in backends.items() if backend == "rtl"} == {
        node.name for node in folded.graph.node if node.op_type == "WindowGenerator"
    }
    model = folded.transform(SpecializeLayers("hls"), make_deepcopy=True)
    kinds = {node.op_type for node in model.graph.node}
    assert kinds == {
        *("MVAU_hls", "VVAU_hls", "Thresholding_hls", "DuplicateStreams_hls", "ElementwiseAdd_hls"),
        *("StreamingDataWidthConverter_hls", "Requant_int_hls", "WindowGenerator_sv_rtl"),
    }
    pixels = int8_frames(1, None, 32)
    want = Executor(folded).run(pixels)["accumulators"]
    assert (Executor(model).run(pixels)["accumulators"] == want).all()


def test_named_layers_are_hls_and_the_others_rtl(folded: ModelWrapper) -> None:
    assert hls_layers(folded, dict.fromkeys(reversed(HLS), "hls")) == ["Thresholding_0", "MVAU_3"]
    model = folded.transform(SpecializeLayers({"MVAU_3": "hls"}), make_deepcopy=True)
    kinds = {node.name: node.op_type for node in model.graph.node}
    assert (kinds["MVAU_3"], kinds["MVAU_4"]) == ("MVAU_hls", "MVAU_sv_rtl")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "MVAU3",
            "backend.MVAU3 = 'hls': no such layer; most similar: MVAU_3, MVAU_32, MVAU_31, MVAU_30, MVAU_23",
        ),
        (
            "ConvolutionInputGenerator_0",
            "backend.ConvolutionInputGenerator_0 = 'hls': WindowGenerator has no HLS form; those that have: "
            "MVAU, VVAU, Thresholding, DuplicateStreams, ElementwiseAdd, StreamingDataWidthConverter, "
            "Requant",
        ),
    ],
)
def test_a_layer_that_cannot_be_hls_is_refused(folded: ModelWrapper, layer: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        layer_backends(folded, {layer: "hls"})
    assert str(error.value) == message


def test_a_wrong_layer_stops_the_build_at_fold(
    build: ModuleType, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "build"
    shutil.copytree(built, copy)
    config = write_config(tmp_path / "wrong.json", backend={"MVAU_99": "hls"})
    assert build.main(["--config", str(config), "--output-dir", str(copy)]) == 2
    assert capsys.readouterr().err.startswith("error: backend.MVAU_99 = 'hls': no such layer; most similar: ")


# --- Vitis HLS, of which there is only a stand-in here ---


@pytest.mark.parametrize("breaks", ["", "MVAU_3"])
def test_a_build_goes_on_where_vitis_hls_is(
    build: ModuleType,
    built: Path,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    breaks: str,
) -> None:
    copy = tmp_path / "build"
    shutil.copytree(built, copy)
    program = tmp_path / "vitis_hls"
    program.write_text(f"#!{sys.executable}\n{Path(tests.vitis_hls.__file__).read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BREAKS", breaks)
    code = build.main(["--config", str(config), "--output-dir", str(copy), "--to", "rtl"])
    output, error = capsys.readouterr()
    assert "Running step: hls [7/14]: vitis_hls file changed\n" in output
    if breaks:
        log = copy / "vitis_hls.log"
        reason = "failed: [HLS 207-3771] use of undeclared identifier"
        assert (code, error) == (2, f"error: MVAU_3: vitis_hls {reason}; log: {log}\n")
        assert log.is_file()
        return
    assert (code, error) == (0, "")
    assert sorted(json.loads((copy / "rtl" / "hls.json").read_text())) == HLS
    assert "module MVAU_3_hls (" in (copy / "rtl" / "MVAU_3_hls.v").read_text()


# --- the command ---


def test_one_layer_alone_and_its_code_kept(
    built: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--config", str(config), "--output-dir", str(built)]
    code = tmp_path / "code"
    assert cppsim.main([*place, "--node", "MVAU_3", "--frames", "2", "--code", str(code)]) == 0
    assert capsys.readouterr().out == "MVAU_3: 2,048 integers of 2 frames equal\n"
    assert (code / "MVAU_3" / "top_MVAU_3.cpp").is_file()
    assert cppsim.main([*place, "--code", str(code)]) == 2
    rule = "exists; give a folder that does not"
    assert capsys.readouterr().err == f"error: --code = '{code}': {rule}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--node", "MVAU3"], "--node = 'MVAU3': no such layer; most similar: MVAU_3, MVAU_32"),
        (["--frames", "0"], "--frames = 0: must be at least 1"),
        (["--output-dir", "nowhere"], "no folded graph in nowhere; run build.py --config "),
    ],
)
def test_wrong_arguments_are_one_line(
    built: Path, config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cppsim.main(["--config", str(config), "--output-dir", str(built), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
