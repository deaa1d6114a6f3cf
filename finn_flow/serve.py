"""Runs frames through the integer executor for a process of another environment: the emulated board's.

    python -m finn_flow.serve --model build/tiny/lower/model.onnx

One line of JSON on standard output says how many bytes a frame and a result have. Then, until standard input
ends: a uint32 N and N frames (INT8, NHWC) come in, N results (int32) go out, all little-endian.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from verification.executor import Executor

COUNT = struct.Struct("<I")


def serve(model: ModelWrapper, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until `requests` ends. Raises EOFError if it ends inside a request."""
    executor = Executor(model)
    shape = model.get_tensor_shape(executor.input)[1:]
    frame_bytes = int(np.prod(shape))
    result_bytes = 4 * int(np.prod(model.get_tensor_shape(executor.outputs[0])[1:]))
    answers.write(json.dumps({"frame_bytes": frame_bytes, "result_bytes": result_bytes}).encode() + b"\n")
    answers.flush()
    while head := requests.read(COUNT.size):
        (count,) = COUNT.unpack(head)
        frames = requests.read(count * frame_bytes)
        if len(frames) != count * frame_bytes:
            raise EOFError(f"the input ended after {len(frames)} of {count * frame_bytes} bytes")
        pixels = np.frombuffer(frames, np.int8).reshape(count, *shape)
        answers.write(executor.run(pixels)[executor.outputs[0]].astype("<i4").tobytes())
        answers.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve standard input."""
    parser = argparse.ArgumentParser(prog="finn_flow.serve", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a hardware graph")
    serve(ModelWrapper(str(parser.parse_args(arguments).model)), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
