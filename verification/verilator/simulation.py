"""A simulated design in Python: push beats in, run, read what came out and when."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verification.errors import VerificationError

Beats = NDArray[np.uint8]  # (beats, bytes a beat), least significant byte first

DONE, LIMIT, STALLED, BROKEN = range(4)
RESET_CYCLES = 4

_P, _I, _U64, _U32, _STR = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_char_p
# function of runtime.h -> (type it returns, types of its arguments after the Sim)
_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "close": (None, ()),
    "message": (_STR, ()),
    "streams": (_I, ()),
    "stream_name": (_STR, (_I,)),
    "stream_bits": (_I, (_I,)),
    "stream_is_input": (_I, (_I,)),
    "reset": (None, (_U64,)),
    "cycle": (_U64, ()),
    "push": (None, (_I, _P, _U64)),
    "packet": (None, (_I, _U64)),
    "pace": (None, (_I, _U64, _U64)),
    "stall": (None, (_I, _U64, _U32, _U32)),
    "wait_for_valid": (None, (_I, _I)),
    "expect": (None, (_I, _U64)),
    "run": (_I, (_U64, _U64)),
    "beats": (_U64, (_I,)),
    "read": (None, (_I, _U64, _U64, _P, _P)),
    "lasts": (_U64, (_I, _P, _U64)),
    "taps": (_I, ()),
    "tap_name": (_STR, (_I,)),
    "tap_bits": (_I, (_I,)),
    "tap_beats": (_U64, (_I,)),
    "tap_occupancy": (_U64, (_I,)),
    "tap_peak": (_U64, (_I,)),
    "tap_depth": (_U64, (_I,)),
    "tap_limit": (None, (_STR, _U64)),
    "tap_expect": (None, (_I, _U64)),
    "tap_capture": (None, (_I,)),
    "tap_read": (None, (_I, _U64, _U64, _P)),
}


class StalledError(VerificationError):
    """Nothing moves any more, and outputs are missing."""


@dataclass(frozen=True)
class Port:
    """A stream of the design: bits of TDATA."""

    number: int
    name: str
    bits: int
    is_input: bool

    @property
    def bytes(self) -> int:
        return (self.bits + 7) // 8


@dataclass(frozen=True)
class Tap:
    """A FIFO inside the design. peak, depth: in words; beats: that went in since the reset."""

    number: int
    name: str
    bits: int
    beats: int
    occupancy: int
    peak: int
    depth: int


class Simulation:
    """An open design. Use as a context manager; one thread at a time.

    library: of `verification.verilator.build`. folder: where its memory files (.dat) are. trace: FST file to
    write, for a design built with tracing.
    """

    def __init__(self, library: Path, folder: Path, trace: Path | None = None) -> None:
        # RTLD_LOCAL: every library has the same symbols.
        self._library = ctypes.CDLL(str(library.resolve()), mode=os.RTLD_LOCAL | os.RTLD_NOW)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, f"sim_{name}")
            function.restype, function.argtypes = result, (_P, *arguments)
        self._library.sim_open.restype, self._library.sim_open.argtypes = _P, (_STR,)
        with _inside(folder):
            self._sim = self._library.sim_open(str(trace.resolve()).encode() if trace else None)
        self.ports = {port.name: port for port in self._ports()}
        self.reset()

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation (and its trace). Harmless if it has ended."""
        if self._sim:
            self._library.sim_close(self._sim)
        self._sim = None

    @property
    def inputs(self) -> list[Port]:
        return [port for port in self.ports.values() if port.is_input]

    @property
    def outputs(self) -> list[Port]:
        return [port for port in self.ports.values() if not port.is_input]

    @property
    def cycle(self) -> int:
        """Clock cycles since the start."""
        return int(self._call("cycle"))

    def reset(self, cycles: int = RESET_CYCLES) -> None:
        """Reset the design; beats pushed or collected before are forgotten, stall settings stay."""
        self._call("reset", cycles)

    def push(self, port: str, beats: Beats) -> None:
        """Append beats (n, bytes) to what an input offers."""
        own = self.ports[port]
        if beats.dtype != np.uint8 or beats.ndim != 2 or beats.shape[1] != own.bytes or not own.is_input:
            rule = f"takes uint8 beats (n, {own.bytes})" if own.is_input else "is no input"
            raise VerificationError(f"{port} {rule}, not {beats.dtype} {beats.shape}")
        data = np.ascontiguousarray(beats)
        self._call("push", own.number, data.ctypes.data, len(data))

    def packet(self, port: str, beats: int) -> None:
        """Input: TLAST on every `beats`-th beat; 0: never."""
        self._call("packet", self.ports[port].number, beats)

    def pace(self, port: str, beats: int, cycles: int) -> None:
        """Input: spread evenly, `beats` in `cycles` at most. 0 beats: at full rate."""
        self._call("pace", self.ports[port].number, beats, cycles)

    def stall(self, port: str, seed: int, chance: float, longest: int = 1) -> None:
        """Pause with `chance` before a beat (input) or at any time (output), for 1..longest cycles."""
        self._call("stall", self.ports[port].number, seed, round(1000 * chance), longest)

    def wait_for_valid(self, port: str, yes: bool = True) -> None:
        """Output: TREADY only after TVALID."""
        self._call("wait_for_valid", self.ports[port].number, int(yes))

    def run(self, expected: dict[str, int], max_cycles: int, idle_cycles: int = 10_000) -> None:
        """Run until each output has `expected` beats since the reset.

        Raises StalledError if nothing moves for idle_cycles or max_cycles go by, VerificationError if a rule
        of AXI-Stream or an assertion of the design is broken.
        """
        for port in self.outputs:
            self._call("expect", port.number, expected.get(port.name, 0))
        outcome = self._call("run", max_cycles, idle_cycles)
        if outcome == BROKEN:
            raise VerificationError(self._call("message").decode())
        if outcome in (LIMIT, STALLED):
            have = ", ".join(f"{port} {self.beats(port)} of {n} beats" for port, n in expected.items())
            reason = f"nothing moved for {idle_cycles} cycles" if outcome == STALLED else "out of cycles"
            raise StalledError(f"{reason} at cycle {self.cycle}: {have}")

    def idle(self, cycles: int) -> None:
        """Let the clock run on. Raises VerificationError as `run` does if a rule is broken."""
        spare = self.outputs[0]
        self._call("expect", spare.number, 2**63)
        outcome = self._call("run", cycles, cycles + 1)
        self._call("expect", spare.number, 0)
        if outcome == BROKEN:
            raise VerificationError(self._call("message").decode())

    def beats(self, port: str) -> int:
        """Beats transferred since the reset."""
        return int(self._call("beats", self.ports[port].number))

    def read(self, port: str) -> tuple[Beats, NDArray[np.uint64]]:
        """Beats collected by an output since the reset, and the cycle of each."""
        own = self.ports[port]
        data = np.empty((self.beats(port), own.bytes), np.uint8)
        cycles = np.empty(len(data), np.uint64)
        self._call("read", own.number, 0, len(data), data.ctypes.data, cycles.ctypes.data)
        return data, cycles

    def cycles(self, port: str) -> NDArray[np.uint64]:
        """The cycle of each beat transferred since the reset."""
        cycles = np.empty(self.beats(port), np.uint64)
        self._call("read", self.ports[port].number, 0, len(cycles), None, cycles.ctypes.data)
        return cycles

    def lasts(self, port: str) -> list[int]:
        """Output: numbers of the beats that carried TLAST."""
        number = self.ports[port].number
        numbers = np.empty(self._call("lasts", number, None, 0), np.uint64)
        self._call("lasts", number, numbers.ctypes.data, len(numbers))
        return [int(n) for n in numbers]

    def taps(self) -> list[Tap]:
        """The FIFOs of the design as they are now."""
        fields = ("bits", "beats", "occupancy", "peak", "depth")
        return [
            Tap(i, self._call("tap_name", i).decode(), *(self._call(f"tap_{name}", i) for name in fields))
            for i in range(self._call("taps"))
        ]

    def limit(self, tap: str, depth: int) -> None:
        """Depth of a FIFO model from the next reset on, by hierarchical name; 0: as built."""
        self._call("tap_limit", tap.encode(), depth)

    def expect(self, tap: Tap, beats: int) -> None:
        """Beats that are to leave a FIFO before a run is done; 0: any number."""
        self._call("tap_expect", tap.number, beats)

    def capture(self, yes: bool = True) -> None:
        """Keep the data of all taps, from the next reset on."""
        self._call("tap_capture", int(yes))

    def captured(self, tap: Tap) -> Beats:
        """The data that went into a tap since the reset, (beats, bytes)."""
        data = np.empty((tap.beats, (tap.bits + 7) // 8), np.uint8)
        self._call("tap_read", tap.number, 0, len(data), data.ctypes.data)
        return data

    def _call(self, name: str, *arguments: object) -> Any:
        if self._sim is None:
            raise VerificationError("the simulation is closed")
        return getattr(self._library, f"sim_{name}")(self._sim, *arguments)

    def _ports(self) -> Iterator[Port]:
        for number in range(self._call("streams")):
            name = self._call("stream_name", number).decode()
            yield Port(
                number,
                name,
                self._call("stream_bits", number),
                bool(self._call("stream_is_input", number)),
            )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
