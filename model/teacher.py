"""The teacher of a distillation: a network whose embeddings the student learns.

A teacher is a checkpoint of this project (`.safetensors`) or an ONNX file with one input (N, 3, size, size),
RGB pixels 0..255 in float32, and one output (N, E).
Only the angles between embeddings count, so those of a teacher may be turned as one. Thus a student that was
made from one teacher starts near its targets, and several teachers can be added: two networks with other
training behind them err on other faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from model.checkpoint import load_checkpoint
from model.data import Images, pixels
from model.errors import UserError
from model.evaluate import Embed
from model.folded import FoldedNetwork
from model.network import QMobileFaceNet

Vectors = NDArray[np.float32]  # (N, E)
SAME_DIRECTIONS = 0.25  # mean cosine; that of unrelated embeddings is about 0


def load_teacher(path: Path, size: int) -> tuple[Embed, str]:
    """`embed` of the teacher and a name for it, which changes with the file.

    Raises UserError("teacher", ...) if the file is none, or takes images of another size.
    """
    if not path.is_file():
        raise UserError("teacher", str(path), "no such file")
    name = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if path.suffix == ".onnx":
        return _onnx_embedding(path, size), name
    network = load_checkpoint(path)
    if network.spec.size != size:
        raise UserError("teacher", str(path), f"takes {network.spec.size} pixels a side, the student {size}")
    return folded_embedding(network), name


def folded_embedding(network: QMobileFaceNet) -> Embed:
    """`embed` by the folded forward pass, which is the faster one; float32."""

    folded = FoldedNetwork(network.eval())
    device = next(network.parameters()).device

    def embed(faces: Images) -> NDArray[np.float64]:
        with torch.no_grad():
            return folded(pixels(faces).to(device)).double().numpy(force=True)

    return embed


def directions(raw: Sequence[Vectors], student: Vectors) -> list[Vectors]:
    """A rotation (E, E) for the embeddings (N, E) of each teacher, after which they may be added.

    The first teacher sets the directions: its own where the student's embeddings of the same faces (N, E)
    point there already, since it was made from it; else the student's. The others are turned onto it.
    """
    near = (normalised(raw[0]) * normalised(student)).sum(1).mean() >= SAME_DIRECTIONS
    first = np.eye(student.shape[1], dtype=np.float32) if near else align(raw[0], student)
    return [first, *(align(other, raw[0] @ first) for other in raw[1:])]


def combined(raw: Sequence[Vectors], rotations: Sequence[Vectors]) -> Vectors:
    """The mean of the teachers' embeddings at length 1, each normalised and turned."""
    return normalised(
        np.sum([normalised(own) @ turn for own, turn in zip(raw, rotations, strict=True)], axis=0)
    )


def align(vectors: Vectors, onto: Vectors) -> Vectors:
    """The rotation R (E, E) for which vectors @ R is nearest to `onto` (orthogonal Procrustes).

    Both are normalised and centred first: an offset is learned by the student's last batch norm in no time.
    """
    vectors, onto = normalised(vectors), normalised(onto)
    u, _, vh = np.linalg.svd((vectors - vectors.mean(0)).T @ (onto - onto.mean(0)))
    return np.asarray(u @ vh, np.float32)


def normalised(vectors: NDArray[np.floating]) -> Vectors:
    """The vectors at length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _onnx_embedding(path: Path, size: int) -> Embed:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise UserError("teacher", str(path), f"is no ONNX network ({str(error).splitlines()[0]})") from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].shape[1:] != [3, size, size]:
        shapes = [value.shape for value in inputs]
        raise UserError("teacher", str(path), f"takes {shapes}, not one batch of (3, {size}, {size})")

    def embed(faces: Images) -> NDArray[np.float64]:
        rgb = np.ascontiguousarray(faces.transpose(0, 3, 1, 2), np.float32)
        return np.asarray(session.run(None, {inputs[0].name: rgb})[0], np.float64)

    return embed
