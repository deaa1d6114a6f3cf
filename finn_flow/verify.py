"""The graphs of a build against Brevitas, integer for integer on every activation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from torch import Tensor

from finn_flow.frames import frames_to_verify
from model.checkpoint import load_checkpoint
from model.data import pixels
from model.network import QMobileFaceNet, integer_activations
from model.spec import NetworkSpec
from verification.compare import Comparer, reference_accumulators
from verification.executor import Executor

BATCH = 4  # frames whose activations are held at a time
REFERENCE = "Brevitas evaluated in float64"


def verify_graphs(
    graphs: Mapping[str, Path],
    checkpoint: Path,
    spec: NetworkSpec,
    host: Path,
    frames: int,
    images: Path | None,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Compare the graph of each step with the network of `checkpoint` on `frames` faces.

    host: npz with scale and offset. Returns what was compared, for the report. Raises MismatchError naming
    the first node and element that differ, with a note that names the step.
    """
    network = load_checkpoint(checkpoint, spec).double().eval()
    affine = dict(np.load(host))
    comparers = {step: Comparer(Executor(ModelWrapper(str(path)))) for step, path in graphs.items()}
    seconds = dict.fromkeys(comparers, 0.0)
    faces = pixels(frames_to_verify(frames, images, spec.size)).double()
    for batch, reference in _references(network, faces, affine):
        for step, comparer in comparers.items():
            start = time.perf_counter()
            known = {name: value for name, value in reference.items() if name in comparer.tensors}
            comparer.add(batch, known)
            seconds[step] += time.perf_counter() - start
        advance(len(batch))
    rows = []
    for step, comparer in comparers.items():
        try:
            found = comparer.result()
        except Exception as error:
            error.add_note(f"comparing the graph of step {step}")
            raise
        rows.append(
            {
                "step": step,
                "tensors": len(found.tensors),
                "frames": found.frames,
                "elements": found.elements,
                "seconds": round(seconds[step], 3),
            }
        )
    return {"reference": REFERENCE, "graphs": rows}


def _references(
    network: QMobileFaceNet, faces: Tensor, affine: Mapping[str, np.ndarray]
) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Batches of pixels, each with Brevitas's integers: every activation, and the accumulators."""
    for start in range(0, len(faces), BATCH):
        batch = faces[start : start + BATCH]
        reference: dict[str, Any] = dict(integer_activations(network, batch))
        embedding = reference.pop("embedding")
        accumulators = reference_accumulators(embedding, affine["scale"], affine["offset"])
        yield batch, {**reference, "accumulators": accumulators}
