"""The network that a training starts with: random, a checkpoint, or calibrated from a float checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.calibrate import calibrate
from model.checkpoint import load_checkpoint, read_checkpoint, read_provenance, settle
from model.errors import UserError
from model.network import QMobileFaceNet
from model.spec import NetworkSpec, find_checkpoint, spec_of_fields
from model.teacher import Vectors, directions, folded_embedding, normalised
from model.train_data import TrainingData
from model.train_settings import Settings

State = Mapping[str, Any]
ALIGNED = 2000  # faces by which the teachers' embeddings are turned into the same directions
BATCH = 32


def spec_to_train(settings: Settings, state: State | None) -> NetworkSpec:
    """The network of the state, of the settings, or of the checkpoint to start from."""
    if state:
        return spec_of_fields(json.loads(state["spec"]))
    if settings.spec:
        return settings.spec
    assert settings.start is not None
    return read_checkpoint(find_checkpoint("start", settings.start, Path()))[1]


def network_to_train(
    settings: Settings, spec: NetworkSpec, data: TrainingData, state: State | None
) -> tuple[QMobileFaceNet, str]:
    """The network in float32 and eval mode, and how it was made up to here."""
    if state:
        network = QMobileFaceNet(spec).eval()
        settle(network)
        fill(network, state["network"])
        return network, state["origin"]
    if settings.start is None:
        network = QMobileFaceNet(spec).eval()
        settle(network)
        return network, f"Random weights of seed {settings.seed}."
    path = find_checkpoint("start", settings.start, Path())
    start = read_checkpoint(path)[1]
    if start.is_float and start != spec:
        return _calibrated(path, start, spec, settings, data)
    return load_checkpoint(path, spec), read_provenance(path)


def _calibrated(
    path: Path, start: NetworkSpec, spec: NetworkSpec, settings: Settings, data: TrainingData
) -> tuple[QMobileFaceNet, str]:
    if replace(start, **widths(spec)) != spec:
        raise UserError("start", settings.start, "differs from the network in more than its widths")
    faces = data.faces.images[data.sample(settings.calibration_faces)]
    network = calibrate(load_checkpoint(path), spec, faces, settings.seed)
    origin = f"{read_provenance(path)}\n\nThen post-training quantised on {len(faces)} of the training faces."
    return network, origin


def widths(spec: NetworkSpec) -> dict[str, Any]:
    """The fields of a specification in which a calibrated network may differ from its float source."""
    return {name: getattr(spec, name) for name in ("weight_bits", "act_bits", "residual_bits")}


def teachers_directions(network: QMobileFaceNet, data: TrainingData, state: State | None) -> list[Vectors]:
    """A rotation per teacher, by the student's first embeddings of faces that it trains on."""
    if state:
        return list(state["rotations"].numpy())
    if not data.teachers:
        return []
    embed, chosen = folded_embedding(network), data.sample(ALIGNED)
    batches = [embed(data.faces.images[chosen[i : i + BATCH]]) for i in range(0, len(chosen), BATCH)]
    return directions([own[chosen] for own in data.teachers], normalised(np.concatenate(batches)))


def fill(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """In place: load_state_dict makes Brevitas replace its parameters by new ones.

    Raises KeyError and RuntimeError if a tensor is absent or has another shape.
    """
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(state[name])


def spec_text(spec: NetworkSpec) -> str:
    """A specification as a state keeps it."""
    return json.dumps(asdict(spec))
