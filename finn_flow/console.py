"""What a build prints: lines, and a progress bar on a terminal or now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0  # seconds between progress lines where there is no terminal

Advance = Callable[[int], None]


class Console:
    """Prints to `stream`, by default standard output."""

    def __init__(self, stream: TextIO | None = None) -> None:
        terminal = (stream or sys.stdout).isatty()  # said, as rich would also ask the environment
        self._rich = RichConsole(file=stream, force_terminal=terminal)

    def say(self, line: str) -> None:
        """Print one line as it is."""
        self._rich.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Advance]:
        """Show how much of `total` is done; the block calls what it is given with the units done since."""
        if self._rich.is_terminal:
            columns = (
                TextColumn("  {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self._rich, transient=True) as bar:
                task = bar.add_task(description, total=total)
                yield lambda units: bar.advance(task, units)
        else:
            lines = _ProgressLines(self, description, total)
            yield lines.advance
            lines.show()


class _ProgressLines:
    """A line every LINE_EVERY_S seconds, and one at the end."""

    def __init__(self, console: Console, description: str, total: int) -> None:
        self._console, self._description, self._total = console, description, total
        self._done = 0
        self._last = time.monotonic()

    def advance(self, units: int) -> None:
        self._done += units
        if self._done < self._total and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            self.show()

    def show(self) -> None:
        self._console.say(f"  {self._description}: {self._done}/{self._total}")
