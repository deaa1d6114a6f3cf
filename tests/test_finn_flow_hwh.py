"""The .hwh of the emulated board: what pynq needs of it. pynq itself reads it in tests/driver."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from xml.etree.ElementTree import Element

import pytest

from finn_flow.boards import BOARDS, find_board
from finn_flow.hwh import hwh
from finn_flow.netlist import DmaStream

SOURCE, SINK = DmaStream(64, 384), DmaStream(32, 16)


def module(root: Element, kind: str) -> Element:
    (found,) = (element for element in root.iter("MODULE") if element.get("MODTYPE") == kind)
    return found


def parameters(element: Element) -> dict[str, str]:
    return {str(entry.get("NAME")): str(entry.get("VALUE")) for entry in element.iter("PARAMETER")}


def properties(element: Element) -> dict[str, str]:
    return {str(entry.get("NAME")): str(entry.get("VALUE")) for entry in element.findall("PROPERTY")}


@pytest.mark.parametrize(
    ("board", "processor", "address"),
    [("Pynq-Z2", "processing_system7", 0x4040_0000), ("ZCU104", "zynq_ultra_ps_e", 0xA000_0000)],
)
def test_the_processor_reaches_the_dma(board: str, processor: str, address: int) -> None:
    root = ElementTree.fromstring(hwh("tiny", find_board(board), SOURCE, SINK))
    assert root.find("SYSTEMINFO").attrib == {"NAME": "tiny", "DEVICE": find_board(board).part}
    ps = module(root, processor)
    (region,) = ps.iter("MEMRANGE")
    assert (region.get("INSTANCE"), region.get("SLAVEBUSINTERFACE")) == ("axi_dma_0", "S_AXI_LITE")
    assert int(region.get("BASEVALUE"), 16) == address
    assert int(region.get("HIGHVALUE"), 16) == address + 0xFFFF
    assert region.get("MASTERBUSINTERFACE") == ps.find("BUSINTERFACES/BUSINTERFACE").get("NAME")
    enabled = [value for name, value in parameters(ps).items() if name.endswith("_ENABLE")]
    assert enabled == ["1", "0", "0", "0"]


def test_the_dma_is_as_wide_as_the_streams() -> None:
    dma = module(ElementTree.fromstring(hwh("tiny", find_board("ZCU104"), SOURCE, SINK)), "axi_dma")
    assert dma.get("VLNV") == "xilinx.com:ip:axi_dma:7.1"
    assert parameters(dma) == {
        **{"c_include_sg": "0", "c_micro_dma": "0", "c_sg_length_width": "26", "c_addr_width": "32"},
        **{"c_include_mm2s": "1", "c_include_mm2s_dre": "0"},
        **{"c_m_axi_mm2s_data_width": "64", "c_m_axis_mm2s_tdata_width": "64"},
        **{"c_include_s2mm": "1", "c_include_s2mm_dre": "0"},
        **{"c_m_axi_s2mm_data_width": "32", "c_s_axis_s2mm_tdata_width": "32"},
    }


def test_registers_lie_where_pg021_has_them() -> None:
    dma = module(ElementTree.fromstring(hwh("tiny", find_board("ZCU104"), SOURCE, SINK)), "axi_dma")
    offsets = {r.get("NAME"): int(properties(r)["ADDRESS_OFFSET"], 16) for r in dma.iter("REGISTER")}
    assert offsets == {
        **{"MM2S_DMACR": 0x00, "MM2S_DMASR": 0x04, "MM2S_SA": 0x18, "MM2S_LENGTH": 0x28},
        **{"S2MM_DMACR": 0x30, "S2MM_DMASR": 0x34, "S2MM_DA": 0x48, "S2MM_LENGTH": 0x58},
    }
    status = next(r for r in dma.iter("REGISTER") if r.get("NAME") == "S2MM_DMASR")
    bits = {f.get("NAME"): int(properties(f)["BIT_OFFSET"]) for f in status.iter("FIELD")}
    assert {"Halted": 0, "Idle": 1, "DMAIntErr": 4, "DMADecErr": 6, "IOC_Irq": 12}.items() <= bits.items()


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_has_one(board: str) -> None:
    assert hwh("tiny", find_board(board), SOURCE, SINK).startswith("<?xml version='1.0'")
