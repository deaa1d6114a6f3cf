"""The record of a finished step: `stamp.json` in its folder, which decides whether the step is done."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from finn_flow.artifacts import folder_hashes, json_hash, read_json, write_json

STAMP = "stamp.json"
TIMES = "time_per_step.json"  # FINN's name; in the folder of the step `report`
ENGINE_FILES = frozenset({STAMP, TIMES})  # written by the engine, so not among a step's outputs

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Stamp:
    """What a finished step read and wrote.

    inputs: every configuration value, file hash, earlier step's digest, code hash and tool version, by name.
    outputs: SHA-256 of each file it wrote, by path in its folder. result: its key results. seconds: its time.
    """

    inputs: Inputs
    outputs: dict[str, str]
    result: dict[str, Any]
    seconds: float

    @property
    def digest(self) -> str:
        """Hash of all that a later step can read of this one."""
        return json_hash([self.outputs, self.result])

    def write(self, folder: Path) -> None:
        write_json(folder / STAMP, dataclasses.asdict(self))

    def changes(self, inputs: Inputs) -> list[str]:
        """Names of the inputs that are not as they were."""
        names = sorted(self.inputs.keys() | inputs.keys())
        return [name for name in names if self.inputs.get(name) != inputs.get(name)]

    def is_intact(self, folder: Path) -> bool:
        """Whether the files in `folder` are those that were written."""
        return folder_hashes(folder, ENGINE_FILES) == self.outputs


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp in `folder`, or None where there is none or it is damaged."""
    fields = read_json(folder / STAMP)
    try:
        return Stamp(**fields)
    except TypeError:
        return None


def plain(value: object) -> Any:
    """`value` as JSON holds it; models and data classes become objects, tuples lists."""
    return json.loads(json.dumps(value, default=_plain_object))


def _plain_object(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(
        f"{type(value).__name__} cannot be stored in a stamp; give numbers, strings, lists or objects"
    )
