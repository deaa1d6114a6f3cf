"""One layer of a finished build alone, and the whole accelerator with a waveform."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow import simulate
from finn_flow.hardware import write_netlist
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.performance import layer_cycles
from finn_flow.rtlsim import main
from finn_flow.simulate import build_accelerator, write_sources
from tests.accelerators import copy, generate
from tests.toy_build import config_object

FRAMES = 3
OF_EACH_KIND = {
    "MVAU": "MVAU_3",
    "window over a convolution": "ConvolutionInputGenerator_0",
    "depthwise window": "ConvolutionInputGenerator_1",
    "VVAU": "VVAU_1",
    "add": "ElementwiseAdd_0",
    "copy": "DuplicateStreams_0",
    "last": "MVAU_32",
}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The steps rtl and fifos of a random network, as a build leaves them."""
    folder = tmp_path_factory.mktemp("build")
    layers, netlist = folder / "rtl", folder / "fifos"
    layers.mkdir()
    netlist.mkdir()
    made = generate(layers, 20_000)
    made.model.save(str(layers / "model.onnx"))
    write_sources(made.layers, layers)
    with_fifos = copy(made.model).transform(InsertFifos(dict.fromkeys(_streams(made.model), 1024)))
    with_fifos.save(str(netlist / "model.onnx"))
    write_sources(write_netlist(with_fifos, made.interval, netlist), netlist)
    return folder


def _streams(model: ModelWrapper) -> list[str]:
    return [tensor for node in model.graph.node for tensor in node.output]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, build: Path) -> Path:
    """Of a network of that size; nothing but its frames are made of it."""
    size = ModelWrapper(str(build / "rtl" / "model.onnx")).get_tensor_shape("pixels")[1]
    network: dict[str, Any] = {"checkpoint": "x.safetensors", "weight_bits": 4, "act_bits": 4}
    path = tmp_path_factory.mktemp("config") / "random.json"
    path.write_text(json.dumps(config_object(network={**network, "input_size": size})))
    return path


@pytest.fixture
def broken(build: Path, tmp_path: Path) -> Path:
    """A build that a test may change."""
    return Path(shutil.copytree(build, tmp_path / "build"))


def run(config: Path, build: Path, *arguments: object) -> int:
    return main([str(a) for a in ("--config", config, "--output-dir", build, *arguments)])


@pytest.mark.parametrize("node", OF_EACH_KIND.values(), ids=OF_EACH_KIND)
def test_a_layer_alone(node: str, config: Path, build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, build, "--node", node) == 0
    line = capsys.readouterr().out
    form = r"(\w+): ([\d,]+) integers of 3 frames equal; latency ([\d,]+) cycles, ([\d,]+) cycles a frame, "
    match = re.match(form, line)
    assert match is not None, line
    elements, latency, interval = (int(number.replace(",", "")) for number in match.groups()[1:])
    model = ModelWrapper(str(build / "rtl" / "model.onnx"))
    outputs = next(list(n.output) for n in model.graph.node if n.name == node)
    sizes = [model.get_tensor_shape(tensor) for tensor in outputs]
    per_frame = sum(size[1] * size[2] * size[3] for size in sizes)
    estimated = layer_cycles(model)[node]
    assert match[1] == node
    assert elements == FRAMES * per_frame
    assert 0 < latency < 2 * estimated + 1000
    assert abs(interval - estimated) <= max(16, 0.01 * estimated)
    assert line.endswith(f"{estimated:,} by the estimate: as estimated within 1 % or 16 cycles\n")


def test_a_flipped_weight_bit_is_found(
    config: Path, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken / "rtl" / "MVAU_3_weights.dat"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest]) + "\n")
    assert run(config, broken, "--node", "MVAU_3") == 1
    assert capsys.readouterr().err.startswith("error: MVAU_3: '")


def test_the_whole_accelerator_is_built_for_a_waveform_and_compared(
    config: Path,
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without the waveform itself, which takes minutes to compile: a layer's shows that one is written."""
    asked: list[bool] = []

    def plain(layers: list[Path], netlist: list[Path], trace: bool) -> Path:
        asked.append(trace)
        return build_accelerator(layers, netlist)

    monkeypatch.setattr(simulate, "build_accelerator", plain)
    assert run(config, build, "--trace", tmp_path / "all.fst", "--frames", 2) == 0
    assert asked == [True]
    form = (
        r"accelerator: ([\d,]+) integers of 2 frames equal; latency [\d,]+ cycles, [\d,]+ from frame to frame"
    )
    match = re.match(form, capsys.readouterr().out)
    assert match is not None
    model = ModelWrapper(str(build / "rtl" / "model.onnx"))
    sizes = [np.prod(model.get_tensor_shape(tensor)) for tensor in _streams(model)]
    assert int(match[1].replace(",", "")) == 2 * sum(sizes)


def test_a_layer_with_a_waveform(config: Path, build: Path, tmp_path: Path) -> None:
    assert run(config, build, "--node", "ElementwiseAdd_0", "--trace", tmp_path / "add.fst") == 0
    assert (tmp_path / "add.fst").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--node", "MVAU3"],
            "--node = 'MVAU3': no such layer; most similar: MVAU_3, MVAU_3",
        ),
        ([], "--node = None: name a layer, or give --trace for the whole accelerator"),
        (
            ["--node", "MVAU_3", "--frames", "1"],
            "--frames = 1: must be at least 2: cycles a frame are counted from frame to frame",
        ),
        (["--trace", "/none/a.fst"], "--trace = '/none/a.fst': there is no such folder to write in"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, config: Path, build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, build, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_no_build_yet(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, tmp_path / "none", "--node", "MVAU_3") == 2
    rule = f"no RTL in {tmp_path / 'none'}; run build.py --config {config} --to fifos first"
    assert capsys.readouterr().err == f"error: --config = '{config}': {rule}\n"
