"""What a step of the build is and what it is given. `finn_flow/steps.py` holds the list `STEPS` of them:

    def fold(ctx: StepContext, out: Path) -> None:
        graph = ctx.path("lower", "model.onnx")          # an output of an earlier step
        target = ctx.config.target_fps                   # a value of the configuration
        table = ctx.file("folding")                      # an input file, or None
        with ctx.progress("Folding layers", 170) as advance:
            advance(1)
        (out / "folding.json").write_text("{}")          # everything it writes, it writes below `out`
        ctx.result({"max_cycles": 50176})                # key results, kept in the step's stamp

    STEPS = [..., Step("fold", fold, writes=("folding.json",), reads=("lower",),
                       config=("target_fps", "device"), files=("folding",)), ...]

What a step does not declare it cannot reach through its context, so nothing that its outputs depend on
escapes the engine, which skips a step while all it reads is as it was.

`out` is a hidden folder beside the final one and is renamed when the step returns, so outputs must not hold
its path. Steps import torch, finn and the like inside their functions: `--list` and skipping stay quick.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from finn_flow.config import BuildConfig
from finn_flow.console import Advance
from finn_flow.stamp import plain, read_stamp

if TYPE_CHECKING:
    from finn_flow.pipeline import Pipeline


@dataclass(frozen=True)
class Step:
    """One step of a build.

    run: called with its context and the folder to write in.
    writes: the files it leaves there at the least. reads: earlier steps whose outputs it reads.
    config: names of `BuildConfig` attributes it reads, dotted for one inside a section (`verify.frames`).
    files: input files it reads, out of `checkpoint`, `card`, `driver`, `folding`, `fifos`, `images`,
    `vitis_hls` and `vivado`.
    into: its folder, if that is not called as the step.
    """

    name: str
    run: Callable[[StepContext, Path], None]
    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    into: str = ""

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return self.into or self.name


class StepSkipped(Exception):  # noqa: N818  no error: the build has done what can be done here
    """A step cannot run on this machine, nor can what follows it; the message says why."""


class UndeclaredError(RuntimeError):
    """A step reads what it does not declare: its outputs could go stale unnoticed."""

    def __init__(self, step: Step, kind: str, name: str) -> None:
        super().__init__(f"step {step.name} reads {name!r}, which is not in its `{kind}`")


class _DeclaredConfig:
    """A `BuildConfig` (or a section of it) that gives only what a step declares."""

    def __init__(self, section: object, step: Step, prefix: str = "") -> None:
        self._section, self._step, self._prefix = section, step, prefix

    def __getattr__(self, name: str) -> Any:
        key = self._prefix + name
        if key in self._step.config:
            return getattr(self._section, name)
        if any(declared.startswith(f"{key}.") for declared in self._step.config):
            return _DeclaredConfig(getattr(self._section, name), self._step, f"{key}.")
        raise UndeclaredError(self._step, "config", key)


class StepContext:
    """What a step is given besides the folder it writes in."""

    def __init__(self, pipeline: Pipeline, step: Step) -> None:
        self._pipeline, self._step = pipeline, step
        self.config = cast(BuildConfig, _DeclaredConfig(pipeline.config, step))
        self.results: dict[str, Any] = {}

    def path(self, step: str, file: str = "") -> Path:
        """A file that an earlier step wrote, or that step's folder."""
        return self._read(step) / file

    def result_of(self, step: str) -> dict[str, Any]:
        """The key results of an earlier step."""
        stamp = read_stamp(self._read(step))
        assert stamp is not None, step  # it has run, or this step would not
        return stamp.result

    def file(self, name: str) -> Path | None:
        """An input: file (`checkpoint`, `card`, `folding`, `fifos`), folder (`images`, `driver`) or program
        (`vitis_hls`, `vivado`).

        None if it was not given.
        """
        if name not in self._step.files:
            raise UndeclaredError(self._step, "files", name)
        return self._pipeline.files[name]

    @property
    def name(self) -> str:
        """The name of the build."""
        return self._pipeline.folder.name

    def seconds(self) -> dict[str, float]:
        """What each earlier step took when it last ran. Not an input: it may differ from run to run."""
        stamps = {step.name: read_stamp(self._pipeline.folder_of(step.name)) for step in self._pipeline.steps}
        return {name: stamp.seconds for name, stamp in stamps.items() if stamp and name != self._step.name}

    def say(self, line: str) -> None:
        """Print one line below the step's."""
        self._pipeline.console.say(f"  {line}")

    def progress(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Show progress: `with ctx.progress("Frames", 32) as advance: advance(8)`."""
        return self._pipeline.console.progress(description, total)

    def result(self, values: dict[str, Any]) -> None:
        """Keep key results in the step's stamp: numbers, strings, lists and objects of these."""
        self.results.update(plain(values))

    def _read(self, step: str) -> Path:
        if step not in self._step.reads:
            raise UndeclaredError(self._step, "reads", step)
        return self._pipeline.folder_of(step)
