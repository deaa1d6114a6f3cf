"""The build configuration: one JSON file, its fields typed and explained, every mistake named.

`load_config` reads a file; `hw_configs/schema.json` is the same model for editors, written by
`python -m finn_flow.config --write-schema`. Field names are those of FINN's `DataflowBuildConfig` where the
meaning is the same. Input files are given relative to the configuration, `output_dir` to the current folder.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from finn_flow.boards import BOARDS, Board, find_board
from finn_flow.config_fields import Backend, BlockBits, Part, StreamBits, TargetFps
from model.config_errors import read_object, user_error
from model.errors import UserError
from model.spec import DepthwiseStage, NetworkSpec, find_checkpoint, spec_of_section
from model.table import BLOCKS

SCHEMA_FILE = Path(__file__).parents[1] / "hw_configs" / "schema.json"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NetworkConfig(_Section):
    """The network: Table I of the paper under these widths and sizes, and its parameters."""

    checkpoint: str = Field(
        min_length=1,
        description="Parameters: name of a checkpoint in model/checkpoints, or path of a .safetensors file.",
    )
    weight_bits: BlockBits = Field(
        description=f"Weight width, 2..8: one for all or a list of {BLOCKS}, per block."
    )
    act_bits: BlockBits = Field(
        description=f"Activation width, 2..8: one for all or a list of {BLOCKS}, per block."
    )
    residual_bits: StreamBits = Field(
        None, description="Width of each residual stream; null: that of the block that opens it."
    )
    depthwise: DepthwiseStage = Field(
        "bn_relu",
        description="Depthwise stages with batch norm and ReLU (MobileFaceNet) or linear (the paper).",
    )
    width: float = Field(1.0, ge=0.03125, le=8, description="Channel multiplier.")
    input_size: int = Field(
        112, ge=16, le=1024, multiple_of=16, description="Side of the square input in pixels."
    )
    embedding: int = Field(128, ge=1, le=4096, description="Length of the embedding.")

    def spec(self) -> NetworkSpec:
        """The same as `model` knows it."""
        return spec_of_section(self.model_dump())


class Resources(_Section):
    """What the part of a custom board offers."""

    lut: int = Field(ge=1, description="Look-up tables.")
    ff: int = Field(ge=1, description="Flip-flops.")
    bram18: int = Field(ge=0, description="Block RAMs of 18 Kbit.")
    uram: int = Field(ge=0, description="UltraRAMs of 288 Kbit.")
    dsp: int = Field(ge=0, description="DSP slices.")


class VerifyConfig(_Section):
    """The comparison of the hardware graph with Brevitas, integer for integer."""

    frames: int = Field(32, ge=1, description="Number of frames to compare.")
    rtlsim_frames: int = Field(3, ge=3, description="Number of frames to simulate back to back.")
    cppsim_frames: int = Field(0, ge=0, description="Number of frames for the C++ of FINN's HLS layers.")


class BuildConfig(_Section):
    """One accelerator build."""

    model_config = ConfigDict(
        json_schema_extra={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "oneOf": [{"required": ["target_fps"]}, {"required": ["folding_config_file"]}],
            "if": {"required": ["board"]},
            "then": {"properties": {"fpga_part": False, "resources": False}},
            "else": {"required": ["fpga_part", "resources", "synth_clk_period_ns"]},
        },
    )

    schema_: str | None = Field(None, alias="$schema", description="For editors: schema.json. Has no effect.")
    network: NetworkConfig = Field(description="The network and its parameters.")
    board: str | None = Field(
        None, description="Name of a known board.", json_schema_extra={"enum": [*sorted(BOARDS), None]}
    )
    fpga_part: Part | None = Field(None, description="Part number of a custom board.")
    resources: Resources | None = Field(None, description="What the part of a custom board offers.")
    synth_clk_period_ns: float | None = Field(
        None, ge=1, le=1000, description="Clock period in ns; null: the board's default."
    )
    target_fps: TargetFps = Field(
        None, description='Frames per second to fold for, or "max" for as many as fit.'
    )
    folding_config_file: str | None = Field(
        None, min_length=1, description="Folding per layer in FINN's JSON format, in place of target_fps."
    )
    fifo_config_file: str | None = Field(
        None, min_length=1, description="FIFO depths in FINN's JSON format; null: sized by simulation."
    )
    headroom: float = Field(
        0.8, gt=0, le=1, description="Share of each resource that the accelerator may use."
    )
    backend: Backend = Field(
        "rtl", description="What the layers are made of: one for all, or by layer, where the others are RTL."
    )
    estimate: Literal["analytic", "yosys"] = Field(
        "analytic", description="Where resources come from: the cost model, or a synthesis of every layer."
    )
    verify: VerifyConfig = Field(VerifyConfig(), description="What to verify.")
    output_dir: str | None = Field(
        None, min_length=1, description="Folder of the outputs; null: build/ and the configuration's name."
    )

    _file: Path = PrivateAttr(Path("config.json"))

    @model_validator(mode="after")
    def _check(self) -> BuildConfig:
        if self.target_fps is None and self.folding_config_file is None:
            raise UserError("target_fps", None, 'missing; give a number, or "max", or a folding_config_file')
        if self.target_fps is not None and self.folding_config_file is not None:
            raise UserError(
                "target_fps", self.target_fps, "excludes folding_config_file; leave out one of the two"
            )
        if self.board is not None:
            self._check_board(self.board)
        else:
            self._check_custom_board()
        if self.estimate == "yosys" and self.device.dsp_block == "MULT18X18D":
            raise UserError("estimate", "yosys", f"has no flow for {self.device.part}; leave it out")
        return self

    def _check_board(self, name: str) -> None:
        find_board(name)
        if self.fpga_part is not None:
            raise UserError(
                "fpga_part", self.fpga_part, f"excludes board; the part of {name} is known, leave it out"
            )
        if self.resources is not None:
            given = self.resources.model_dump()
            raise UserError("resources", given, f"excludes board; those of {name} are known, leave it out")

    def _check_custom_board(self) -> None:
        if self.fpga_part is None and self.resources is None:
            rule = f"missing; known boards: {', '.join(sorted(BOARDS))}; or give fpga_part and resources"
            raise UserError("board", None, rule)
        for name in ("fpga_part", "resources", "synth_clk_period_ns"):
            if getattr(self, name) is None:
                raise UserError(name, None, "missing; a board that is not a known one needs it")

    @property
    def device(self) -> Board:
        """The board, or the custom part as one; its clock is the one to build for."""
        if self.board is not None:
            board = find_board(self.board)
            return replace(board, clk_period_ns=self.synth_clk_period_ns or board.clk_period_ns)
        assert self.fpga_part is not None
        assert self.resources is not None
        assert self.synth_clk_period_ns is not None
        resources = self.resources.model_dump()
        return Board(self.fpga_part, self.fpga_part, **resources, clk_period_ns=self.synth_clk_period_ns)

    @property
    def build_folder(self) -> Path:
        """The folder of the outputs, relative to the current one."""
        return Path(self.output_dir or Path("build", self._file.stem))

    @property
    def checkpoint_file(self) -> Path:
        """The file of the parameters. Raises UserError if there is none."""
        return find_checkpoint("network.checkpoint", self.network.checkpoint, self._file.parent)

    @property
    def folding_file(self) -> Path | None:
        """The file of the folding, None where target_fps is given. Raises UserError if it does not exist."""
        return self._input("folding_config_file", self.folding_config_file)

    @property
    def fifo_file(self) -> Path | None:
        """The file of FIFO depths, None where they are sized. Raises UserError if it does not exist."""
        return self._input("fifo_config_file", self.fifo_config_file)

    def _input(self, field: str, name: str | None) -> Path | None:
        if name is None:
            return None
        path = self._file.parent / name
        if not path.is_file():
            raise UserError(field, name, f"no such file: {path}; give its path relative to the configuration")
        return path


def load_config(path: Path) -> BuildConfig:
    """The configuration in the JSON file at `path`. Raises UserError that says what to correct first."""
    try:
        config = BuildConfig.model_validate(read_object(path))
    except ValidationError as error:
        raise user_error(error, BuildConfig) from None
    config._file = path
    return config


def schema_text() -> str:
    """The JSON schema of a configuration file, as `hw_configs/schema.json` holds it."""
    return json.dumps(BuildConfig.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m finn_flow.config", description="The schema of configurations."
    )
    parser.add_argument(
        "--write-schema", action="store_true", required=True, help=f"write {SCHEMA_FILE.name}"
    )
    parser.parse_args()
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
