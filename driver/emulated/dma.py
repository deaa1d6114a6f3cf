"""The AXI DMA of the emulated board (PG021): two channels, their registers, and the fabric between them.

The clock stands still while the host does other things. It runs while the host reads the status of a channel
whose transfer is under way: until that transfer is done, or until nothing moves any more. So a transfer
never times out because the simulation is slow, one that hangs is seen to hang at once, and every run is the
same. The first look at a transfer finds it under way, so that a host that does not wait is found out.
"""

from __future__ import annotations

from collections.abc import Mapping

from driver.emulated.channel import (
    CONTROL,
    LENGTH,
    RESET,
    STATUS,
    Channel,
    ReceiveChannel,
    SendChannel,
    Setup,
)
from driver.emulated.errors import EmulationError
from driver.emulated.fabric import Fabric
from driver.emulated.memory import Memory

SEND, RECEIVE = 0x00, 0x30  # where the registers of MM2S and S2MM begin
END = 0x60
VLNV = "xilinx.com:ip:axi_dma:7.1"


class EmulatedDma:
    """send, receive: its channels. parameters: of the block design, as the .hwh has them."""

    def __init__(self, memory: Memory, fabric: Fabric, parameters: Mapping[str, str]) -> None:
        self.send = SendChannel("MM2S", memory, _setup(parameters, "mm2s", "m_axis"))
        self.receive = ReceiveChannel("S2MM", memory, _setup(parameters, "s2mm", "s_axis"))
        self._fabric = fabric
        self._stalled = False

    def read(self, offset: int) -> int:
        """A register's value. Reading the status of a transfer lets the clock run."""
        channel, register = self._find(offset)
        if register == STATUS and channel.transfer is not None:
            if channel.transfer.seen:
                self._run(channel)
            else:
                channel.transfer.seen = True
        return channel.read(register)

    def write(self, offset: int, value: int) -> None:
        """Write a register; a LENGTH begins a transfer, RESET in either DMACR resets both channels."""
        channel, register = self._find(offset)
        self._stalled = False
        if register == CONTROL and value & RESET:
            self.reset()
            return
        channel.write(register, value)
        if channel is self.send and register == LENGTH:
            packet = self.send.packet()
            if packet is not None:
                self._fabric.offer(*packet)

    def reset(self) -> None:
        """Soft reset of both channels. Not of the accelerator: what is on its way into it gets there."""
        self.send.reset()
        self.receive.reset()

    def take_faults(self, other: EmulatedDma) -> None:
        """Have the faults that the same DMA was still to have before it was programmed again."""
        self.send.faults, self.receive.faults = other.send.faults, other.receive.faults

    def _find(self, offset: int) -> tuple[Channel, int]:
        if not 0 <= offset < END:
            raise EmulationError(f"the AXI DMA has no register at {offset:#x}")
        return (self.receive, offset - RECEIVE) if offset >= RECEIVE else (self.send, offset)

    def _run(self, channel: Channel) -> None:
        channel.strike()
        while channel.busy and not self._stalled:
            step = self._fabric.step(self.receive.room())
            self.receive.take(step.data, step.last)
            if not self._fabric.waiting():
                self.send.taken()
            self._stalled = step.stalled


def _setup(parameters: Mapping[str, str], channel: str, stream: str) -> Setup:
    """A channel's part of the parameters."""
    data_bytes = int(parameters[f"c_m_axi_{channel}_data_width"]) // 8
    realigns = int(parameters[f"c_include_{channel}_dre"])
    beat = int(parameters[f"c_{stream}_{channel}_tdata_width"]) // 8
    return Setup(int(parameters["c_sg_length_width"]), 1 if realigns else data_bytes, beat)
