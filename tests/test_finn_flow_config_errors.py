"""What a configuration must not be: one test per rejected input, with its whole message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finn_flow.boards import BOARDS
from finn_flow.config import load_config, schema_text
from model.errors import UserError
from tests.toy_build import CUSTOM, MISSING, load, with_changes

PART, RESOURCES = CUSTOM["fpga_part"], CUSTOM["resources"]
KNOWN = ", ".join(sorted(BOARDS))
BITS_RULE = "must be 2..8, one number or a list of 10"
STREAMS_RULE = (
    "must be a list of 3 numbers 2..8, for the residual streams that blocks 3, 4 and 6 open, or null"
)
FLOAT_RULE = "; 32 (float) cannot be exported, it is for training"
BACKEND_RULE = 'must be "rtl" or "hls", one for all layers or an object by layer, {"MVAU_3": "hls"}'
FPS_RULE = 'must be a number of frames per second above 0, or "max" for as many as fit'

REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt key": ({"target_fp": 3}, "target_fp = 3: unknown key; did you mean 'target_fps'?"),
    "misspelt key of a section": (
        {"network.weigth_bits": 3},
        "network.weigth_bits = 3: unknown key; did you mean 'weight_bits'?",
    ),
    "misspelt key in place of a required one": (
        {"network.act_bits": MISSING, "network.act_bit": 3},
        "network.act_bit = 3: unknown key; did you mean 'act_bits'?",
    ),
    "unknown key": (
        {"verify.zzz": 1},
        "verify.zzz = 1: unknown key; known keys: frames, rtlsim_frames, cppsim_frames",
    ),
    "unknown key of resources": (
        {**CUSTOM, "resources": {**RESOURCES, "zzz": 1}},
        "resources.zzz = 1: unknown key; known keys: lut, ff, bram18, uram, dsp",
    ),
    "no network": ({"network": MISSING}, "network = None: missing; add it. The network and its parameters."),
    "no checkpoint": (
        {"network.checkpoint": MISSING},
        "network.checkpoint = None: missing; add it. Parameters: name of a checkpoint in model/checkpoints, "
        "or path of a .safetensors file.",
    ),
    "no weight_bits": (
        {"network.weight_bits": MISSING},
        "network.weight_bits = None: missing; add it. Weight width, 2..8: one for all or a list of 10, per "
        "block.",
    ),
    "no act_bits": (
        {"network.act_bits": MISSING},
        "network.act_bits = None: missing; add it. Activation width, 2..8: one for all or a list of 10, per "
        "block.",
    ),
    "network no object": ({"network": 4}, "network = 4: must be an object, { ... }"),
    "checkpoint no string": ({"network.checkpoint": 4}, "network.checkpoint = 4: must be a valid string"),
    "checkpoint empty": (
        {"network.checkpoint": ""},
        "network.checkpoint = '': must have at least 1 character",
    ),
    "weights too narrow": ({"network.weight_bits": 1}, f"network.weight_bits = 1: {BITS_RULE}"),
    "weights too wide": ({"network.weight_bits": 9}, f"network.weight_bits = 9: {BITS_RULE}"),
    "weights float": ({"network.weight_bits": 32}, f"network.weight_bits = 32: {BITS_RULE}{FLOAT_RULE}"),
    "weights no number": ({"network.weight_bits": "4"}, f"network.weight_bits = '4': {BITS_RULE}"),
    "weights fraction": ({"network.weight_bits": 4.0}, f"network.weight_bits = 4.0: {BITS_RULE}"),
    "weights true": ({"network.weight_bits": True}, f"network.weight_bits = True: {BITS_RULE}"),
    "weights short": ({"network.weight_bits": [4, 4]}, f"network.weight_bits = [4, 4]: {BITS_RULE}"),
    "activations one too wide": (
        {"network.act_bits": [4] * 9 + [9]},
        f"network.act_bits = [4, 4, 4, 4, 4, 4, 4, 4, 4, 9]: {BITS_RULE}",
    ),
    "activations one float": (
        {"network.act_bits": [4] * 9 + [32]},
        f"network.act_bits = [4, 4, 4, 4, 4, 4, 4, 4, 4, 32]: {BITS_RULE}{FLOAT_RULE}",
    ),
    "streams one number": ({"network.residual_bits": 4}, f"network.residual_bits = 4: {STREAMS_RULE}"),
    "streams short": ({"network.residual_bits": [4]}, f"network.residual_bits = [4]: {STREAMS_RULE}"),
    "streams float": (
        {"network.residual_bits": [4, 4, 32]},
        f"network.residual_bits = [4, 4, 32]: {STREAMS_RULE}{FLOAT_RULE}",
    ),
    "unknown depthwise": (
        {"network.depthwise": "relu"},
        "network.depthwise = 'relu': must be 'bn_relu' or 'linear'",
    ),
    "width zero": ({"network.width": 0}, "network.width = 0: must be greater than or equal to 0.03125"),
    "width large": ({"network.width": 9}, "network.width = 9: must be less than or equal to 8"),
    "width infinite": ({"network.width": float("inf")}, "network.width = inf: must be a finite number"),
    "input_size no multiple": (
        {"network.input_size": 100},
        "network.input_size = 100: must be a multiple of 16",
    ),
    "input_size small": (
        {"network.input_size": 0},
        "network.input_size = 0: must be greater than or equal to 16",
    ),
    "input_size large": (
        {"network.input_size": 2048},
        "network.input_size = 2048: must be less than or equal to 1024",
    ),
    "embedding zero": ({"network.embedding": 0}, "network.embedding = 0: must be greater than or equal to 1"),
    "embedding large": (
        {"network.embedding": 9999},
        "network.embedding = 9999: must be less than or equal to 4096",
    ),
    "unknown board": ({"board": "ZCU999"}, f"board = 'ZCU999': unknown; known boards: {KNOWN}"),
    "no board": (
        {"board": MISSING},
        f"board = None: missing; known boards: {KNOWN}; or give fpga_part and resources",
    ),
    "board and part": (
        {"fpga_part": PART},
        f"fpga_part = {PART!r}: excludes board; the part of Pynq-Z2 is known, leave it out",
    ),
    "board and resources": (
        {"resources": RESOURCES},
        f"resources = {RESOURCES}: excludes board; those of Pynq-Z2 are known, leave it out",
    ),
    "custom board without part": (
        {**CUSTOM, "fpga_part": MISSING},
        "fpga_part = None: missing; a board that is not a known one needs it",
    ),
    "custom board without resources": (
        {**CUSTOM, "resources": MISSING},
        "resources = None: missing; a board that is not a known one needs it",
    ),
    "custom board without clock": (
        {**CUSTOM, "synth_clk_period_ns": MISSING},
        "synth_clk_period_ns = None: missing; a board that is not a known one needs it",
    ),
    "custom board of another family": (
        {**CUSTOM, "fpga_part": "xcvc1902"},
        "fpga_part = 'xcvc1902': must be the part number of a 7-series or UltraScale device, "
        "such as xczu7ev-ffvc1156-2-e",
    ),
    "resource missing": (
        {**CUSTOM, "resources": {"lut": 1, "ff": 1, "bram18": 1, "uram": 1}},
        "resources.dsp = None: missing; add it. DSP slices.",
    ),
    "resource negative": (
        {**CUSTOM, "resources": {**RESOURCES, "dsp": -1}},
        "resources.dsp = -1: must be greater than or equal to 0",
    ),
    "clock zero": (
        {"synth_clk_period_ns": 0},
        "synth_clk_period_ns = 0: must be greater than or equal to 1",
    ),
    "clock slow": (
        {"synth_clk_period_ns": 1e4},
        "synth_clk_period_ns = 10000.0: must be less than or equal to 1000",
    ),
    "no target": (
        {"target_fps": MISSING},
        'target_fps = None: missing; give a number, or "max", or a folding_config_file',
    ),
    "target and folding": (
        {"folding_config_file": "f.json"},
        "target_fps = 10.0: excludes folding_config_file; leave out one of the two",
    ),
    "target zero": ({"target_fps": 0}, f"target_fps = 0: {FPS_RULE}"),
    "target true": ({"target_fps": True}, f"target_fps = True: {FPS_RULE}"),
    "target infinite": ({"target_fps": float("inf")}, f"target_fps = inf: {FPS_RULE}"),
    "target no number": ({"target_fps": float("nan")}, f"target_fps = nan: {FPS_RULE}"),
    "target a word": ({"target_fps": "fast"}, f"target_fps = 'fast': {FPS_RULE}"),
    "headroom zero": ({"headroom": 0}, "headroom = 0: must be greater than 0"),
    "headroom a percentage": ({"headroom": 80}, "headroom = 80: must be less than or equal to 1"),
    "unknown backend": ({"backend": "vhdl"}, f"backend = 'vhdl': {BACKEND_RULE}"),
    "unknown backend of a layer": (
        {"backend": {"MVAU_0": "hls", "MVAU_1": 3}},
        f"backend = {{'MVAU_0': 'hls', 'MVAU_1': 3}}: {BACKEND_RULE}",
    ),
    "no frames of C++": (
        {"verify.cppsim_frames": -1},
        "verify.cppsim_frames = -1: must be greater than or equal to 0",
    ),
    "frames zero": ({"verify.frames": 0}, "verify.frames = 0: must be greater than or equal to 1"),
    "frames a fraction": ({"verify.frames": 1.5}, "verify.frames = 1.5: must be a valid integer"),
    "output_dir empty": ({"output_dir": ""}, "output_dir = '': must have at least 1 character"),
}


@pytest.mark.parametrize(("changes", "message"), REJECTED.values(), ids=REJECTED)
def test_rejected(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, with_changes(changes))
    assert str(error.value) == message


def test_schema_rejects_the_same_but_for_what_json_cannot_tell() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    accepted = {name for name, (changes, _) in REJECTED.items() if validator.is_valid(with_changes(changes))}
    assert accepted == {"weights fraction", "target no number"}


FILES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b'{\n  "board": ZCU104\n}', "not JSON: line 2, column 12: Expecting value"),
    "cut short": (b'{"board": "ZCU104"', "not JSON: line 1, column 19: Expecting ',' delimiter"),
    "empty": (b"", "not JSON: line 1, column 1: Expecting value"),
    "not text": (
        b'{"board": "\xff"}',
        "not JSON: 'utf-8' codec can't decode byte 0xff in position 11: invalid start byte",
    ),
    "too deep": (
        b"[" * 100_000,
        "not JSON: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
    ),
    "long number": (
        b"9" * 5000,
        "not JSON: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; use "
        "sys.set_int_max_str_digits() to increase the limit",
    ),
    "no object": (b"[1]", "must hold a JSON object, { ... }"),
}


@pytest.mark.parametrize(("content", "rule"), FILES.values(), ids=FILES)
def test_file_that_holds_no_configuration(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "toy.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_config(path)
    assert str(error.value) == f"--config = {str(path)!r}: {rule}"


def test_key_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    path.write_text('{"board": "ZCU104", "board": "KV260"}')
    with pytest.raises(UserError) as error:
        load_config(path)
    assert str(error.value) == "board = 'KV260': given twice; before it was 'ZCU104'"


def test_file_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(UserError) as error:
        load_config(path)
    assert str(error.value) == f"--config = {str(path)!r}: no such file; examples are in hw_configs/"


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_config(tmp_path)
    assert str(error.value) == f"--config = {str(tmp_path)!r}: cannot be read: Is a directory"
