"""A layer of a network in C++: a unit of one function that reads the layer's streams and writes them.

    void UNIT(hls::stream<ap_uint<8>> &in0_V, ..., hls::stream<ap_uint<12>> &out0_V, chain::Memory const &)

The text of a unit depends neither on the layer's name nor on what its memory holds, so that equal layers are
compiled once. UNIT stands for a name that the program chooses.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from verification.packing import pack_words

UNIT = "UNIT"


@dataclass(frozen=True)
class Port:
    """A stream at a layer: the tensor that it carries, bits of a word, words of a frame."""

    tensor: str
    bits: int
    words: int

    @property
    def type(self) -> str:
        return f"hls::stream<ap_uint<{self.bits}>>"


@dataclass(frozen=True)
class CppLayer(ABC):
    """name: of the node. inputs, outputs: its streams, without that of a parameter memory."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def ports(self) -> dict[str, Port]:
        """in0_V, in1_V, ..., out0_V, ..."""
        inputs = {f"in{i}_V": port for i, port in enumerate(self.inputs)}
        return {**inputs, **{f"out{i}_V": port for i, port in enumerate(self.outputs)}}

    def declaration(self, unit: str = UNIT) -> str:
        """Of the unit's function, without names of its arguments."""
        streams = ", ".join(f"{port.type} &" for port in self.ports.values())
        return f"void {unit}({streams}, chain::Memory const &)"

    def _function(self, *lines: str) -> str:
        arguments = [f"{port.type} &{name}" for name, port in self.ports.items()]
        head = f"void {UNIT}({', '.join(arguments)}, chain::Memory const &memory) {{"
        return "\n".join([head, *(f"  {line}" for line in lines), "}", ""])

    @abstractmethod
    def unit(self) -> str:
        """The unit's C++ text after its `#include` of our header."""

    def memory(self) -> bytes:
        """What the layer's parameter memory holds, whole bytes a word."""
        return b""


@dataclass(frozen=True)
class ParameterMemory:
    """A memory whose words a layer reads round and round: the hexadecimal file that initialises it."""

    file: Path
    bits: int
    rounds: int  # a frame

    def words(self) -> bytes:
        return pack_words((int(line, 16) for line in self.file.read_text().split()), self.bits)


@dataclass(frozen=True)
class HlsLayer(CppLayer):
    """FINN's top function for synthesis, as it is.

    source: of the function, which is called `top`. headers: text of the files that it includes, by name.
    parameters: memory behind the port in1_V, if any. element: C++ type of the elements where the function
    takes streams of hls::vector, a word a call.
    """

    top: str
    source: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: ParameterMemory | None = None
    element: str = ""

    def unit(self) -> str:
        text = self.source
        for name, header in self.headers.items():
            text = text.replace(f'#include "{name}"', header)
        text = re.sub(rf"\b{self.top}\b", "top", text)
        text = f"namespace {{\n{text}\n}}  // namespace\n"
        return text + (self._by_vectors() if self.element else self._by_words())

    def memory(self) -> bytes:
        return self.parameters.words() if self.parameters else b""

    def _by_words(self) -> str:
        inputs, outputs = ([name for name in self.ports if name.startswith(kind)] for kind in ("in", "out"))
        if self.parameters is None:
            return self._function(f"top({', '.join(inputs + outputs)});")
        return self._function(
            f'hls::stream<ap_uint<{self.parameters.bits}>> parameters("of parameters");',
            f"memory.feed(parameters, {self.parameters.rounds});",
            f"top({', '.join([*inputs, 'parameters', *outputs])});",
            'chain::expect_empty(parameters, "the stream of parameters");',
        )

    def _by_vectors(self) -> str:
        names = [name.removesuffix("_V") for name in self.ports]
        vector = f"hls::stream<hls::vector<{self.element}, {self.inputs[0].bits} / {self.element}::width>>"
        return self._function(
            f"{vector} {', '.join(names)};",
            *(f"chain::unpack({name}_V, {name});" for name in names if name.startswith("in")),
            f"while (!in0.empty()) top({', '.join(names)});",
            *(f"chain::pack({name}, {name}_V);" for name in names if name.startswith("out")),
        )


@dataclass(frozen=True)
class WindowLayer(CppLayer):
    """Sliding windows, of which FINN has no HLS code: the C++ model in window.h of our SystemVerilog.

    shape: of WindowShape in window.h, by its members' names.
    """

    shape: Mapping[str, int]

    def unit(self) -> str:
        members = ", ".join(f".{name} = {value}" for name, value in self.shape.items())
        return self._function(f"chain::window(in0_V, out0_V, chain::WindowShape{{{members}}});")
