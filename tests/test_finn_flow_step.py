"""A step reaches what it declares, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finn_flow.step import Step, StepContext, UndeclaredError
from model.errors import UserError
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


def deploy(ctx: StepContext, out: Path) -> None:
    driver, card = ctx.file("driver"), ctx.file("card")
    assert driver is not None
    (out / "driver.txt").write_text((driver / "code.py").read_text() + str(card and card.name))


EXPORT = STEPS[0]
DEPLOY = Step("package", deploy, ("driver.txt",), reads=("export",), files=("driver", "card"), into="deploy")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver of one file, in the place of ours."""
    folder = tmp_path / "driver"
    (folder / "emulated").mkdir(parents=True)
    (folder / "code.py").write_text("1 ")
    monkeypatch.setattr("finn_flow.pipeline.DRIVER", folder)
    return folder


def test_a_step_may_name_its_folder(tmp_path: Path, driver: Path) -> None:
    place = Workplace(tmp_path)

    def read(ctx: StepContext, out: Path) -> None:
        (out / "copy.txt").write_text(ctx.path("package", "driver.txt").read_text())

    steps = [EXPORT, DEPLOY, Step("report", read, ("copy.txt",), reads=("package",))]
    place.build(steps=steps)
    assert (place.folder / "report" / "copy.txt").read_text() == "1 None"
    assert (place.folder / "deploy" / "driver.txt").is_file()
    assert not (place.folder / "package").exists()
    assert [state.state for state in place.pipeline(steps).states()] == ["done"] * 3


def test_a_foreign_folder_of_that_name_is_refused(tmp_path: Path, driver: Path) -> None:
    place = Workplace(tmp_path)
    (place.folder / "deploy").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        place.build(steps=[EXPORT, DEPLOY])
    rule = "its deploy/ was not written by a build; move it or choose another --output-dir"
    assert str(error.value) == f"output_dir = '{place.folder}': {rule}"


def test_a_new_driver_or_card_runs_the_package_alone(tmp_path: Path, driver: Path) -> None:
    place, steps = Workplace(tmp_path), [EXPORT, DEPLOY]

    def stale() -> list[str]:
        why = [state.why for state in place.pipeline(steps).states()]
        place.build(steps=steps)
        return why

    assert stale() == ["missing", "missing"]
    (driver / "__pycache__").mkdir()
    (driver / "__pycache__" / "code.pyc").write_bytes(b"left by running it")
    assert stale() == ["", ""]
    (driver / "emulated" / "new.py").write_text("deeper down")
    assert stale() == ["", "driver file changed"]
    (tmp_path / "toy.md").write_text("a card")
    assert stale() == ["", "card file changed"]
    assert (place.folder / "deploy" / "driver.txt").read_text() == "1 toy.md"
