"""The worker of the emulated board: frames in, integers out."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.artifacts import ROOT
from finn_flow.lower import lower
from finn_flow.serve import serve
from finn_flow.streamline import streamline
from model.export import export
from tests.networks import random_network, small_spec
from verification.executor import Executor

SIZES = {"frame_bytes": 32 * 32 * 3, "result_bytes": 6 * 4}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small hardware graph."""
    folder = tmp_path_factory.mktemp("serve")
    integers, _ = streamline(export(random_network(small_spec()), folder / "export.onnx"))
    lower(integers).save(str(folder / "model.onnx"))
    return folder / "model.onnx"


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(-128, 128, (count, 32, 32, 3), np.int8)


def request(pixels: np.ndarray) -> bytes:
    return struct.pack("<I", len(pixels)) + pixels.tobytes()


def answers(output: bytes) -> np.ndarray:
    """The results after the greeting."""
    greeting, data = output.split(b"\n", 1)
    assert json.loads(greeting) == SIZES
    return np.frombuffer(data, "<i4").reshape(-1, 6)


def expected(file: Path, *batches: np.ndarray) -> np.ndarray:
    executor = Executor(ModelWrapper(str(file)))
    return np.concatenate([executor.run(batch)["accumulators"].reshape(-1, 6) for batch in batches])


def test_every_request_is_answered_with_the_executors_integers(file: Path) -> None:
    out = io.BytesIO()
    serve(ModelWrapper(str(file)), io.BytesIO(request(frames(2)) + request(frames(3))), out)
    assert np.array_equal(answers(out.getvalue()), expected(file, frames(2), frames(3)))


def test_an_input_that_ends_inside_a_request(file: Path) -> None:
    out = io.BytesIO()
    with pytest.raises(EOFError, match=r"^the input ended after 6143 of 6144 bytes$"):
        serve(ModelWrapper(str(file)), io.BytesIO(request(frames(2))[:-1]), out)
    assert len(answers(out.getvalue())) == 0


def test_the_command_ends_with_its_input(file: Path) -> None:
    command = [sys.executable, "-m", "finn_flow.serve", "--model", file]
    result = subprocess.run(command, cwd=ROOT, input=request(frames(1)), capture_output=True, check=True)
    assert np.array_equal(answers(result.stdout), expected(file, frames(1)))
