"""A channel of the AXI DMA (PG021, v7.1) in direct register mode: its registers, and the transfer under way.

What the guide defines happens as it says: LENGTH starts a transfer if the channel runs, is without effect if
it is halted or the value is 0; IDLE is 0 before the first transfer; an error halts the channel until a
reset; a receiving channel completes at TLAST, and LENGTH is then how many bytes came; without TLAST it does
not complete; more than LENGTH bytes are an internal error. What it calls undefined raises EmulationError: an
address that is not aligned, LENGTH written during a transfer, part of a beat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from driver.emulated.errors import EmulationError
from driver.emulated.fabric import NOTHING, Bytes
from driver.emulated.faults import DECODE_ERROR, INTERNAL_ERROR, Fault
from driver.emulated.memory import Memory

CONTROL, STATUS, ADDRESS, LENGTH = 0x00, 0x04, 0x18, 0x28  # from the channel's base
RUN, ALWAYS_ONE, RESET = 0x1, 0x2, 0x4  # DMACR
ENABLES, THRESHOLD, DELAY = 0x7000, 0x00FF_0000, 0xFF00_0000
HALTED, IDLE = 0x1, 0x2  # DMASR
COMPLETE_IRQ, ERROR_IRQ = 0x1000, 0x4000


@dataclass(frozen=True)
class Setup:
    """How the DMA was configured: bits of LENGTH; bytes that addresses are aligned to; bytes of a beat."""

    length_bits: int
    alignment: int
    beat: int


@dataclass
class Transfer:
    """data: the memory it is from or to. seen: the host has looked at it since it began."""

    data: Bytes
    fault: Fault | None
    moved: int = 0
    seen: bool = False

    def is_a(self, kind: str) -> bool:
        return self.fault is not None and self.fault.kind == kind

    @property
    def moves(self) -> bool:
        """Whether it moves anything at all."""
        return not self.is_a("hang") and not self.is_a("error")


class Channel:
    """What both directions share. faults: one entry a transfer, see `driver.emulated.faults`."""

    def __init__(self, name: str, memory: Memory, setup: Setup) -> None:
        self.name, self.memory, self.setup = name, memory, setup
        self.faults: Iterator[Fault | None] = iter(())
        self.reset()

    def reset(self) -> None:
        """Every register as after power-up; a transfer under way is gone."""
        self._run, self._halted, self._idle = False, True, False
        self._errors = self._interrupts = self._enables = self._address = self._length = 0
        self._coalesce = 1 << 16
        self.transfer: Transfer | None = None

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way. One that hangs is."""
        return self.transfer is not None

    def read(self, register: int) -> int:
        if register == CONTROL:
            return self._run * RUN | ALWAYS_ONE | self._enables | self._coalesce
        if register == STATUS:
            return self._halted * HALTED | self._idle * IDLE | self._errors | self._interrupts
        return {ADDRESS: self._address, LENGTH: self._length}.get(register, 0)

    def write(self, register: int, value: int) -> None:
        if register == CONTROL:
            self._write_control(value)
        elif register == STATUS:
            self._interrupts &= ~value  # they are cleared by writing 1; the other bits cannot be written
        elif register == ADDRESS:
            self._address = value
        elif register == LENGTH:
            self._write_length(value & (1 << self.setup.length_bits) - 1)

    def _write_control(self, value: int) -> None:
        self._enables = value & ENABLES
        self._coalesce = value & DELAY | (value & THRESHOLD or self._coalesce & THRESHOLD)
        self._run = bool(value & RUN) and not self._errors
        if self._run:
            self._halted = False
        elif not self.busy:
            self._halt()

    def _write_length(self, length: int) -> None:
        if self._halted or not length:
            return
        if self.busy:
            raise EmulationError(f"{self.name}: LENGTH was written while a transfer is under way")
        if self._address % self.setup.alignment:
            rule = f"is not aligned to {self.setup.alignment} bytes, which a DMA without realignment needs"
            raise EmulationError(f"{self.name}: address {self._address:#x} {rule}")
        self._length, self._idle = length, False
        fault = next(self.faults, None)
        if not self.memory.decodes(self._address, length):
            fault = Fault("error", bit=DECODE_ERROR)
        fails = fault is not None and fault.kind == "error"
        self.transfer = Transfer(NOTHING if fails else self.memory.at(self._address, length), fault)

    def strike(self) -> None:
        """Let the transfer end with its error, if that is its fault."""
        if self.transfer is not None and self.transfer.fault is not None and self.transfer.is_a("error"):
            self.fail(self.transfer.fault.bit)

    def complete(self) -> None:
        """End the transfer well. A channel told to stop meanwhile halts now."""
        self.transfer = None
        self._idle = True
        self._interrupts |= COMPLETE_IRQ
        if not self._run:
            self._halt()

    def fail(self, bit: int) -> None:
        """End the transfer with an error: the channel halts, and only a reset clears the bit."""
        self.transfer = None
        self._errors |= bit
        self._interrupts |= ERROR_IRQ
        self._run = False
        self._halt()

    def _halt(self) -> None:
        self._halted, self._idle = True, False


class SendChannel(Channel):
    """MM2S, from memory to the stream."""

    def packet(self) -> tuple[Bytes, bool] | None:
        """What a transfer that has just begun puts on the stream, and whether TLAST ends it."""
        transfer = self.transfer
        if transfer is None or transfer.moved or not transfer.moves:
            return None
        size = transfer.fault.size if transfer.fault and transfer.is_a("short") else len(transfer.data)
        if size % self.setup.beat:
            rule = f"are not whole beats of {self.setup.beat}, and the accelerator's TKEEP must be full"
            raise EmulationError(f"{self.name}: {size} bytes {rule}")
        transfer.moved = size
        return transfer.data[:size].copy(), not transfer.is_a("no_last")

    def taken(self) -> None:
        """Everything on the stream has been taken."""
        if self.transfer is not None and self.transfer.moved:
            self.complete()


class ReceiveChannel(Channel):
    """S2MM, from the stream to memory."""

    def reset(self) -> None:
        super().reset()
        self._dropping = False  # the rest of a packet

    def room(self) -> int:
        """How many bytes it would take now: a beat more than the buffer, to see that it is too many."""
        transfer = self.transfer
        if transfer is None or not transfer.moves:
            return 0
        if self._dropping:
            return self.setup.beat
        whole = -(-len(transfer.data) // self.setup.beat) * self.setup.beat
        return whole - transfer.moved + self.setup.beat

    def take(self, data: Bytes, last: bool) -> None:
        """Beats from the stream, at most `room()` of them."""
        if self._dropping:
            self._dropping = not last
            return
        transfer = self.transfer
        if transfer is None or not len(data):
            return
        limit = transfer.fault.size if transfer.fault and transfer.is_a("short") else len(transfer.data)
        kept = data[: limit - transfer.moved]
        transfer.data[transfer.moved : transfer.moved + len(kept)] = kept
        transfer.moved += len(kept)
        if len(kept) < len(data) and not transfer.is_a("short"):
            self.fail(INTERNAL_ERROR)
        elif transfer.is_a("short") and transfer.moved == limit:
            self._dropping = not last
            self._end(transfer)
        elif last and not transfer.is_a("no_last"):
            self._end(transfer)

    def _end(self, transfer: Transfer) -> None:
        self._length = transfer.moved
        self.complete()
