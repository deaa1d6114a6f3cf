"""Tables in Markdown, whole or line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def line(*cells: Any) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def header(*names: Any) -> Iterator[str]:
    """The two lines above the rows."""
    yield line(*names)
    yield line(*("---" for _ in names))


def table(head: tuple[Any, ...], *rows: tuple[Any, ...]) -> str:
    """A whole table."""
    return "\n".join([*header(*head), *(line(*row) for row in rows)])
