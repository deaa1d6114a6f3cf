"""The integer executor as a fabric: the integers of the accelerator without its cycles, far quicker.

The executor needs torch and FINN's graphs, which the driver's environment has not. So it runs in a process
of the environment that built the network (`finn_flow/serve.py`); frames go in and integers come back through
its pipes. Unlike hardware it takes every frame that is offered, whether or not there is room for its result.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import struct
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from driver.emulated.errors import EmulationError
from driver.emulated.fabric import NOTHING, Bytes, Step

COUNT = struct.Struct("<I")  # frames that follow


class IntegerFabric:
    """command: starts the worker, in `folder`. environment: variables that it needs besides ours."""

    name = "integer executor"
    cycles = None

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._command, self._folder, self._environment = list(command), folder, dict(environment)
        self._worker: subprocess.Popen[bytes] | None = None
        self._asked = False  # a request is under way

    def program(self) -> None:
        if self._worker is not None and (self._asked or self._worker.poll() is not None):
            # It died, or an interrupt came before its answer, which the next request would take for its own.
            self._worker.kill()
            self.close()
        if self._worker is None:
            self._start()
        self._input = bytearray()
        self._ends: collections.deque[int] = collections.deque()  # bytes of input after which TLAST came
        self._output: collections.deque[tuple[Bytes, bool]] = collections.deque()  # a frame, and its TLAST

    def offer(self, data: Bytes, last: bool) -> None:
        self._input += data.tobytes()
        if last:
            self._ends.append(len(self._input))

    def waiting(self) -> bool:
        return len(self._input) >= self._frame_bytes

    def step(self, room: int) -> Step:
        worked = self.waiting()
        if worked:
            self._compute()
        left, taken = room, []
        while left and self._output:
            data, last = self._output.popleft()
            if len(data) > left:
                self._output.appendleft((data[left:], last))
                data, last = data[:left], False
            taken.append(data)
            left -= len(data)
            if last:
                return Step(np.concatenate(taken), last)
        return Step(np.concatenate(taken) if taken else NOTHING, stalled=not worked and not taken)

    def close(self) -> None:
        if self._worker is not None:
            self._end()
        self._worker = None

    def _compute(self) -> None:
        """All whole frames that were offered. TLAST inside a frame ends nothing, as in hardware."""
        size = self._frame_bytes
        count = len(self._input) // size
        integers = self._request(bytes(self._input[: count * size]), count)
        del self._input[: count * size]
        ends = {end for end in self._ends if end <= count * size}
        self._ends = collections.deque(end - count * size for end in self._ends if end > count * size)
        for number, frame in enumerate(integers, start=1):
            self._output.append((frame, number * size in ends))

    def _request(self, frames: bytes, count: int) -> Bytes:
        worker = self._worker
        if worker is None or worker.stdin is None or worker.stdout is None:
            raise EmulationError("the fabric is not programmed")
        self._asked = True
        try:
            worker.stdin.write(COUNT.pack(count) + frames)
            worker.stdin.flush()
        except BrokenPipeError:
            raise EmulationError(f"the integer executor ended, exit code {worker.wait()}") from None
        expected = count * self._result_bytes
        answer = worker.stdout.read(expected)
        if len(answer) != expected:
            raise EmulationError(f"the integer executor ended, exit code {worker.wait()}")
        self._asked = False
        return np.frombuffer(answer, np.uint8).reshape(count, -1)

    def _start(self) -> None:
        try:
            worker = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._folder,
                env={**os.environ, **self._environment},
                start_new_session=True,  # Ctrl-C, and Jupyter's interrupt, are for the host's program alone
            )
        except OSError as error:
            rule = "it is that of the environment which built the network"
            raise EmulationError(f"{self._command[0]} does not start: {error.strerror}; {rule}") from None
        assert worker.stdout is not None
        greeting = worker.stdout.readline()
        if not greeting:
            raise EmulationError(f"the integer executor ended, exit code {worker.wait()}")
        sizes = json.loads(greeting)
        self._frame_bytes, self._result_bytes = sizes["frame_bytes"], sizes["result_bytes"]
        self._worker, self._asked = worker, False
        self._end = weakref.finalize(self, _end, worker)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """The worker ends with its input."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # the worker is dead, some of its input unread
                pipe.close()
    worker.wait()
