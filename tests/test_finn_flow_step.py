"""A step reaches what it declares, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finn_flow.step import Step, StepContext, UndeclaredError
from tests.toy_build import STEPS, Workplace

Read = Callable[[StepContext], object]


def build_with(tmp_path: Path, read: Read, *config: str) -> object:
    """What a `fold` that declares only `config` and the step `export` reads."""
    values: list[object] = []

    def run(ctx: StepContext, out: Path) -> None:
        values.append(read(ctx))
        (out / "folding.txt").touch()

    fold = Step("fold", run, ("folding.txt",), reads=("export",), config=config, files=("folding",))
    Workplace(tmp_path).build(steps=[STEPS[0], fold])
    return values[0]


@pytest.mark.parametrize(
    ("config", "read", "value"),
    [
        ("target_fps", lambda ctx: ctx.config.target_fps, 10.0),
        ("network", lambda ctx: ctx.config.network.embedding, 128),
        ("network.embedding", lambda ctx: ctx.config.network.embedding, 128),
        ("device.lut", lambda ctx: ctx.config.device.lut, 53200),
    ],
)
def test_declared_value(tmp_path: Path, config: str, read: Read, value: object) -> None:
    assert build_with(tmp_path, read, config) == value


def test_declared_step_and_file(tmp_path: Path) -> None:
    assert build_with(tmp_path, lambda ctx: ctx.path("export", "net.txt").read_text()[:4]) == "1.0 "


def test_file_that_the_user_does_not_give(tmp_path: Path) -> None:
    assert build_with(tmp_path, lambda ctx: ctx.file("folding")) is None


UNDECLARED: dict[str, tuple[Read, str]] = {
    "value": (lambda ctx: ctx.config.headroom, "'headroom', which is not in its `config`"),
    "section": (lambda ctx: ctx.config.verify.frames, "'verify', which is not in its `config`"),
    "value beside a declared one": (
        lambda ctx: ctx.config.network.embedding,
        "'network.embedding', which is not in its `config`",
    ),
    "derived value": (lambda ctx: ctx.config.device, "'device', which is not in its `config`"),
    "file": (lambda ctx: ctx.file("images"), "'images', which is not in its `files`"),
    "output": (lambda ctx: ctx.path("verify"), "'verify', which is not in its `reads`"),
    "result": (lambda ctx: ctx.result_of("verify"), "'verify', which is not in its `reads`"),
}


@pytest.mark.parametrize(("read", "what"), UNDECLARED.values(), ids=UNDECLARED)
def test_undeclared(tmp_path: Path, read: Read, what: str) -> None:
    with pytest.raises(UndeclaredError) as error:
        build_with(tmp_path, read, "network.width")
    assert str(error.value) == f"step fold reads {what}"
