"""What a block design needs to know of a board: its processing system and how our blocks are wired to it.

Names of pins, ports, address segments and settings are those of Xilinx' IP (PG082: Zynq-7000, PG201: Zynq
UltraScale+). Only what reaches the fabric is set: PYNQ boots processor, memory controller and pins from an
image of its own. Ports are as wide as after a reset, so that they fit any image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PS_CLOCK_MHZ = 100  # of the first fabric clock; PYNQ sets its dividers for it, and a PLL makes ours of it


@dataclass(frozen=True)
class Processor:
    """A processing system. external: ports that leave the chip. control_base: of its window on registers."""

    ip: str
    config: Mapping[str, str]
    clock: str
    reset: str
    interrupt: str
    control_port: str
    control_clock: str
    control_base: int
    memory_port: str
    memory_clock: str
    memory_segment: str
    external: tuple[str, ...] = ()


ZYNQ_7000 = Processor(
    ip="processing_system7",
    config={
        "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": "50",  # on Pynq-Z1 and Z2; 33.33 by default
        "PCW_APU_PERIPHERAL_FREQMHZ": "650",
        "PCW_FPGA0_PERIPHERAL_FREQMHZ": str(PS_CLOCK_MHZ),
        "PCW_EN_CLK0_PORT": "1",
        "PCW_EN_RST0_PORT": "1",
        "PCW_USE_M_AXI_GP0": "1",
        "PCW_USE_S_AXI_HP0": "1",
        "PCW_S_AXI_HP0_DATA_WIDTH": "64",
        "PCW_USE_FABRIC_INTERRUPT": "1",
        "PCW_IRQ_F2P_INTR": "1",
    },
    clock="FCLK_CLK0",
    reset="FCLK_RESET0_N",
    interrupt="IRQ_F2P",
    control_port="M_AXI_GP0",
    control_clock="M_AXI_GP0_ACLK",
    control_base=0x4000_0000,
    memory_port="S_AXI_HP0",
    memory_clock="S_AXI_HP0_ACLK",
    memory_segment="S_AXI_HP0/HP0_DDR_LOWOCM",
    external=("DDR", "FIXED_IO"),
)
ZYNQ_MPSOC = Processor(
    ip="zynq_ultra_ps_e",
    config={
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": str(PS_CLOCK_MHZ),
        "PSU__FPGA_PL0_ENABLE": "1",
        "PSU__USE__FABRIC__RST": "1",
        "PSU__NUM_FABRIC_RESETS": "1",
        "PSU__USE__M_AXI_GP0": "1",
        "PSU__USE__M_AXI_GP1": "0",
        "PSU__USE__M_AXI_GP2": "0",
        "PSU__MAXIGP0__DATA_WIDTH": "128",
        "PSU__USE__S_AXI_GP2": "1",  # which is S_AXI_HP0_FPD
        "PSU__SAXIGP2__DATA_WIDTH": "128",
        "PSU__USE__IRQ0": "1",
    },
    clock="pl_clk0",
    reset="pl_resetn0",
    interrupt="pl_ps_irq0",
    control_port="M_AXI_HPM0_FPD",
    control_clock="maxihpm0_fpd_aclk",
    control_base=0xA000_0000,
    memory_port="S_AXI_HP0_FPD",
    memory_clock="saxihp0_fpd_aclk",
    memory_segment="SAXIGP2/HP0_DDR_LOW",
)


@dataclass(frozen=True)
class Platform:
    """board_part: pattern of its board files, which are used if they are installed."""

    processor: Processor
    board_part: str


PLATFORMS: Mapping[str, Platform] = {
    "Pynq-Z1": Platform(ZYNQ_7000, "www.digilentinc.com:pynq-z1:*"),
    "Pynq-Z2": Platform(ZYNQ_7000, "tul.com.tw:pynq-z2:*"),
    "Ultra96-V2": Platform(ZYNQ_MPSOC, "avnet.com:ultra96v2:*"),
    "AUP-ZU3": Platform(ZYNQ_MPSOC, "realdigital.org:aup-zu3-8gb:*"),
    "ZCU102": Platform(ZYNQ_MPSOC, "xilinx.com:zcu102:*"),
    "ZCU104": Platform(ZYNQ_MPSOC, "xilinx.com:zcu104:*"),
    "KV260": Platform(ZYNQ_MPSOC, "xilinx.com:kv260_som:*"),
}
