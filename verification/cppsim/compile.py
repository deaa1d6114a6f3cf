"""g++ for simulated networks: one precompiled header, an object a unit, cached under the hash of its text."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from verification.cppsim.headers import cache_folder, include_folders
from verification.cppsim.layer import UNIT
from verification.errors import VerificationError

# finn-hlslib is C++14 written for another compiler: its warnings are not ours to mend.
FLAGS = ("-std=c++20", "-O2", "-w")
HEADER = "network.h"  # precompiled, with all that it includes
LINK = ("-Wl,--allow-multiple-definition",)  # flatten.hpp defines functions that are not inline in every unit


class CompileError(VerificationError):
    """g++ refuses a unit: which layer it is of, g++'s first error, where the log is."""


@cache
def toolchain() -> tuple[str, Path]:
    """Hash of what every object depends on; folder of the precompiled header, which is made if need be.

    Raises VerificationError if g++ or headers are missing, or do not compile.
    """
    if shutil.which("g++") is None:
        raise VerificationError("g++ is not on the PATH; install it (apt install g++)")
    folders = include_folders()
    version = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    made_from = hashlib.sha256(repr((FLAGS, version, [str(path) for path in folders])).encode())
    for path in sorted(
        file for folder in folders for file in folder.rglob("*") if file.suffix in (".h", ".hpp")
    ):
        made_from.update(path.name.encode() + b"\0" + path.read_bytes())
    digest = made_from.hexdigest()[:24]
    folder = cache_folder() / f"headers-{digest}"
    if not folder.is_dir():
        _precompile(folder)
    return digest, folder


def compile_units(units: Mapping[str, str], done: Callable[[int], None]) -> dict[str, Path]:
    """Objects of C++ texts: {text: what to call it in an error} -> {text: object}. done: told of each.

    UNIT in a text becomes the name that `unit_name` gives. Raises CompileError.
    """
    objects = {text: cache_folder() / f"{unit_name(text)}.o" for text in units}
    missing = [text for text, path in objects.items() if not path.is_file()]

    def compile_one(text: str) -> None:
        _compile(text.replace(UNIT, unit_name(text)), objects[text], units[text], "-c")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(compile_one, missing):
            done(1)
    done(len(units) - len(missing))
    return objects


def unit_name(text: str) -> str:
    """The name of a unit's function: its text decides, and what it is compiled with."""
    return "unit_" + hashlib.sha256(f"{toolchain()[0]}\0{text}".encode()).hexdigest()[:24]


def link_program(source: str, objects: Sequence[Path]) -> Path:
    """An executable of a main program and the objects that it calls. Raises CompileError."""
    digest = hashlib.sha256(
        repr((toolchain()[0], source, sorted(p.name for p in objects))).encode()
    ).hexdigest()
    program = cache_folder() / f"network_{digest[:24]}"
    if not program.is_file():
        _compile(source, program, "network", *map(str, objects), *LINK)
    return program


def _precompile(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_made(cache_folder()), prefix="compiling-") as name:
        header = Path(shutil.copy(include_folders()[0] / HEADER, name))
        _run([*_command(), "-x", "c++-header", header.name, "-o", f"{HEADER}.gch"], header.parent, HEADER)
        folder.mkdir(exist_ok=True)
        for path in (header, header.with_name(f"{HEADER}.gch")):
            os.replace(path, folder / path.name)


def _compile(source: str, target: Path, what: str, *options: str) -> None:
    """C++ text -> `target`, beside which it is renamed when it is whole."""
    _, headers = toolchain()
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="compiling-") as name:
        path = Path(name, f"{target.stem}.cpp")
        path.write_text(f'#include "{HEADER}"\n{source}')
        made = Path(name, target.name)
        _run([*_command(headers), path.name, *options, "-o", made.name], path.parent, what)
        os.replace(made, target)


def _command(*first: Path) -> list[str]:
    return ["g++", *FLAGS, *(f"-I{path}" for path in (*first, *include_folders()))]


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    plain = {**os.environ, "LC_ALL": "C"}  # quotes in its messages, too
    result = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return
    log = cache_folder() / f"{what}.log"
    log.write_text(f"{' '.join(command)}\n{result.stderr}")
    errors = [line.split("error: ")[-1] for line in result.stderr.splitlines() if "error: " in line]
    reason = errors[0] if errors else f"exit code {result.returncode}; is there enough memory?"
    raise CompileError(f"{what}: g++ failed: {reason}; log: {log}")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule = "set QMFN_CACHE to a folder that can be written"
        raise VerificationError(f"{folder}: {error.strerror}; {rule}") from None
    return folder
