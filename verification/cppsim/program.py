"""A network of layers in one program: a unit a layer, chained through hls::stream, frame after frame."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from verification.cppsim.compile import compile_units, link_program, unit_name
from verification.cppsim.layer import CppLayer, Port
from verification.errors import VerificationError
from verification.verilator.build import Progress, silent

Words = NDArray[np.uint8]  # (words, bytes a word), least significant byte first


class CppsimError(VerificationError):
    """The program of a network fails: the layer, and what it says."""


@dataclass(frozen=True)
class Program:
    """Layers in topological order. A stream that none of them writes comes from outside.

    Raises VerificationError if two layers differ about a stream.
    """

    layers: tuple[CppLayer, ...]

    def __post_init__(self) -> None:
        for layer in self.layers:
            for port in layer.ports.values():
                if self.streams[port.tensor] != port:
                    known = self.streams[port.tensor]
                    rule = f"{known.words} words of {known.bits} bits, not {port.words} of {port.bits}"
                    raise VerificationError(f"{layer.name}: {port.tensor!r} carries {rule}")

    @cached_property
    def streams(self) -> dict[str, Port]:
        """Every stream by its tensor, in topological order, as the first layer that has it knows it."""
        streams: dict[str, Port] = {}
        for layer in self.layers:
            for port in layer.ports.values():
                streams.setdefault(port.tensor, port)
        return streams

    @cached_property
    def memories(self) -> dict[str, bytes]:
        """What the layers' parameter memories hold, as it was when first asked for."""
        return {layer.name: layer.memory() for layer in self.layers}

    @property
    def inputs(self) -> list[str]:
        """Tensors that come from outside."""
        written = {port.tensor for layer in self.layers for port in layer.outputs}
        return [tensor for tensor in self.streams if tensor not in written]

    def source(self) -> str:
        """The C++ of the program, without the units."""
        numbers = {tensor: number for number, tensor in enumerate(self.streams)}
        declarations = {layer.declaration(unit_name(layer.unit())) + ";" for layer in self.layers}
        body = [f'{port.type} s{numbers[name]}("{name}");' for name, port in self.streams.items()]
        for tensor in self.inputs:
            body.append(f"frames.load(s{numbers[tensor]}, {numbers[tensor]}, {self.streams[tensor].words});")
        for layer in self.layers:
            body += _calls(layer, numbers)
        lines = [*sorted(declarations), "void frame(chain::Frames &frames) {"]
        lines += [f"  {line}" for line in body]
        main = "int main(int argc, char **argv) { return chain::run(argc, argv, frame); }"
        return "\n".join([*lines, "}", main, ""])


def _calls(layer: CppLayer, numbers: Mapping[str, int]) -> list[str]:
    """Run a layer, see that it has read all its inputs, look at what it wrote."""
    streams = ", ".join(f"s{numbers[port.tensor]}" for port in layer.ports.values())
    return [
        f'frames.enter("{layer.name}");',
        f'{unit_name(layer.unit())}({streams}, frames.memory("{layer.name}"));',
        *(f'chain::expect_empty(s{numbers[port.tensor]}, "its input");' for port in layer.inputs),
        *(
            f"frames.tap(s{numbers[port.tensor]}, {numbers[port.tensor]}, {port.words});"
            for port in layer.outputs
        ),
    ]


def build_program(program: Program, progress: Progress = silent) -> Path:
    """The executable of a program, built unless it is in the cache.

    Raises CompileError naming the layer, and VerificationError if a compiler or header is missing.
    """
    units: dict[str, str] = {}
    for layer in program.layers:
        units.setdefault(layer.unit(), layer.name)
    with progress("Compiling layers", len(units)) as advance:
        objects = compile_units(units, advance)
    return link_program(program.source(), list(objects.values()))


def run_program(
    program: Program,
    executable: Path,
    inputs: Mapping[str, Words],
    tensors: Sequence[str],
    done: Callable[[int], None] = lambda frames: None,
) -> dict[str, Words]:
    """What streams carry, frame after frame: {tensor: words of all frames}.

    inputs: words of all frames for each of `program.inputs`; done: told of each frame. The frames are shared
    out to a process a core. Raises CppsimError.
    """
    first = program.inputs[0]
    frames = len(inputs[first]) // program.streams[first].words
    shares = [len(part) for part in np.array_split(range(frames), min(os.cpu_count() or 1, frames))]
    ends = list(accumulate(shares))

    def run(frames: int, end: int) -> dict[str, Words]:
        part = {
            name: words[(end - frames) * program.streams[name].words : end * program.streams[name].words]
            for name, words in inputs.items()
        }
        return _run_frames(program, executable, part, tensors, frames, done)

    with ThreadPoolExecutor(len(shares)) as pool:
        results = list(pool.map(run, shares, ends))
    return {name: np.concatenate([result[name] for result in results]) for name in tensors}


def _run_frames(
    program: Program,
    executable: Path,
    inputs: Mapping[str, Words],
    tensors: Sequence[str],
    frames: int,
    done: Callable[[int], None],
) -> dict[str, Words]:
    numbers = {tensor: number for number, tensor in enumerate(program.streams)}
    with tempfile.TemporaryDirectory(prefix="cppsim_") as name:
        folder = Path(name)
        for tensor in program.inputs:
            (folder / f"{numbers[tensor]}.in").write_bytes(inputs[tensor].tobytes())
        for layer, content in program.memories.items():
            (folder / f"{layer}.mem").write_bytes(content)
        for tensor in tensors:
            (folder / f"{numbers[tensor]}.out").touch()
        _execute(executable, folder, frames, done)
        return {
            tensor: _read(folder / f"{numbers[tensor]}.out", program.streams[tensor]) for tensor in tensors
        }


def _execute(executable: Path, folder: Path, frames: int, done: Callable[[int], None]) -> None:
    command = [str(executable), str(folder), str(frames)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in process.stdout:
            done(1)
        message = process.stderr.read().strip()
    if process.returncode:
        raise CppsimError(message or f"{executable.name} was killed (signal {-process.returncode})")


def _read(path: Path, port: Port) -> Words:
    return np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, (port.bits + 7) // 8)
