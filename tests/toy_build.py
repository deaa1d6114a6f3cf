"""Configurations to try out, and a build of four toy steps: what they read shows in what they write."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finn_flow.artifacts import file_hash
from finn_flow.config import BuildConfig, load_config
from finn_flow.console import Console
from finn_flow.pipeline import Pipeline
from finn_flow.step import Step, StepContext

MISSING = object()  # a key to leave out
CUSTOM: dict[str, Any] = {
    "board": MISSING,
    "fpga_part": "xc7a35tcpg236-1",
    "resources": {"lut": 1000, "ff": 2000, "bram18": 10, "uram": 0, "dsp": 20},
    "synth_clk_period_ns": 8.0,
}


def config_object(**changes: Any) -> dict[str, Any]:
    """A configuration that is right, but for `changes`."""
    network = {"checkpoint": "toy.safetensors", "weight_bits": 4, "act_bits": 4}
    return {"network": network, "board": "Pynq-Z2", "target_fps": 10, **changes}


def with_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """The right configuration with the values at dotted keys changed, or left out where MISSING."""
    config = config_object()
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = config
        for part in sections:
            section = section.setdefault(part, {})
        section.pop(name, None)
        if value is not MISSING:
            section[name] = value
    return config


def load(folder: Path, config: object) -> BuildConfig:
    """What `load_config` makes of it."""
    path = folder / "toy.json"
    path.write_text(json.dumps(config))
    return load_config(path)


def write_config(folder: Path, **changes: Any) -> Path:
    """The right configuration, but for `changes`, in a file with a checkpoint beside it."""
    (folder / "toy.safetensors").write_bytes(b"parameters")
    path = folder / "toy.json"
    path.write_text(json.dumps(config_object(**changes)))
    return path


RUNS: list[str] = []  # names of the steps that ran, in order


def export(ctx: StepContext, out: Path) -> None:
    RUNS.append("export")
    checkpoint = ctx.file("checkpoint")
    assert checkpoint is not None
    (out / "net.txt").write_text(f"{ctx.config.network.width} {file_hash(checkpoint)}")


def fold(ctx: StepContext, out: Path) -> None:
    RUNS.append("fold")
    assert 0 < ctx.config.headroom <= 1
    assert ctx.config.device.lut > 0
    (out / "folding.txt").write_text(f"{ctx.config.target_fps} {ctx.path('export', 'net.txt').read_text()}")
    ctx.result({"fps": ctx.config.target_fps})


def verify(ctx: StepContext, out: Path) -> None:
    RUNS.append("verify")
    frames = ctx.config.verify.frames
    with ctx.progress("Comparing frames", frames) as advance:
        advance(frames)
    (out / "verified.txt").write_text(f"{frames} {ctx.path('fold', 'folding.txt').read_text()}")


def report(ctx: StepContext, out: Path) -> None:
    RUNS.append("report")
    images = ctx.file("images")
    ctx.say(f"fps {ctx.result_of('fold')['fps']}")
    (out / "index.html").write_text(f"{images and sorted(path.name for path in images.iterdir())}")


STEPS = [
    Step("export", export, ("net.txt",), config=("network",), files=("checkpoint",)),
    Step("fold", fold, ("folding.txt",), ("export",), ("target_fps", "device", "headroom"), ("folding",)),
    Step("verify", verify, ("verified.txt",), reads=("fold",), config=("verify.frames",)),
    Step("report", report, ("index.html",), reads=("fold", "verify"), files=("images",)),
]
NAMES = [step.name for step in STEPS]


class Workplace:
    """A folder with a configuration, images and a build of the toy steps."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.images = root, root / "build", root / "images"
        self.images.mkdir()
        (self.images / "a.png").write_bytes(b"face")
        write_config(root)

    def pipeline(self, steps: Sequence[Step] = STEPS) -> Pipeline:
        self.output = io.StringIO()
        config = load_config(self.root / "toy.json")
        return Pipeline(steps, config, self.folder, Console(self.output), self.images)

    def build(self, *args: Any, steps: Sequence[Step] = STEPS, **options: Any) -> list[str]:
        """Build and return the names of the steps that ran."""
        RUNS.clear()
        self.pipeline(steps).build(*args, **options)
        return list(RUNS)

    def states(self) -> dict[str, tuple[str, str]]:
        """State of each step, and why."""
        return {state.step.name: (state.state, state.why) for state in self.pipeline().states()}

    def configure(self, **changes: Any) -> None:
        write_config(self.root, **changes)

    def files(self) -> dict[str, bytes]:
        """Everything in the build folder but the lock."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}
