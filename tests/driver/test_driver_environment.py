"""The driver's own environment: pinned, locked, and as a board has it."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

DRIVER = Path(__file__).parents[2] / "driver"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9-]+)==(?P<version>[\w.]+) +# \S.*")


def lines(name: str) -> list[str]:
    return [line for line in (DRIVER / name).read_text().splitlines() if not line.startswith("#")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    pins = (line.split("==") for line in lines("constraints.txt"))
    return {canonical(name): version for name, version in pins}


@pytest.mark.parametrize("line", lines("requirements.txt"))
def test_requirement_is_pinned_for_a_reason_and_locked(line: str) -> None:
    match = REQUIREMENT.fullmatch(line)
    assert match, "want: name==version  # reason"
    assert locked()[canonical(match["name"])] == match["version"]


def test_the_environment_is_what_is_locked() -> None:
    assert {name: metadata.version(name) for name in locked()} == locked()


def test_numpy_is_the_boards() -> None:
    assert locked()["numpy"].startswith("1.")
