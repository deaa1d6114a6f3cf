"""The emulated AXI DMA, register by register, against what PG021 says of the real one."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from driver.emulated.dma import EmulatedDma
from driver.emulated.errors import EmulationError
from driver.emulated.faults import HANG, INTERNAL_ERROR, NO_LAST, SLAVE_ERROR, error, short
from driver.emulated.memory import BASE, FILL, SIZE, Block, Memory
from tests.driver.scripted_fabric import ScriptedFabric

MM2S, S2MM = 0x00, 0x30
DMACR, DMASR, ADDRESS, ADDRESS_MSB, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
RUN, RESET = 0x1, 0x4
HALTED, IDLE, COMPLETE, ERROR_IRQ = 0x1, 0x2, 0x1000, 0x4000
AFTER_RESET = 0x0001_0002  # DMACR: threshold 1, and the bit that is always 1
PARAMETERS = {
    "c_sg_length_width": "14",
    **{"c_m_axi_mm2s_data_width": "64", "c_m_axis_mm2s_tdata_width": "32", "c_include_mm2s_dre": "0"},
    **{"c_m_axi_s2mm_data_width": "32", "c_s_axis_s2mm_tdata_width": "32", "c_include_s2mm_dre": "0"},
}
CHANNELS = pytest.mark.parametrize("channel", [MM2S, S2MM], ids=["MM2S", "S2MM"])


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def fabric() -> ScriptedFabric:
    return ScriptedFabric()


@pytest.fixture
def dma(memory: Memory, fabric: ScriptedFabric) -> EmulatedDma:
    """Both channels running."""
    dma = EmulatedDma(memory, fabric, PARAMETERS)
    for channel in (MM2S, S2MM):
        dma.write(channel + DMACR, RUN)
    return dma


@pytest.fixture
def block(memory: Memory) -> Block:
    return memory.allocate(64)


def begin(dma: EmulatedDma, channel: int, block: Block, size: int) -> None:
    dma.write(channel + ADDRESS, block.address)
    dma.write(channel + LENGTH, size)


def ended(dma: EmulatedDma, channel: int) -> int:
    """DMASR after a transfer that was under way; the first look finds it so."""
    assert dma.read(channel + DMASR) & (IDLE | HALTED) == 0
    return dma.read(channel + DMASR)


@CHANNELS
def test_registers_after_power_up(memory: Memory, channel: int) -> None:
    dma = EmulatedDma(memory, ScriptedFabric(), PARAMETERS)
    assert [dma.read(channel + at) for at in (DMACR, DMASR, ADDRESS, LENGTH)] == [AFTER_RESET, HALTED, 0, 0]


@CHANNELS
def test_run_ends_halt_and_idle_is_low_before_the_first_transfer(dma: EmulatedDma, channel: int) -> None:
    assert dma.read(channel + DMACR) == AFTER_RESET | RUN
    assert dma.read(channel + DMASR) == 0
    dma.write(channel + DMACR, 0)
    assert dma.read(channel + DMASR) == HALTED


@CHANNELS
def test_interrupt_fields_are_kept(dma: EmulatedDma, channel: int) -> None:
    dma.write(channel + DMACR, 0x0205_7001)
    assert dma.read(channel + DMACR) == 0x0205_7003
    dma.write(channel + DMACR, 0x0000_0001)  # a threshold of 0 has no effect
    assert dma.read(channel + DMACR) == 0x0005_0003


def test_a_packet_is_sent_from_memory(
    dma: EmulatedDma, fabric: ScriptedFabric, memory: Memory, block: Block
) -> None:
    block.cached[:] = range(64)
    memory.flush(block, 0, 64)
    begin(dma, MM2S, block, 12)
    assert fabric.offered == [(bytes(range(12)), True)]
    assert ended(dma, MM2S) == IDLE | COMPLETE
    assert dma.read(MM2S + LENGTH) == 12
    dma.write(MM2S + DMASR, COMPLETE)
    assert dma.read(MM2S + DMASR) == IDLE


def test_what_the_host_did_not_flush_is_not_sent(
    dma: EmulatedDma, fabric: ScriptedFabric, block: Block
) -> None:
    block.cached[:] = 1
    begin(dma, MM2S, block, 4)
    assert fabric.offered == [(bytes([FILL]) * 4, True)]


def test_a_packet_is_received_into_memory(
    dma: EmulatedDma, fabric: ScriptedFabric, memory: Memory, block: Block
) -> None:
    fabric.give(b"12345678")
    begin(dma, S2MM, block, 8)
    assert ended(dma, S2MM) == IDLE | COMPLETE
    assert dma.read(S2MM + LENGTH) == 8
    assert block.cached[0] == FILL  # until the host invalidates its cache
    memory.invalidate(block, 0, 64)
    assert block.cached.tobytes() == b"12345678" + bytes([FILL]) * 56


def test_length_says_how_much_of_the_buffer_a_short_packet_filled(
    dma: EmulatedDma, fabric: ScriptedFabric, block: Block
) -> None:
    fabric.give(b"1234")
    begin(dma, S2MM, block, 64)
    assert ended(dma, S2MM) == IDLE | COMPLETE
    assert dma.read(S2MM + LENGTH) == 4


def test_packets_that_follow_each_other_fill_a_buffer_each(
    dma: EmulatedDma, fabric: ScriptedFabric, memory: Memory, block: Block
) -> None:
    fabric.give(b"1234", b"5678")
    for number, packet in enumerate((b"1234", b"5678")):
        begin(dma, S2MM, block, 64)
        assert ended(dma, S2MM) == IDLE | COMPLETE, number
        assert memory.at(block.address, 4).tobytes() == packet


def test_without_tlast_receiving_never_ends(dma: EmulatedDma, fabric: ScriptedFabric, block: Block) -> None:
    fabric.give(b"12345678", last=False)
    begin(dma, S2MM, block, 8)
    for _ in range(1000):
        assert dma.read(S2MM + DMASR) == 0
    dma.write(S2MM + DMACR, RESET)
    assert dma.read(S2MM + DMASR) == HALTED


def test_a_packet_longer_than_the_buffer_is_an_internal_error(
    dma: EmulatedDma, fabric: ScriptedFabric, memory: Memory, block: Block
) -> None:
    fabric.give(b"123456789abc")
    begin(dma, S2MM, block, 8)
    assert ended(dma, S2MM) == INTERNAL_ERROR | HALTED | ERROR_IRQ
    assert memory.at(block.address, 12).tobytes() == b"12345678" + bytes([FILL]) * 4


@CHANNELS
def test_after_an_error_only_a_reset_helps(dma: EmulatedDma, block: Block, channel: int) -> None:
    dma.write(channel + ADDRESS, BASE + SIZE)  # no memory there
    dma.write(channel + LENGTH, 4)
    assert ended(dma, channel) == 0x40 | HALTED | ERROR_IRQ
    dma.write(channel + DMACR, RUN)
    assert dma.read(channel + DMACR) == AFTER_RESET
    assert dma.read(channel + DMASR) & HALTED
    dma.write(MM2S + DMACR, RESET)  # of either channel, for both
    assert dma.read(channel + DMASR) == HALTED
    dma.write(channel + DMACR, RUN)
    assert dma.read(channel + DMASR) == 0


def test_a_reset_ends_a_transfer_in_both_channels(
    dma: EmulatedDma, fabric: ScriptedFabric, block: Block
) -> None:
    fabric.deaf = True
    begin(dma, MM2S, block, 8)
    begin(dma, S2MM, block, 8)
    assert ended(dma, MM2S) == 0
    dma.write(S2MM + DMACR, RESET)
    assert [dma.read(channel + DMASR) for channel in (MM2S, S2MM)] == [HALTED, HALTED]


@CHANNELS
def test_a_stopped_channel_halts_when_its_transfer_has_ended(
    dma: EmulatedDma, fabric: ScriptedFabric, block: Block, channel: int
) -> None:
    fabric.give(b"1234")
    begin(dma, channel, block, 4)
    dma.write(channel + DMACR, 0)
    assert ended(dma, channel) == HALTED | COMPLETE


def test_length_without_effect(dma: EmulatedDma, fabric: ScriptedFabric, block: Block) -> None:
    begin(dma, MM2S, block, 0)
    assert dma.read(MM2S + DMASR) == 0
    dma.write(MM2S + DMACR, 0)
    begin(dma, MM2S, block, 4)  # halted
    assert dma.read(MM2S + LENGTH) == 0
    assert fabric.offered == []


def test_length_has_as_many_bits_as_the_design_gave_it(dma: EmulatedDma, block: Block) -> None:
    begin(dma, MM2S, block, 0x4000 + 8)
    assert dma.read(MM2S + LENGTH) == 8


@CHANNELS
@pytest.mark.parametrize("register", [0x08, 0x10, ADDRESS_MSB, 0x2C])
def test_registers_that_direct_mode_has_not_read_zero(dma: EmulatedDma, channel: int, register: int) -> None:
    dma.write(channel + register, 0xFFFF_FFFF)
    assert dma.read(channel + register) == 0


def misaligned(dma: EmulatedDma, block: Block) -> None:
    dma.write(MM2S + ADDRESS, block.address + 4)
    dma.write(MM2S + LENGTH, 4)


def busy(dma: EmulatedDma, block: Block) -> None:
    begin(dma, S2MM, block, 4)
    dma.write(S2MM + LENGTH, 4)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            misaligned,
            "MM2S: address 0x10000004 is not aligned to 8 bytes, which a DMA without realignment needs",
        ),
        (busy, "S2MM: LENGTH was written while a transfer is under way"),
        (
            lambda dma, block: begin(dma, MM2S, block, 6),
            "MM2S: 6 bytes are not whole beats of 4, and the accelerator's TKEEP must be full",
        ),
        (
            lambda dma, block: begin(dma, S2MM, block, 68),
            "a transfer of 68 bytes at 0x10000000 leaves every allocated buffer",
        ),
        (lambda dma, block: dma.read(0x60), "the AXI DMA has no register at 0x60"),
    ],
    ids=["misaligned", "busy", "part of a beat", "beyond the buffer", "no register"],
)
def test_what_the_guide_leaves_undefined_is_refused(
    dma: EmulatedDma, block: Block, use: Callable[[EmulatedDma, Block], object], message: str
) -> None:
    with pytest.raises(EmulationError, match=f"^{re.escape(message)}$"):
        use(dma, block)


def test_freed_memory_is_refused(dma: EmulatedDma, memory: Memory, block: Block) -> None:
    memory.return_pointer(block)
    with pytest.raises(EmulationError, match=r"^a transfer of 4 bytes at 0x10000000 leaves every allocated"):
        begin(dma, S2MM, block, 4)


def test_faults_of_receiving(dma: EmulatedDma, fabric: ScriptedFabric, memory: Memory, block: Block) -> None:
    dma.receive.faults = iter([None, short(4), None])
    fabric.give(b"aaaaAAAA", b"bbbbBBBB", b"ccccCCCC", b"ddddDDDD")
    got = []
    for _ in range(4):
        begin(dma, S2MM, block, 8)
        assert ended(dma, S2MM) == IDLE | COMPLETE
        got.append((dma.read(S2MM + LENGTH), memory.at(block.address, 4).tobytes()))
    assert got == [(8, b"aaaa"), (4, b"bbbb"), (8, b"cccc"), (8, b"dddd")]


@pytest.mark.parametrize(
    ("fault", "status"),
    [(HANG, 0), (NO_LAST, 0), (error(SLAVE_ERROR), SLAVE_ERROR | HALTED | ERROR_IRQ)],
    ids=["hang", "no last", "error"],
)
def test_faults_that_do_not_end_well(
    dma: EmulatedDma, fabric: ScriptedFabric, block: Block, fault: object, status: int
) -> None:
    dma.receive.faults = iter([fault])
    fabric.give(b"12345678")
    begin(dma, S2MM, block, 8)
    dma.read(S2MM + DMASR)
    assert dma.read(S2MM + DMASR) == status
    assert len(fabric.packets) == (0 if fault == NO_LAST else 1)


def test_faults_of_sending(dma: EmulatedDma, fabric: ScriptedFabric, block: Block) -> None:
    dma.send.faults = iter([short(4), NO_LAST, HANG])
    for _ in range(2):
        begin(dma, MM2S, block, 8)
        assert ended(dma, MM2S) == IDLE | COMPLETE
    begin(dma, MM2S, block, 8)
    assert ended(dma, MM2S) & IDLE == 0
    assert [(len(data), last) for data, last in fabric.offered] == [(4, True), (8, False)]


def test_memory_is_found_again_and_runs_out() -> None:
    memory = Memory()
    first, second, third = (memory.allocate(size) for size in (1, 4097, 4096))
    assert [block.address - BASE for block in (first, second, third)] == [0, 4096, 3 * 4096]
    assert (memory.buffers, memory.bytes) == (3, 1 + 4097 + 4096)
    memory.return_pointer(second)
    assert memory.allocate(8192).address == second.address
    assert memory.allocate(1).address == BASE + 4 * 4096
    with pytest.raises(RuntimeError, match=rf"^BO allocation failed: no {SIZE} bytes left, 12290 in use$"):
        memory.allocate(SIZE)
    memory.return_pointer(first)
    assert np.array_equal(memory.allocate(4).cached, [FILL] * 4)
