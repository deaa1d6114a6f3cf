"""Yosys on generated layers: what each costs after synthesis, from the cache where it was synthesised before.

    [outcome] = synthesise([layer_module(model, node, folder)], "xcup")

A layer is known by its sources, parameters and constants, not by its name, nor by what its deep ROMs hold.
Small layers are synthesised several at a time (`worker.py`); one that Yosys cannot do in the limits of time
and memory is `TooLarge`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from finn_flow.backends import layer_instance
from finn_flow.boards import DspBlock
from finn_flow.resource_counts import Resources
from finn_flow.synthesis.cells import cells_resources
from finn_flow.synthesis.worker import FLOW
from verification.errors import VerificationError
from verification.verilator.build import Progress, cache_folder, silent

Family = Literal["xc7", "xcup"]
FAMILIES: dict[DspBlock, Family] = {"DSP48E1": "xc7", "DSP48E2": "xcup"}

WORKER = Path(__file__).with_name("worker.py")
ROM_LIBRARY = tuple(Path(__file__).with_name(name) for name in ("rom.txt", "rom_map.v"))
SECONDS = 60  # of CPU that a layer may take
BYTES = 6 << 30  # of memory that a process may take
BATCH = 8  # layers that a process reads side by side
HEAVY_BITS = 20_000  # of memory contents: such a layer goes alone
SHARED_WORDS = 64  # a ROM of so many words costs the same whatever it holds: a LUT for each bit of 64 words


@dataclass(frozen=True)
class Module:
    """A top module to synthesise. sources: dependencies first, its own file last; memories: its files."""

    top: str
    sources: tuple[Path, ...]
    memories: tuple[Path, ...]

    @functools.cached_property
    def digest(self) -> str:
        """Hash of what it is made from; modules that differ only in names and deep ROMs have the same."""
        made_from = hashlib.sha256(repr((metadata.version("pyosys"), FLOW)).encode())
        for path in (*ROM_LIBRARY, *self.sources):
            made_from.update(path.read_bytes().replace(self.top.encode(), b"layer") + b"\0")
        for path in sorted(self.memories):
            made_from.update(_what_counts(path.read_bytes()) + b"\0")
        return made_from.hexdigest()[:24]

    @property
    def memory_bits(self) -> int:
        return 4 * sum(path.stat().st_size for path in self.memories)

    def job(self) -> dict[str, Any]:
        """As worker.py takes it."""
        *modules, own = self.sources
        return {
            "top": self.top,
            "folder": str(own.parent.resolve()),
            "sources": [str(path.resolve()) for path in (*modules, own)],
        }


def _what_counts(memory: bytes) -> bytes:
    """Of a memory file: its contents, of a deep ROM its shape alone, unless all words are the same."""
    words = memory.split()
    if len(words) < SHARED_WORDS or len(set(words)) == 1:
        return memory
    return b"%d words of %d digits" % (len(words), len(words[0]))


@dataclass(frozen=True)
class TooLarge:
    """Why a layer was given up: the limit that it ran into."""

    reason: str


Outcome = Resources | TooLarge


def layer_module(model: Any, node: Any, folder: Path) -> Module:
    """Write a layer's files into `folder`; the module to synthesise."""
    layer = layer_instance(node)
    own, *memories = layer.write_hdl(model, folder)
    return Module(node.name, (*layer.modules(), own), tuple(memories))


def synthesis_cache() -> Path:
    """Where results and logs are kept."""
    return cache_folder().with_name("yosys")


def synthesise(
    modules: Sequence[Module],
    family: Family,
    progress: Progress = silent,
    seconds: int = SECONDS,
    workers: int | None = None,
) -> list[Outcome]:
    """The cost of each module. Raises VerificationError with Yosys' first error and the path of the log."""
    synthesis_cache().mkdir(parents=True, exist_ok=True)
    todo = {m.digest: m for m in modules if not _result_path(m, family).is_file()}
    batches = list(_batches(todo.values()))
    threads = ThreadPoolExecutor(workers or os.cpu_count())
    with progress("Synthesising layers", len(todo)) as advance, threads as pool:
        for done in pool.map(lambda batch: _synthesise_batch(batch, family, seconds), batches):
            advance(done)
    return [_read(module, family) for module in modules]


def _batches(modules: Iterable[Module]) -> Iterable[list[Module]]:
    """The heavy ones alone and first, so that no core waits for them at the end."""
    ordered = sorted(modules, key=lambda module: -module.memory_bits)
    heavy = [[module] for module in ordered if module.memory_bits > HEAVY_BITS]
    light = ordered[len(heavy) :]
    number = math.ceil(len(light) / BATCH)
    return [*heavy, *(light[i::number] for i in range(number))]


def _synthesise_batch(batch: Sequence[Module], family: Family, seconds: int) -> int:
    """Synthesise and store; what does not come through together goes one by one. Returns how many."""
    try:
        cells = _run(batch, family, seconds)
    except (_LimitError, VerificationError) as error:
        if len(batch) > 1:
            return sum(_synthesise_batch([module], family, seconds) for module in batch)
        if isinstance(error, VerificationError):
            raise
        _write(_result_path(batch[0], family), json.dumps({"too_large": str(error)}))
    else:
        for module in batch:
            _write(_result_path(module, family), json.dumps({"cells": cells[module.top]}, sort_keys=True))
    return len(batch)


class _LimitError(Exception):
    """Time or memory ran out."""


def _run(batch: Sequence[Module], family: Family, seconds: int) -> dict[str, dict[str, int]]:
    job = {
        "family": family,
        "seconds": seconds * len(batch),
        "bytes": BYTES,
        "modules": [module.job() for module in batch],
    }
    log = synthesis_cache() / f"{batch[0].digest}-{family}.log"
    with log.open("w") as file:
        run = subprocess.run(
            [sys.executable, str(WORKER)],
            input=json.dumps(job),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            check=False,
        )
    if run.returncode == 0:
        log.unlink()
        return dict(json.loads(run.stdout))
    text = log.read_text(errors="replace")
    if run.returncode in (-9, -24):  # SIGKILL, SIGXCPU
        raise _LimitError(f"more than {seconds} s of CPU")
    if "bad_alloc" in text or "MemoryError" in text:
        raise _LimitError(f"more than {BYTES >> 30} GiB of memory")
    errors = [line for line in text.splitlines() if "ERROR" in line or "error:" in line or "Error" in line]
    names = ", ".join(module.top for module in batch)
    raise VerificationError(f"{names}: {errors[0] if errors else f'exit code {run.returncode}'}; log: {log}")


def _write(path: Path, text: str) -> None:
    """In one go, so that no half result is found."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def _result_path(module: Module, family: Family) -> Path:
    return synthesis_cache() / f"{module.digest}-{family}.json"


def _read(module: Module, family: Family) -> Outcome:
    result = json.loads(_result_path(module, family).read_text())
    if "too_large" in result:
        return TooLarge(result["too_large"])
    return cells_resources(result["cells"])
