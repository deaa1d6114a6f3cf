"""The engine that runs the steps of a build: what is up to date is kept, what is interrupted leaves no trace.

A step is done while everything it reads is as it was when it ran (configuration values, input files, outputs
and results of the steps it reads, our sources, the tools' versions) and its own outputs are as it wrote them.
`finn_flow.step` says what a step is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finn_flow.artifacts import (
    DRIVER,
    build_folder,
    clean_up,
    code_hash,
    file_hash,
    find_program,
    folder_hashes,
    json_hash,
    package_files,
    tool_versions,
    whole_folder,
    write_json,
)
from finn_flow.config import BuildConfig
from finn_flow.console import Console
from finn_flow.hls.vitis import OPTIONS as HLS_PROGRAMS
from finn_flow.stamp import ENGINE_FILES, STAMP, TIMES, Inputs, Stamp, plain, read_stamp
from finn_flow.step import Step, StepContext, StepSkipped
from model.errors import UserError

State = Literal["done", "stale", "missing"]


@dataclass(frozen=True)
class StepState:
    """How a step stands. why: what makes it run again, empty when it is done. seconds: of its last run."""

    step: Step
    state: State
    why: str
    seconds: float | None


class Pipeline:
    """The steps of one build in `folder`, which has a folder for each.

    images: the folder given with --images. Raises UserError if a file that the configuration names is absent.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        config: BuildConfig,
        folder: Path,
        console: Console,
        images: Path | None = None,
    ) -> None:
        _check_order(steps)
        self.steps, self.config, self.folder, self.console = tuple(steps), config, folder, console
        self._folders = {step.name: folder / step.folder for step in self.steps}
        self.files = _input_files(config, images)
        self._file_hashes = {name: _input_hash(path) for name, path in self.files.items()}

    def folder_of(self, step: str) -> Path:
        """Where a step writes."""
        return self._folders[step]

    def states(self) -> list[StepState]:
        """How every step stands, in order. A step after one that will run again is itself stale."""
        states: dict[str, StepState] = {}
        for step in self.steps:
            stamp = read_stamp(self.folder_of(step.name))
            behind = [name for name in step.reads if states[name].state != "done"]
            why = f"{behind[0]} is {states[behind[0]].state}" if stamp and behind else self.why(step)
            state: State = "missing" if stamp is None else "stale" if why else "done"
            states[step.name] = StepState(step, state, why, stamp.seconds if stamp else None)
        return list(states.values())

    def build(self, start: str | None = None, stop: str | None = None, force: bool = False) -> None:
        """Run the steps up to `stop` that are not done; those from `start` on, or all by `force`, anyway.

        Raises what a step raises, with a note that names the step; its folder is then as it was before.
        """
        first = 0 if force else self._index("--from", start, len(self.steps))
        last = self._index("--to", stop, len(self.steps) - 1)
        if start is not None and first > last:
            raise UserError("--from", start, f"comes after --to {stop}; give an earlier step")
        with build_folder(self.folder):
            for step in self.steps:
                clean_up(self.folder_of(step.name))
            self._refuse_foreign_folders()
            for number, step in enumerate(self.steps[: last + 1]):
                try:
                    self._run_or_skip(step, number, forced=number >= first)
                except StepSkipped as reason:
                    self.console.say(f"Skipping step: {step.name} and what follows, {reason}")
                    break
            self._write_times()

    def why(self, step: Step) -> str:
        """Why `step` must run, given that those before it are done; empty if it need not."""
        folder = self.folder_of(step.name)
        stamp = read_stamp(folder)
        if stamp is None:
            return "missing"
        if changes := stamp.changes(self._inputs(step)):
            return f"{', '.join(changes)} changed"
        return "" if stamp.is_intact(folder) else "its outputs were changed"

    def _inputs(self, step: Step) -> Inputs:
        inputs: Inputs = {"code": code_hash(), **tool_versions()}
        for key in step.config:
            value: object = self.config
            for name in key.split("."):
                value = getattr(value, name)
            inputs[key] = plain(value)
        for name in step.files:
            inputs[f"{name} file"] = self._file_hashes[name]
        for name in step.reads:
            stamp = read_stamp(self.folder_of(name))
            inputs[f"step {name}"] = stamp.digest if stamp else None
        return inputs

    def _run_or_skip(self, step: Step, number: int, forced: bool) -> None:
        place = f"{step.name} [{number + 1}/{len(self.steps)}]"
        why = self.why(step)
        if not why and not forced:
            self.console.say(f"Skipping step: {place}, nothing changed")
            return
        self.console.say(f"Running step: {place}" + (f": {why}" if why not in ("", "missing") else ""))
        try:
            self._run(step)
        except BaseException as error:
            error.add_note(f"in step {step.name}")
            raise

    def _run(self, step: Step) -> None:
        inputs = self._inputs(step)
        context = StepContext(self, step)
        started = time.monotonic()
        with whole_folder(self.folder_of(step.name)) as out:
            step.run(context, out)
            outputs = folder_hashes(out, ENGINE_FILES)
            if lacking := [name for name in step.writes if name not in outputs]:
                raise RuntimeError(f"it did not write {', '.join(lacking)}")
            seconds = round(time.monotonic() - started, 3)
            Stamp(inputs, outputs, context.results, seconds).write(out)

    def _write_times(self) -> None:
        """Seconds per step as FINN reports them, of the runs that made the present outputs."""
        report = self.folder / "report"
        if not report.is_dir():
            return
        stamps = {step.name: read_stamp(self.folder_of(step.name)) for step in self.steps}
        seconds = {name: stamp.seconds for name, stamp in stamps.items() if stamp is not None}
        write_json(report / TIMES, {**seconds, "total_build_time": round(sum(seconds.values()), 3)})

    def _refuse_foreign_folders(self) -> None:
        for step in self.steps:
            folder = self.folder_of(step.name)
            if folder.exists() and not (folder / STAMP).is_file():
                rule = (
                    f"its {step.folder}/ was not written by a build; move it or choose another --output-dir"
                )
                raise UserError("output_dir", str(self.folder), rule)

    def _index(self, option: str, name: str | None, default: int) -> int:
        names = [step.name for step in self.steps]
        if name is not None and name not in names:
            raise UserError(option, name, f"unknown step; steps: {', '.join(names)}")
        return default if name is None else names.index(name)


def _check_order(steps: Sequence[Step]) -> None:
    before: list[str] = []
    for step in steps:
        if unknown := [name for name in step.reads if name not in before]:
            raise ValueError(f"step {step.name} reads {unknown[0]}, which is no earlier step")
        before.append(step.name)


def _input_files(config: BuildConfig, images: Path | None) -> dict[str, Path | None]:
    if images is not None and not images.is_dir():
        raise UserError("--images", str(images), "no such folder; give one that holds images")
    return {
        "checkpoint": config.checkpoint_file,
        "card": card if (card := config.checkpoint_file.with_suffix(".md")).is_file() else None,
        "driver": DRIVER,
        "folding": config.folding_file,
        "fifos": config.fifo_file,
        "images": images,
        "vitis_hls": find_program(*HLS_PROGRAMS),
        "vivado": find_program("vivado"),
    }


def _input_hash(path: Path | None) -> object:
    """Hash of a file's contents, or of those of the files in a folder, which are not sought deeper down."""
    if path is None:
        return None
    if path == DRIVER:
        return json_hash({str(file): file_hash(path / file) for file in package_files(path)})
    if path.is_dir():
        return {file.name: file_hash(file) for file in sorted(path.iterdir()) if file.is_file()}
    return file_hash(path)
