"""The generated accelerator as a fabric: its Verilog, translated to a shared library, cycle for cycle.

The library is built where the network is (`deploy/emulation/accelerator.so`); its C interface is documented
in verification/verilator/runtime.h, of which this uses the part that an AXI DMA needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from driver.emulated.errors import EmulationError
from driver.emulated.fabric import Bytes, Step

SOURCE, SINK = "s_axis_0", "m_axis_0"
STALLED, BROKEN = 2, 3  # outcomes of a run
RESET_CYCLES = 4
SLICE = 1000  # cycles between looks at the input
EVER = 2**63

_P, _I, _U64, _U32, _STR = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_char_p
# function of runtime.h -> (type it returns, types of its arguments after the Sim)
_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "close": (None, ()),
    "message": (_STR, ()),
    "streams": (_I, ()),
    "stream_name": (_STR, (_I,)),
    "stream_bits": (_I, (_I,)),
    "reset": (None, (_U64,)),
    "cycle": (_U64, ()),
    "push": (None, (_I, _P, _U64)),
    "packet": (None, (_I, _U64)),
    "stall": (None, (_I, _U64, _U32, _U32)),
    "expect": (None, (_I, _U64)),
    "run": (_I, (_U64, _U64)),
    "beats": (_U64, (_I,)),
    "read": (None, (_I, _U64, _U64, _P, _P)),
    "lasts": (_U64, (_I, _P, _U64)),
}


class VerilatedFabric:
    """library: the accelerator's, with its memory files beside it.

    quiet_cycles: after so many without a transfer on any stream, inside or outside, nothing moves any more.
    """

    name = "Verilated accelerator"

    def __init__(self, library: Path, quiet_cycles: int) -> None:
        self._folder, self._quiet_cycles = library.parent, quiet_cycles
        self._library = ctypes.CDLL(str(library.resolve()))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, f"sim_{name}")
            function.restype, function.argtypes = result, (_P, *arguments)
        self._library.sim_open.restype, self._library.sim_open.argtypes = _P, (_STR,)
        self._sim: int | None = None

    @property
    def cycles(self) -> int | None:
        return int(self._call("cycle")) if self._sim else None

    def program(self) -> None:
        self.close()
        with _inside(self._folder):  # memory files are read relative to the current folder
            self._sim = self._library.sim_open(None)
        numbers = {self._call("stream_name", i).decode(): i for i in range(self._call("streams"))}
        self._source, self._sink = numbers[SOURCE], numbers[SINK]
        self._source_bytes, self._sink_bytes = (
            self._call("stream_bits", stream) // 8 for stream in (self._source, self._sink)
        )
        self._call("reset", RESET_CYCLES)
        self._offered = self._received = self._packets = 0

    def offer(self, data: Bytes, last: bool) -> None:
        self._offered += len(data) // self._source_bytes
        # The runtime sets TLAST on every n-th beat since the reset. All beats before these have been taken,
        # and so n, which is the number of the last of these, is the only one of its multiples still to come.
        self._call("packet", self._source, self._offered if last else 0)
        self._call("push", self._source, data.ctypes.data, len(data) // self._source_bytes)

    def waiting(self) -> bool:
        return bool(self._call("beats", self._source) < self._offered)

    def step(self, room: int) -> Step:
        first, wanted = self._received, room // self._sink_bytes
        waited, quiet, last = self.waiting(), 0, False
        self._call(
            "stall", self._sink, 0, 0 if wanted else 1000, 1
        )  # TREADY always or, 1000 in 1000 off, never
        while quiet < self._quiet_cycles and not last and not (waited and not self.waiting()):
            if wanted and self._received - first == wanted:
                break
            outcome = self._run(self._received + 1 if wanted else EVER)
            quiet = quiet + SLICE if outcome == STALLED else 0
            self._received = self._call("beats", self._sink)
            packets = self._call("lasts", self._sink, None, 0)
            last, self._packets = packets > self._packets, packets
        return Step(self._read(first), last, stalled=quiet >= self._quiet_cycles)

    def close(self) -> None:
        if self._sim:
            self._library.sim_close(self._sim)
        self._sim = None

    def _run(self, expected: int) -> int:
        self._call("expect", self._sink, expected)
        outcome = int(self._call("run", SLICE, SLICE))
        if outcome == BROKEN:
            raise EmulationError(f"the accelerator: {self._call('message').decode()}")
        return outcome

    def _read(self, first: int) -> Bytes:
        count = self._received - first
        data, cycles = np.empty(count * self._sink_bytes, np.uint8), np.empty(count, np.uint64)
        self._call("read", self._sink, first, count, data.ctypes.data, cycles.ctypes.data)
        return data

    def _call(self, name: str, *arguments: object) -> Any:
        if self._sim is None:
            raise EmulationError("the fabric is not programmed")
        return getattr(self._library, f"sim_{name}")(self._sim, *arguments)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
