"""Checkpoints: a network's parameters and its specification in one safetensors file.

The parameters are stored in float32. The specification is JSON in the file's metadata (`spec`), so that a
checkpoint says by itself what it is; a build gives its own and the two must agree. How it was made stands
beside it as text (`provenance`), which its card quotes.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model.errors import UserError
from model.network import QMobileFaceNet
from model.spec import NetworkSpec, spec_of_fields

FIELD = "checkpoint"
UNKNOWN = "Its file does not say how it was made."


def save_checkpoint(network: QMobileFaceNet, path: Path, provenance: str = UNKNOWN) -> None:
    """Write the network's parameters, specification and provenance to `path`: aside first, then renamed."""
    settle(network)
    tensors = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in _distinct(network.state_dict()).items()
    }
    metadata = {"spec": json.dumps(asdict(network.spec)), "provenance": provenance, "format": "pt"}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_bytes(save(tensors, metadata))
        os.replace(aside, path)
    except OSError as error:
        raise UserError(FIELD, str(path), f"cannot be written ({error.strerror})") from None
    finally:
        aside.unlink(missing_ok=True)


def load_checkpoint(path: Path, spec: NetworkSpec | None = None) -> QMobileFaceNet:
    """The network of a checkpoint, in eval mode; float32.

    spec: what the caller expects; by default what the file says. Raises UserError("checkpoint", ...) if the
    file cannot be read, was made for another specification, or lacks a tensor, has one too many or one of
    another shape.
    """
    tensors, stored = read_checkpoint(path)
    network = QMobileFaceNet(spec or stored)
    settle(network)
    _compare(path, network.spec, stored)
    _fill(network, tensors, path)
    return network.eval()


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], NetworkSpec]:
    """Tensors and specification of a checkpoint file. Raises UserError("checkpoint", ...)."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise UserError(FIELD, str(path), f"is no safetensors file ({error})") from None
    try:
        return tensors, spec_of_fields(json.loads(metadata["spec"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(FIELD, str(path), f"its metadata has no network specification ({error!r})") from None


def read_provenance(path: Path) -> str:
    """How a checkpoint was made, as Markdown sentences. Raises UserError("checkpoint", ...)."""
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("provenance", UNKNOWN))
    except (OSError, SafetensorError) as error:
        raise UserError(FIELD, str(path), f"is no safetensors file ({error})") from None


def load_foreign(path: Path) -> dict[str, Tensor]:
    """The state dict of somebody else's `.pt` file, read without running any code that it holds.

    Raises UserError("weights", ...) for anything but a mapping of names to tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError("weights", str(path), f"is no plain state dict of tensors ({reason})") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError("weights", str(path), "is no plain state dict of tensors")
    return dict(state)


def settle(network: QMobileFaceNet) -> None:
    """Let Brevitas create the scales that it creates at the first forward pass."""
    training = network.training
    network.eval()
    weight = next(network.parameters())
    with torch.no_grad():
        network(torch.zeros(1, 3, network.spec.size, network.spec.size, dtype=weight.dtype))
    network.train(training)


def _distinct(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A shared quantiser appears under several names: keep the first, as safetensors wants."""
    seen: set[int] = set()
    result = {}
    for name, tensor in state.items():
        if tensor.data_ptr() not in seen:
            result[name] = tensor
        seen.add(tensor.data_ptr())
    return result


def _compare(path: Path, expected: NetworkSpec, stored: NetworkSpec) -> None:
    for field, value in asdict(expected).items():
        have = getattr(stored, field)
        if field == "residual_bits":
            value, have = tuple(expected.stream_bits), tuple(stored.stream_bits)
        if value != have:
            raise UserError(FIELD, str(path), f"was made for {field} {have}, not {value}")


def _fill(network: QMobileFaceNet, tensors: Mapping[str, Tensor], path: Path) -> None:
    state = _distinct(network.state_dict())
    for name in state.keys() - tensors.keys():
        raise UserError(FIELD, str(path), f"lacks the tensor {name}")
    for name in tensors.keys() - state.keys():
        raise UserError(FIELD, str(path), f"has a tensor {name} that the network does not")
    for name, tensor in state.items():
        if tensor.shape != tensors[name].shape:
            rule = f"its tensor {name} has shape {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            raise UserError(FIELD, str(path), rule)
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(tensors[name])
