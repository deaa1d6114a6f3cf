"""Runs a tool that takes long: what it prints goes to a log, line by line to us, and it never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

POLL_S = 0.1
GRACE_S = 10.0  # from asking a tool to end to killing it

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]  # (what, how many) -> advance


class OverdueError(Exception):
    """A tool took longer than it may."""


def run_tool(
    command: Sequence[str], folder: Path, log: Path, limit_s: float, watch: Callable[[str], None]
) -> int:
    """Run `command` in `folder` with all that it prints in `log`; its exit code. watch: is given every line.

    If it takes more than `limit_s` seconds, or on any exception (Ctrl-C), it is ended with all processes that
    it started. Raises OverdueError, and OSError if it cannot be started.
    """
    with log.open("wb") as out, log.open("rb") as written:
        deadline = time.monotonic() + limit_s
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        lines = _Lines(written)
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise OverdueError
                for line in lines.new():
                    watch(line)
                time.sleep(POLL_S)
            for line in lines.new():
                watch(line)
            return process.returncode
        finally:
            _end(process)


class _Lines:
    """The whole lines that a file has got since the last look."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rest = file, b""

    def new(self) -> Iterator[str]:
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group, gently first; after a normal end only what the tool left behind is in it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def first_line(log: Path, start: str) -> str | None:
    """The first line of a log that starts so."""
    with log.open(errors="replace") as lines:
        return next((line.strip() for line in lines if line.startswith(start)), None)


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
