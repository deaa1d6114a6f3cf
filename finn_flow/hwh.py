"""The hardware handoff (.hwh) of the emulated board: what pynq's parser reads of the file that Vivado writes.

It describes the block design of `finn_flow/vivado` as far as software sees it: the processing system with
its clock, and the AXI DMA with its address, parameters and registers (PG021, direct register mode). No
interrupts: an emulated board raises none, and pynq then polls.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from finn_flow.boards import Board
from finn_flow.netlist import DmaStream

DMA, DMA_RANGE = "axi_dma_0", 0x1_0000
LENGTH_BITS = 26  # the most that the DMA has


@dataclass(frozen=True)
class _Processor:
    """A processing system: what it is called, where the DMA's registers are, and what sets its clocks."""

    module: str
    version: str
    port: str
    dma_address: int
    clocks: Mapping[str, object]


_CLOCKS = range(4)  # of which the design uses the first, at 100 MHz
_ZYNQ = _Processor(
    module="processing_system7",
    version="5.5",
    port="M_AXI_GP0",
    dma_address=0x4040_0000,
    clocks={
        **{f"PCW_FPGA_FCLK{clock}_ENABLE": int(clock == 0) for clock in _CLOCKS},
        **{f"PCW_FCLK{clock}_PERIPHERAL_DIVISOR0": 5 for clock in _CLOCKS},
        **{f"PCW_FCLK{clock}_PERIPHERAL_DIVISOR1": 2 for clock in _CLOCKS},
        **{f"PCW_FCLK{clock}_PERIPHERAL_CLKSRC": "IO PLL" for clock in _CLOCKS},
        **{f"PCW_ACT_FPGA{clock}_PERIPHERAL_FREQMHZ": "100.000000" for clock in _CLOCKS},
    },
)
_ULTRASCALE = _Processor(
    module="zynq_ultra_ps_e",
    version="3.4",
    port="M_AXI_HPM0_FPD",
    dma_address=0xA000_0000,
    clocks={
        **{f"PSU__FPGA_PL{clock}_ENABLE": int(clock == 0) for clock in _CLOCKS},
        **{f"PSU__CRL_APB__PL{clock}_REF_CTRL__DIVISOR0": 15 for clock in _CLOCKS},
        **{f"PSU__CRL_APB__PL{clock}_REF_CTRL__DIVISOR1": 1 for clock in _CLOCKS},
        **{f"PSU__CRL_APB__PL{clock}_REF_CTRL__SRCSEL": "IOPLL" for clock in _CLOCKS},
        **{f"PSU__CRL_APB__PL{clock}_REF_CTRL__ACT_FREQMHZ": "99.999001" for clock in _CLOCKS},
    },
)

_CONTROL = {
    "RS": (0, 1),
    "Reset": (2, 1),
    "IOC_IrqEn": (12, 1),
    "Err_IrqEn": (14, 1),
}  # field -> first bit, bits
_STATUS = {
    **{"Halted": (0, 1), "Idle": (1, 1), "SGIncld": (3, 1)},
    **{"DMAIntErr": (4, 1), "DMASlvErr": (5, 1), "DMADecErr": (6, 1)},
    **{"IOC_Irq": (12, 1), "Err_Irq": (14, 1)},
}
_REGISTERS: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {
    "MM2S_DMACR": (0x00, _CONTROL),
    "MM2S_DMASR": (0x04, _STATUS),
    "MM2S_SA": (0x18, {"Source_Address": (0, 32)}),
    "MM2S_LENGTH": (0x28, {"Length": (0, LENGTH_BITS)}),
    "S2MM_DMACR": (0x30, _CONTROL),
    "S2MM_DMASR": (0x34, _STATUS),
    "S2MM_DA": (0x48, {"Destination_Address": (0, 32)}),
    "S2MM_LENGTH": (0x58, {"Length": (0, LENGTH_BITS)}),
}


def hwh(name: str, board: Board, source: DmaStream, sink: DmaStream) -> str:
    """The file for a design between two streams on a board."""
    processor = _ZYNQ if board.part.startswith("xc7") else _ULTRASCALE
    root = Element("EDKSYSTEM", EDWVERSION="1.2")
    SubElement(root, "SYSTEMINFO", NAME=name, DEVICE=board.part)
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _add_dma(modules, source, sink)
    _add_processor(modules, processor)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_module(modules: Element, instance: str, kind: str, version: str) -> Element:
    vlnv = f"xilinx.com:ip:{kind}:{version}"
    return SubElement(modules, "MODULE", FULLNAME=f"/{instance}", INSTANCE=instance, MODTYPE=kind, VLNV=vlnv)


def _add_parameters(module: Element, parameters: Mapping[str, object]) -> None:
    table = SubElement(module, "PARAMETERS")
    for name, value in parameters.items():
        SubElement(table, "PARAMETER", NAME=name, VALUE=str(value))


def _add_bus(module: Element, name: str, kind: str) -> None:
    buses = SubElement(module, "BUSINTERFACES")
    SubElement(buses, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0")


def _add_properties(parent: Element, **properties: object) -> None:
    for name, value in properties.items():
        SubElement(parent, "PROPERTY", NAME=name.upper(), VALUE=str(value))


def _add_dma(modules: Element, source: DmaStream, sink: DmaStream) -> None:
    module = _add_module(modules, DMA, "axi_dma", "7.1")
    blocks = SubElement(module, "ADDRESSBLOCKS")
    block = SubElement(blocks, "ADDRESSBLOCK", INTERFACE="S_AXI_LITE", NAME="Reg", USAGE="register")
    registers = SubElement(block, "REGISTERS")
    for name, (offset, fields) in _REGISTERS.items():
        register = SubElement(registers, "REGISTER", NAME=name)
        _add_properties(
            register,
            description=name,
            address_offset=hex(offset),
            size=32,
            access="read-write",
            is_enabled="true",
        )
        table = SubElement(register, "FIELDS")
        for field, (first, bits) in fields.items():
            entry = SubElement(table, "FIELD", NAME=field)
            _add_properties(entry, description=field, access="read-write", bit_offset=first, bit_width=bits)
    ends = {"mm2s": ("m_axis", source.bits), "s2mm": ("s_axis", sink.bits)}
    parameters: dict[str, object] = {
        "c_include_sg": 0,
        "c_micro_dma": 0,
        "c_sg_length_width": LENGTH_BITS,
        "c_addr_width": 32,
    }
    for channel, (stream, bits) in ends.items():
        parameters |= {f"c_include_{channel}": 1, f"c_include_{channel}_dre": 0}
        parameters |= {f"c_m_axi_{channel}_data_width": bits, f"c_{stream}_{channel}_tdata_width": bits}
    _add_parameters(module, parameters)
    _add_bus(module, "S_AXI_LITE", "SLAVE")


def _add_processor(modules: Element, processor: _Processor) -> None:
    module = _add_module(modules, f"{processor.module}_0", processor.module, processor.version)
    _add_parameters(module, processor.clocks)
    _add_bus(module, processor.port, "MASTER")
    SubElement(
        SubElement(module, "MEMORYMAP"),
        "MEMRANGE",
        ADDRESSBLOCK="Reg",
        BASEVALUE=f"0x{processor.dma_address:08X}",
        HIGHVALUE=f"0x{processor.dma_address + DMA_RANGE - 1:08X}",
        INSTANCE=DMA,
        MASTERBUSINTERFACE=processor.port,
        MEMTYPE="REGISTER",
        SLAVEBUSINTERFACE="S_AXI_LITE",
    )
