"""What defines a training: one JSON file, typed, every mistake named. Examples are in model/recipes/.

Paths are relative to the current folder. `network` is a section as in hw_configs/, see `model.spec`; there a
width of 32 is float.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model.config_errors import read_object, user_error
from model.errors import UserError
from model.spec import NetworkSpec, spec_of_section

EXAMPLES = "model/recipes/"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Head(_Section):
    """A classification header, see `model.heads`: the network learns to tell the identities apart."""

    kind: Literal["softmax", "arcface"] = Field(description="softmax or arcface.")
    weight: float = Field(1.0, gt=0, description="Share in the loss.")
    scale: float = Field(64.0, gt=0, description="ArcFace's s.")
    margin_list: tuple[float, float, float] = Field(
        (1.0, 0.5, 0.0), description="ArcFace's m1, m2, m3, as in insightface."
    )


class Distillation(_Section):
    """The network learns the mean embedding of teachers, see `model.teacher`."""

    teachers: tuple[str, ...] = Field(
        min_length=1,
        description=".safetensors or .onnx files; first the float network that the start was made from.",
    )
    weight: float = Field(1.0, ge=0, description="Share in the loss of 1 - cosine of the embeddings.")
    layer_weight: float = Field(
        0.0,
        ge=0,
        description="Share of the squared error to the first teacher's block outputs; needs a checkpoint.",
    )


class Augmentation(_Section):
    """Changes of the training faces, see `model.augment`; 0 turns one off."""

    mirror: float = Field(0.5, ge=0, le=1, description="Probability of the mirror image.")
    shift: float = Field(0.0, ge=0, le=0.25, description="Largest shift, as a share of the side.")
    zoom: float = Field(0.0, ge=0, le=0.5, description="Largest relative change of size.")
    brightness: float = Field(0.0, ge=0, le=1, description="Largest change, as a share of white.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest relative change.")
    blur: float = Field(0.0, ge=0, le=1, description="Probability of a slight blur.")
    jpeg: float = Field(0.0, ge=0, le=1, description="Probability of strong JPEG compression.")


class Settings(_Section):
    """One training."""

    start: str | None = Field(
        None, min_length=1, description="Checkpoint: name of a shipped one, or a file. null: random weights."
    )
    network: dict[str, Any] | None = Field(
        None,
        description="Section as in hw_configs/; with a float start of other widths, calibrated from it.",
    )
    calibration_faces: int = Field(96, ge=16, description="Training faces that such a calibration uses.")
    faces: tuple[str, ...] = Field(min_length=1, description="Folders, zips and .rec files of faces.")
    exclude: str | None = Field(None, description="List of identities to leave out, such as those of LFW.")
    cache: str = Field(min_length=1, description="Folder for decoded faces and the teachers' embeddings.")
    head: Head | None = Field(None, description="Classification header; null: none.")
    distillation: Distillation | None = Field(None, description="Teachers; null: none.")
    batch_norm: Literal["folded", "train"] = Field(
        "folded",
        description="folded: frozen statistics, in the weights. train: those of each process's batch.",
    )
    optimiser: Literal["adam", "sgd"] = Field("adam", description="The paper: SGD in float, Adam for QAT.")
    lr: float = Field(1e-3, gt=0, description="Learning rate at its highest.")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty on all parameters.")
    warmup: int = Field(0, ge=0, description="Steps in which the learning rate is reached.")
    schedule: Literal["cosine", "steps"] = Field(
        "cosine", description="cosine: half a cosine down to 0. steps: divided by 10 at each milestone."
    )
    milestones: tuple[int, ...] = Field((), description="Steps after which the rate is divided by 10.")
    steps: int | None = Field(None, ge=1, description="Batches to train on; or give epochs.")
    epochs: int | None = Field(None, ge=1, description="Times that each face is seen; or give steps.")
    batch: int = Field(32, ge=1, description="Faces a step, in all processes together.")
    augmentation: Augmentation = Field(Augmentation(), description="Changes of the training faces.")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="Of the convolutions.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is one.")
    every: int = Field(200, ge=1, description="Steps from one validation, and saved state, to the next.")
    held_out: int = Field(600, ge=0, description="Faces of held-out people, about.")
    pairs: int = Field(1500, ge=1, description="Held-out pairs of one person each, and as many of two.")
    seed: int = Field(0, ge=0, description="Of weights, order, augmentation and held-out people.")

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if self.start is None and self.network is None:
            raise UserError("start", None, "missing; give a checkpoint to start from, or a network, or both")
        if self.head is None and self.distillation is None:
            raise UserError("head", None, "missing; give a head, or a distillation, or both")
        if (self.steps is None) == (self.epochs is None):
            raise UserError("steps", self.steps, "give either steps or epochs")
        if bool(self.milestones) != (self.schedule == "steps"):
            raise UserError("milestones", self.milestones, "belong to schedule 'steps', which needs them")
        if self.start is None and self.batch_norm == "folded":
            rule = "random weights have no statistics of batch norms yet; choose 'train'"
            raise UserError("batch_norm", self.batch_norm, rule)
        return self

    @property
    def spec(self) -> NetworkSpec | None:
        """Of the section `network`. Raises UserError("network...", ...)."""
        return None if self.network is None else spec_of_section(self.network)


def load_settings(path: Path) -> Settings:
    """The settings in the JSON file at `path`. Raises UserError that says what to correct first."""
    return parse_settings(read_object(path, EXAMPLES))


def parse_settings(values: dict[str, Any]) -> Settings:
    """Settings of a JSON object, where lists stand for tuples. Raises UserError."""
    try:
        settings = Settings.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise user_error(error, Settings) from None
    _ = settings.spec
    return settings
