"""Configurations: what is accepted, what follows from it, the schema and the shipped ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finn_flow.boards import BOARDS, Board
from finn_flow.config import SCHEMA_FILE, load_config, schema_text
from model.errors import UserError
from model.spec import NetworkSpec
from tests.toy_build import CUSTOM, MISSING, config_object, load, with_changes, write_config

SHIPPED = sorted(path for path in SCHEMA_FILE.parent.glob("*.json") if path != SCHEMA_FILE)


# --- what is accepted ---


def test_one_width_stands_for_all_blocks(tmp_path: Path) -> None:
    network = load(tmp_path, config_object()).network
    assert network.weight_bits == (4,) * 10
    assert network.act_bits == (4,) * 10
    assert network.residual_bits is None


def test_spec_is_the_network_as_model_knows_it(tmp_path: Path) -> None:
    bits = [8, 8, 4, 4, 4, 2, 2, 2, 2, 2]
    changes = {"weight_bits": bits, "act_bits": 3, "residual_bits": [8, 5, 2], "depthwise": "linear"}
    sizes = {"width": 0.5, "input_size": 64, "embedding": 32}
    config = with_changes({f"network.{key}": value for key, value in {**changes, **sizes}.items()})
    assert load(tmp_path, config).network.spec() == NetworkSpec(
        weight_bits=tuple(bits),
        act_bits=(3,) * 10,
        residual_bits=(8, 5, 2),
        depthwise="linear",
        width=0.5,
        size=64,
        embedding=32,
    )


def test_device_is_the_board_at_its_own_clock(tmp_path: Path) -> None:
    assert load(tmp_path, config_object()).device == BOARDS["Pynq-Z2"]


def test_clock_period_replaces_the_boards(tmp_path: Path) -> None:
    device = load(tmp_path, config_object(synth_clk_period_ns=20)).device
    assert device.clk_period_ns == 20.0
    assert device.lut == BOARDS["Pynq-Z2"].lut


def test_device_of_a_custom_board_is_its_part(tmp_path: Path) -> None:
    part = CUSTOM["fpga_part"]
    device = load(tmp_path, with_changes(CUSTOM)).device
    assert device == Board(part, part, lut=1000, ff=2000, bram18=10, uram=0, dsp=20, clk_period_ns=8.0)


@pytest.mark.parametrize(("given", "target"), [(400, 400.0), (0.5, 0.5), ("max", "max")])
def test_target_is_a_rate_or_max(tmp_path: Path, given: object, target: object) -> None:
    assert load(tmp_path, config_object(target_fps=given)).target_fps == target


def test_outputs_go_to_build_under_the_configurations_name(tmp_path: Path) -> None:
    assert load(tmp_path, config_object()).build_folder == Path("build/toy")


def test_outputs_go_where_the_configuration_says(tmp_path: Path) -> None:
    assert load(tmp_path, config_object(output_dir="elsewhere")).build_folder == Path("elsewhere")


def test_input_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "folding.json").write_text("{}")
    path = write_config(tmp_path, target_fps=None, folding_config_file="folding.json")
    config = load_config(path)
    assert config.checkpoint_file == tmp_path / "toy.safetensors"
    assert config.folding_file == tmp_path / "folding.json"


def test_a_bare_name_is_a_shipped_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "first.safetensors").touch()
    monkeypatch.setattr("model.spec.SHIPPED", tmp_path)
    config = load(tmp_path, with_changes({"network.checkpoint": "first"}))
    assert config.checkpoint_file == tmp_path / "first.safetensors"


def test_a_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path, config_object())
    with pytest.raises(ValueError, match="Instance is frozen"):
        config.headroom = 0.5  # type: ignore[misc]


# --- the schema and the shipped configurations ---


def test_schema_file_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run python -m finn_flow.config --write-schema"
    )


def _fields(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    sections = [schema, *schema["$defs"].values()]
    return [field for section in sections for field in section["properties"].items()]


def test_schema_explains_every_field() -> None:
    assert [name for name, field in _fields(json.loads(schema_text())) if not field.get("description")] == []


def test_schema_refuses_unknown_keys_in_every_section() -> None:
    schema = json.loads(schema_text())
    assert [section["additionalProperties"] for section in (schema, *schema["$defs"].values())] == [False] * 4


def test_shipped_configurations_are_there() -> None:
    names = {"ecp5_tiny", "mixed", "tiny", "w2a2", "w4a4", "w4a4_kv260", "w4a4_pynq_z2", "w8a8"}
    assert {path.stem for path in SHIPPED} == names


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configuration_loads(path: Path) -> None:
    config = load_config(path)
    assert not config.network.spec().is_float
    assert config.schema_ == SCHEMA_FILE.name
    assert config.build_folder == Path("build") / path.stem


def test_shipped_configurations_validate_against_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))
    assert [path.stem for path in SHIPPED if not validator.is_valid(json.loads(path.read_text()))] == []


def test_mixed_is_the_papers_assignment() -> None:
    network = load_config(SCHEMA_FILE.with_name("mixed.json")).network
    assert network.weight_bits == network.act_bits == (8, 8, 4, 4, 4, 2, 2, 2, 2, 2)


# --- files it names that are not there ---


def test_checkpoint_that_is_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("w4a4", "tiny"):
        (tmp_path / f"{name}.safetensors").touch()
    monkeypatch.setattr("model.spec.SHIPPED", tmp_path)
    config = load(tmp_path, with_changes({"network.checkpoint": "w5a5"}))
    with pytest.raises(UserError) as error:
        _ = config.checkpoint_file
    file = tmp_path / "w5a5.safetensors"
    assert str(error.value) == (
        f"network.checkpoint = 'w5a5': no such file: {file}; shipped checkpoints: tiny, w4a4"
    )


def test_folding_file_that_does_not_exist(tmp_path: Path) -> None:
    config = load(tmp_path, with_changes({"target_fps": MISSING, "folding_config_file": "f.json"}))
    with pytest.raises(UserError) as error:
        _ = config.folding_file
    assert str(error.value) == (
        f"folding_config_file = 'f.json': no such file: {tmp_path / 'f.json'}; "
        "give its path relative to the configuration"
    )
