from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.errors import UserError
from model.export import export
from model.network import QMobileFaceNet, activation_calls, integer_activations
from model.spec import spec_of_config
from model.summary import summarise, totals
from model.table import residual_streams, scaled, stages, stream_bits
from tests.networks import random_network, random_pixels, small_spec

ROOT = Path(__file__).parents[1]


def test_table_i_has_the_papers_weights_and_macs() -> None:
    assert sum(stage.weights for stage in stages()) == 976_000
    assert sum(stage.macs for stage in stages()) == 220_965_376
    assert [
        (s.size, s.c_in) for s in stages() if s.name in ("block4.0", "block6.0", "block8", "block10")
    ] == [
        (28, 64),
        (14, 128),
        (7, 128),
        (1, 512),
    ]


def test_residual_streams_span_blocks() -> None:
    assert residual_streams() == [3, 4, 6]
    streams = {stage.name: stage.stream for stage in stages() if stage.kind == "bottleneck"}
    assert streams["block3.0"] == streams["block3.4"] == 0
    assert streams["block4.0"] == streams["block5.5"] == 1
    assert streams["block6.0"] == streams["block7.1"] == 2
    assert sum(stage.residual for stage in stages()) == 12


def test_a_stream_has_the_width_of_the_block_that_opens_it_unless_told() -> None:
    bits = (8, 8, 7, 6, 5, 4, 3, 2, 2, 2)
    assert stream_bits(bits, None) == [7, 6, 4]
    assert stream_bits(bits, (2, 3, 5)) == [2, 3, 5]


@pytest.mark.parametrize(("width", "channels"), [(1.0, 64), (0.125, 8), (0.01, 4), (0.55, 36)])
def test_channels_stay_multiples_of_four(width: float, channels: int) -> None:
    assert scaled(64, width) == channels


def test_one_quantiser_is_shared_along_a_stream_and_not_beyond() -> None:
    network = QMobileFaceNet(small_spec())
    acts = {name: stage.project.act for name, stage in network.blocks.items() if hasattr(stage, "project")}
    assert len({id(act) for act in acts.values()}) == 3
    assert acts["block4_0"] is acts["block5_5"]
    assert acts["block3_4"] is not acts["block4_0"]


def test_the_linear_depthwise_stage_has_neither_batch_norm_nor_relu() -> None:
    stage = QMobileFaceNet(small_spec(depthwise="linear")).blocks["block5_0"]
    assert isinstance(stage.depthwise.bn, nn.Identity)
    assert stage.depthwise.act.act_quant.is_signed
    stage = QMobileFaceNet(small_spec()).blocks["block5_0"]
    assert isinstance(stage.depthwise.bn, nn.BatchNorm2d)
    assert not stage.depthwise.act.act_quant.is_signed


def test_integer_activations_are_all_there_and_in_range() -> None:
    spec = small_spec(3)
    got = integer_activations(random_network(spec), random_pixels(spec, 2))
    names = activation_calls(spec)
    assert list(got) == [*names, "embedding"]
    assert len(names) == 61
    for name in names:
        signed = name.endswith(("project", "add")) or name == "block9"
        assert got[name].min() >= (-4 if signed else 0)
        assert got[name].max() <= (3 if signed else 7)
        assert len(got[name].unique()) > 1, name


def test_a_float_network_runs_but_is_not_exported(tmp_path: Path) -> None:
    spec = small_spec(weight_bits=(32,) * 10, act_bits=(32,) * 10)
    network = QMobileFaceNet(spec).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 6)
    written = network.blocks["block1"](torch.randn(1, 3, 32, 32) * 100)
    assert (written.min(), written.max()) == (0, 6)  # ReLU6, as the published weights were trained with
    with pytest.raises(UserError) as caught:
        export(network, tmp_path / "model.onnx")
    assert str(caught.value) == "bits = 32: a float layer has no hardware; give every block 2..8 bits"
    assert not list(tmp_path.iterdir())


def test_export_has_names_types_and_layouts(tmp_path: Path) -> None:
    model = export(random_network(small_spec()), tmp_path / "model.onnx")
    assert model.get_tensor_datatype("pixels").name == "INT8"
    assert model.get_tensor_datatype("block3.1.add").name == "INT4"
    assert model.get_tensor_datatype("block3.1.expand").name == "UINT4"
    assert model.get_tensor_layout("block1") == ["N", "C", "H", "W"]
    assert model.get_tensor_shape("embedding") == [1, 6]
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {11}  # float64 all through


def test_an_import_prints_no_warning_of_brevitas() -> None:
    """It lacks a package for CUDA, which has nothing to do with this network."""
    command = [sys.executable, "-c", "import model.export"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == ""
    assert "fast_hadamard_transform" not in result.stderr  # torch may speak of the machine's CUDA


def test_summary_of_w4a4() -> None:
    rows = summarise(spec_of_config(ROOT / "hw_configs" / "w4a4.json"))
    total = totals(rows)
    assert (total["weights"], total["macs"]) == (976_000, 220_965_376)
    assert total["footprint"] == 4 * 976_000
    assert total["share"] == 0.125
    assert [row.output for row in rows][-3:] == [(512, 7, 7), (512, 1, 1), (128, 1, 1)]
    assert rows[9].act_bits is None
    assert [row.stream_bits for row in rows] == [None, None, 4, 4, 4, 4, 4, None, None, None]


def test_the_papers_mixed_network_has_a_tenth_of_the_footprint() -> None:
    total = totals(summarise(spec_of_config(ROOT / "hw_configs" / "mixed.json")))
    assert 0.09 < total["share"] < 0.105


def test_summary_prints_a_table_and_json() -> None:
    command = [sys.executable, "-m", "model.summary", "--config", "hw_configs/tiny.json"]
    text = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) == 12
    data = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(json.loads(data)["blocks"]) == 10


def test_summary_of_no_configuration_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    command = [sys.executable, "-m", "model.summary", "--config", str(tmp_path / "c.json")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: config = ")


def test_the_reference_does_not_depend_on_the_batch() -> None:
    spec = small_spec()
    network, pixels = random_network(spec), random_pixels(spec, 3)
    together = integer_activations(network, pixels)
    alone = integer_activations(network, pixels[1:2])
    for name in activation_calls(spec):
        assert np.array_equal(together[name][1:2], alone[name]), name
