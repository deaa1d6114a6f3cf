"""What an experiment is made of: a JSON file; its paths are relative to the current folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model.config_errors import read_object, user_error
from model.errors import UserError
from model.spec import NetworkSpec
from model.train_settings import Settings, parse_settings

EXAMPLES = "model/recipes/experiments/"
OURS = ("start", "network", "faces", "exclude", "cache", "calibration_faces", "seed")  # set by the experiment

Method = Literal["ptq", "qat"]
Making = Method | Literal["scratch"]  # the last: trained from random weights, in float


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Benchmark(_Section):
    """A verification set: reported, never used to choose anything."""

    images: str = Field(min_length=1, description="Folder, zip or .bin of aligned faces.")
    pairs: str | None = Field(None, description="pairs.txt; a .bin holds its pairs itself.")


class Plan(_Section):
    """One experiment, or several that share what they are made of."""

    weights: str = Field(min_length=1, description="The float checkpoint that all networks are made from.")
    faces: tuple[str, ...] = Field(min_length=1, description="Folders, zips and .rec files of faces.")
    exclude: str | None = Field(None, description="List of identities to leave out, such as those of LFW.")
    cache: str = Field(min_length=1, description="Folder for decoded faces and embeddings.")
    benchmarks: dict[str, Benchmark] = Field({}, description="Verification sets by name.")
    methods: tuple[Method, ...] = Field(("ptq",), min_length=1, description="ptq, qat, or both.")
    training: dict[str, Any] = Field(
        {},
        description="Settings of model.train for QAT; default: 20 epochs of distillation from `weights`.",
    )
    bits: tuple[int, ...] = Field((8, 4, 2), min_length=1, description="Widths to compare.")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="Each network is made once per seed.")
    calibration_faces: int = Field(96, ge=16, description="Training faces that PTQ uses.")
    footprints: tuple[float, ...] = Field(
        (0.07, 0.075, 0.08, 0.09, 0.1, 0.125),
        description="mixed: shares of the 32-bit weights, for each of which a network is proposed.",
    )
    networks: dict[str, str] = Field({}, description="tsne, roc: checkpoints or .onnx files by name.")
    identities: int = Field(10, ge=2, description="tsne: people to show.")

    @model_validator(mode="after")
    def _check(self) -> Plan:
        for name in self.training:
            if name in OURS:
                rule = "is set by the experiment; leave it out"
                raise UserError(f"training.{name}", self.training[name], rule)
        for width in self.bits:
            if not 2 <= width <= 8:
                raise UserError("bits", width, "must be 2..8")
        return self

    def settings(self, spec: NetworkSpec, seed: int, making: Making = "qat") -> Settings:
        """How a network of the experiment is trained; PTQ is where this begins."""
        start = {"start": None, "batch_norm": "train"} if making == "scratch" else {"start": self.weights}
        default = {"distillation": {"teachers": [self.weights]}}
        length = {} if {"steps", "epochs"} & self.training.keys() else {"epochs": 20}
        values = {**({} if "head" in self.training else default), **length, **self.training}
        return parse_settings(
            {
                **values,
                **start,
                "network": section(spec),
                "faces": list(self.faces),
                "exclude": self.exclude,
                "cache": self.cache,
                "calibration_faces": self.calibration_faces,
                "seed": seed,
            }
        )

    def caption(self, training: Literal["qat", "scratch"] | None) -> str:
        """What a figure says of its data, and of the training where there is one in it."""
        faces = ", ".join(Path(source).stem for source in self.faces)
        seeds = ", ".join(map(str, self.seeds))
        text = f"weights: {Path(self.weights).stem}; faces: {faces}; seeds: {seeds}"
        if training is None or (training == "qat" and "qat" not in self.methods):
            return text
        steps, epochs = self.training.get("steps"), self.training.get("epochs", 20)
        how = {"qat": "QAT", "scratch": "from random weights"}[training]
        return f"{text}; {how}: {steps:,} steps" if steps else f"{text}; {how}: {epochs} epochs"


def section(spec: NetworkSpec) -> dict[str, Any]:
    """A specification as the section `network` of a configuration."""
    return {
        "weight_bits": list(spec.weight_bits),
        "act_bits": list(spec.act_bits),
        "residual_bits": None if spec.residual_bits is None else list(spec.residual_bits),
        "depthwise": spec.depthwise,
        "width": spec.width,
        "input_size": spec.size,
        "embedding": spec.embedding,
    }


def load_plan(path: Path) -> Plan:
    """The plan in the JSON file at `path`. Raises UserError that says what to correct first."""
    values = read_object(path, EXAMPLES)
    try:
        return Plan.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise user_error(error, Plan) from None
