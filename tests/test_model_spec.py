"""Specifications: from a configuration and from fields, what is refused, and the file of a checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finn_flow.config import SCHEMA_FILE, load_config
from model.errors import UserError
from model.spec import NetworkSpec, find_checkpoint, spec_of_config, spec_of_fields, spec_of_section
from tests.networks import small_spec

FOUR = (4,) * 10
BITS_RULE = "must be 10 widths of 2..8 or 32 (float)"
STREAMS_RULE = "must be 3 widths of 2..8 or 32 (float)"
SIZE_RULE = "must be a multiple of 16 above 0"
EMBEDDING_RULE = "must be a whole number above 0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_bits": (1,) * 10}, f"weight_bits = {(1,) * 10}: {BITS_RULE}"),
        ({"act_bits": (4,) * 9}, f"act_bits = {(4,) * 9}: {BITS_RULE}"),
        ({"act_bits": (4,) * 9 + (9,)}, f"act_bits = {(4,) * 9 + (9,)}: {BITS_RULE}"),
        ({"residual_bits": (4, 4)}, f"residual_bits = (4, 4): {STREAMS_RULE}"),
        ({"size": 40}, f"size = 40: {SIZE_RULE}"),
        ({"size": 0}, f"size = 0: {SIZE_RULE}"),
        ({"width": 0.0}, "width = 0.0: must be 0.03125..8"),
        ({"width": float("nan")}, "width = nan: must be 0.03125..8"),
        ({"embedding": 0}, f"embedding = 0: {EMBEDDING_RULE}"),
        ({"depthwise": "prelu"}, "depthwise = 'prelu': must be 'bn_relu' or 'linear'"),
    ],
)
def test_impossible_specifications(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        small_spec(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize("changes", [{"weight_bits": (32,) * 10}, {"residual_bits": (4, 32, 4)}])
def test_a_width_of_32_is_float(changes: dict[str, Any]) -> None:
    assert small_spec(**changes).is_float
    assert not small_spec(act_bits=(4,) * 9 + (32,)).is_float  # block 10 writes accumulators


def test_fields_come_back_from_json() -> None:
    spec = small_spec(residual_bits=(2, 3, 4), depthwise="linear")
    assert spec_of_fields(json.loads(json.dumps(vars(spec)))) == spec


def test_a_section_is_taken_as_the_build_takes_it() -> None:
    paths = sorted(path for path in SCHEMA_FILE.parent.glob("*.json") if path != SCHEMA_FILE)
    assert len(paths) >= 6
    for path in paths:
        assert spec_of_config(path) == load_config(path).network.spec()


def test_a_section_may_leave_out_what_has_a_default() -> None:
    assert spec_of_section({"weight_bits": 4, "act_bits": [2] * 10}) == NetworkSpec(FOUR, (2,) * 10)
    section = {"weight_bits": 4, "act_bits": 4, "residual_bits": [2, 3, 4], "input_size": 32}
    assert spec_of_section(section) == NetworkSpec(FOUR, FOUR, (2, 3, 4), size=32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_bits": 1}, f"network.weight_bits = 1: {BITS_RULE}"),
        ({"weight_bits": 4.0}, f"network.weight_bits = 4.0: {BITS_RULE}"),
        ({"weight_bits": True}, f"network.weight_bits = True: {BITS_RULE}"),
        ({"weight_bits": None}, f"network.weight_bits = None: {BITS_RULE}"),
        ({"act_bits": [4, "4"]}, f"network.act_bits = [4, '4']: {BITS_RULE}"),
        ({"residual_bits": 4}, f"network.residual_bits = 4: {STREAMS_RULE}"),
        ({"depthwise": ["linear"]}, "network.depthwise = ['linear']: must be 'bn_relu' or 'linear'"),
        ({"width": "1"}, "network.width = '1': must be 0.03125..8"),
        ({"input_size": 100}, f"network.input_size = 100: {SIZE_RULE}"),
        ({"input_size": 32.0}, f"network.input_size = 32.0: {SIZE_RULE}"),
        ({"embedding": True}, f"network.embedding = True: {EMBEDDING_RULE}"),
        (
            {"size": 32},
            "network.size = 32: unknown key; known keys: checkpoint, weight_bits, act_bits, residual_bits, "
            "depthwise, width, input_size, embedding",
        ),
    ],
)
def test_a_wrong_key_of_a_section_is_named_as_the_build_names_it(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        spec_of_section({"checkpoint": "tiny", "weight_bits": 4, "act_bits": 4, **changes})
    assert str(caught.value) == message


@pytest.mark.parametrize("key", ["weight_bits", "act_bits"])
def test_a_missing_key_of_a_section_is_named(key: str) -> None:
    section = {"weight_bits": 4, "act_bits": 4}
    del section[key]
    with pytest.raises(UserError) as caught:
        spec_of_section(section)
    assert str(caught.value) == f"network.{key} = None: missing; give 2..8, once or per block"


FILES = {
    "no JSON": (
        b"{",
        "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    "not text": (
        b"\xff",
        "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "no network": (b"{}", "KeyError: 'network'"),
    "no object": (b"[]", "TypeError: list indices must be integers or slices, not str"),
}


@pytest.mark.parametrize(("content", "reason"), FILES.values(), ids=FILES)
def test_a_file_without_a_network_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        spec_of_config(path)
    assert str(caught.value) == f"config = {str(path)!r}: is no configuration with a network ({reason})"


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(UserError) as caught:
        spec_of_config(path)
    reason = f"FileNotFoundError: [Errno 2] No such file or directory: {str(path)!r}"
    assert str(caught.value) == f"config = {str(path)!r}: is no configuration with a network ({reason})"


def test_a_network_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"network": 4}')
    with pytest.raises(UserError) as caught:
        spec_of_config(tmp_path / "c.json")
    assert str(caught.value) == "network = 4: must be an object, { ... }"


def test_a_checkpoint_is_a_shipped_name_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.spec.SHIPPED", tmp_path / "shipped")
    shipped, ours = tmp_path / "shipped/a.safetensors", tmp_path / "a.safetensors"
    for path in (shipped, ours):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert find_checkpoint("checkpoint", "a", tmp_path) == shipped
    assert find_checkpoint("checkpoint", "a.safetensors", tmp_path) == ours
    assert find_checkpoint("checkpoint", "shipped/a.safetensors", tmp_path) == shipped
    assert find_checkpoint("checkpoint", str(ours), Path("elsewhere")) == ours


@pytest.mark.parametrize(("name", "file"), [("b", "shipped/b.safetensors"), ("./b", "b")])
def test_a_checkpoint_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    monkeypatch.setattr("model.spec.SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    for shipped in ("w4a4", "tiny"):
        (tmp_path / f"shipped/{shipped}.safetensors").touch()
    with pytest.raises(UserError) as caught:
        find_checkpoint("checkpoint", name, tmp_path)
    rule = f"no such file: {tmp_path / file}; shipped checkpoints: tiny, w4a4"
    assert str(caught.value) == f"checkpoint = {name!r}: {rule}"


def test_a_configuration_is_read_without_torch() -> None:
    code = "import sys, finn_flow.config, model.summary; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)
