"""The Vivado project in a Tcl interpreter, with stand-ins for Vivado's commands: what it builds, by board."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from finn_flow.bitstream import Netlist
from finn_flow.boards import BOARDS, find_board
from finn_flow.ops.verilog import module
from finn_flow.vivado import write_project
from finn_flow.vivado.platforms import PLATFORMS

STUBS = Path(__file__).with_name("vivado_stubs.tcl")
TKINTER = "import sys, tkinter; tkinter.Tcl().eval('source ' + sys.argv[1])"

ZYNQ = ("Pynq-Z1", "Pynq-Z2")
MPSOC = ("Ultra96-V2", "AUP-ZU3", "ZCU102", "ZCU104", "KV260")

# What must come out. {...} is the processing system's, of PROCESSOR.
CELLS = {
    "zynq_ps": "{ip}",
    "clk_wiz_0": "clk_wiz",
    "proc_sys_reset_0": "proc_sys_reset",
    "axi_dma_0": "axi_dma",
    "axi_intc_0": "axi_intc",
    "xlconcat_0": "xlconcat",
    "smartconnect_control": "smartconnect",
    "smartconnect_memory": "smartconnect",
}
BUSES = {
    ("axi_dma_0/M_AXIS_MM2S", "accelerator_0/s_axis_0"),
    ("accelerator_0/m_axis_0", "axi_dma_0/S_AXIS_S2MM"),
    ("axi_dma_0/M_AXI_MM2S", "smartconnect_memory/S00_AXI"),
    ("axi_dma_0/M_AXI_S2MM", "smartconnect_memory/S01_AXI"),
    ("smartconnect_memory/M00_AXI", "zynq_ps/{memory}"),
    ("zynq_ps/{control}", "smartconnect_control/S00_AXI"),
    ("smartconnect_control/M00_AXI", "axi_dma_0/S_AXI_LITE"),
    ("smartconnect_control/M01_AXI", "axi_intc_0/s_axi"),
}
WIRES = {
    "zynq_ps/{clock}": {"clk_wiz_0/clk_in1"},
    "zynq_ps/{reset}": {"clk_wiz_0/resetn", "proc_sys_reset_0/ext_reset_in"},
    "clk_wiz_0/locked": {"proc_sys_reset_0/dcm_locked"},
    "clk_wiz_0/clk_out1": {
        *("proc_sys_reset_0/slowest_sync_clk", "accelerator_0/ap_clk", "axi_intc_0/s_axi_aclk"),
        *("axi_dma_0/s_axi_lite_aclk", "axi_dma_0/m_axi_mm2s_aclk", "axi_dma_0/m_axi_s2mm_aclk"),
        *("smartconnect_control/aclk", "smartconnect_memory/aclk"),
        *("zynq_ps/{control_clock}", "zynq_ps/{memory_clock}"),
    },
    "proc_sys_reset_0/interconnect_aresetn": {"smartconnect_control/aresetn", "smartconnect_memory/aresetn"},
    "proc_sys_reset_0/peripheral_aresetn": {
        *("accelerator_0/ap_rst_n", "axi_dma_0/axi_resetn", "axi_intc_0/s_axi_aresetn"),
    },
    "axi_dma_0/mm2s_introut": {"xlconcat_0/In0"},
    "axi_dma_0/s2mm_introut": {"xlconcat_0/In1"},
    "xlconcat_0/dout": {"axi_intc_0/intr"},
    "axi_intc_0/irq": {"zynq_ps/{interrupt}"},
}
ADDRESSES = {
    ("axi_dma_0/Data_MM2S", "zynq_ps/{segment}", ""),
    ("axi_dma_0/Data_S2MM", "zynq_ps/{segment}", ""),
    ("zynq_ps/Data", "axi_dma_0/S_AXI_LITE/Reg", "{dma}"),
    ("zynq_ps/Data", "axi_intc_0/S_AXI/Reg", "{intc}"),
}
ZYNQ_PINS = {
    "ip": "processing_system7",
    "memory": "S_AXI_HP0",
    "control": "M_AXI_GP0",
    "clock": "FCLK_CLK0",
    "reset": "FCLK_RESET0_N",
    "control_clock": "M_AXI_GP0_ACLK",
    "memory_clock": "S_AXI_HP0_ACLK",
    "interrupt": "IRQ_F2P",
    "segment": "S_AXI_HP0/HP0_DDR_LOWOCM",
    "dma": "0x40000000",
    "intc": "0x40010000",
}
MPSOC_PINS = {
    "ip": "zynq_ultra_ps_e",
    "memory": "S_AXI_HP0_FPD",
    "control": "M_AXI_HPM0_FPD",
    "clock": "pl_clk0",
    "reset": "pl_resetn0",
    "control_clock": "maxihpm0_fpd_aclk",
    "memory_clock": "saxihp0_fpd_aclk",
    "interrupt": "pl_ps_irq0",
    "segment": "SAXIGP2/HP0_DDR_LOW",
    "dma": "0xA0000000",
    "intc": "0xA0010000",
}
PROCESSOR = dict.fromkeys(ZYNQ, ZYNQ_PINS) | dict.fromkeys(MPSOC, MPSOC_PINS)
# Settings of the processing system without which a port, pin or clock of it would not be there.
ZYNQ_SETTINGS = {
    "PCW_USE_M_AXI_GP0": "1",
    "PCW_USE_S_AXI_HP0": "1",
    "PCW_S_AXI_HP0_DATA_WIDTH": "64",
    "PCW_USE_FABRIC_INTERRUPT": "1",
    "PCW_IRQ_F2P_INTR": "1",
    "PCW_EN_CLK0_PORT": "1",
    "PCW_EN_RST0_PORT": "1",
    "PCW_FPGA0_PERIPHERAL_FREQMHZ": "100",
    "PCW_CRYSTAL_PERIPHERAL_FREQMHZ": "50",
    "PCW_APU_PERIPHERAL_FREQMHZ": "650",
}
MPSOC_SETTINGS = {
    "PSU__USE__M_AXI_GP0": "1",
    "PSU__USE__M_AXI_GP1": "0",
    "PSU__USE__M_AXI_GP2": "0",
    "PSU__MAXIGP0__DATA_WIDTH": "128",
    "PSU__USE__S_AXI_GP2": "1",
    "PSU__SAXIGP2__DATA_WIDTH": "128",
    "PSU__USE__IRQ0": "1",
    "PSU__FPGA_PL0_ENABLE": "1",
    "PSU__USE__FABRIC__RST": "1",
    "PSU__NUM_FABRIC_RESETS": "1",
    "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
}
SETTINGS = dict.fromkeys(ZYNQ, ZYNQ_SETTINGS) | dict.fromkeys(MPSOC, MPSOC_SETTINGS)
DMA = {
    "c_include_sg": "0",
    "c_sg_length_width": "26",
    "c_addr_width": "32",
    "c_include_mm2s": "1",
    "c_include_s2mm": "1",
    "c_m_axis_mm2s_tdata_width": "64",
    "c_m_axi_mm2s_data_width": "64",
    "c_m_axi_s2mm_data_width": "32",
}


@dataclass(frozen=True)
class Ran:
    """A run of a project's script. calls: of Vivado's commands, in words."""

    folder: Path
    code: int
    printed: str
    calls: list[list[str]]

    def of(self, command: str) -> list[list[str]]:
        return [call[1:] for call in self.calls if call[0] == command]

    def settings(self, cell: str) -> dict[str, str]:
        """What set_property -dict sets of a cell."""
        calls = [call for call in self.of("set_property") if call[0] == "-dict" and call[2] == cell]
        words = " ".join(call[1] for call in calls).split()
        plain = [word.strip("{}").removeprefix("CONFIG.") for word in words]
        return dict(zip(plain[::2], plain[1::2], strict=True))


def interpreter() -> list[str]:
    """A Tcl interpreter: Python's own or tclsh. Without one nothing of this can be tested."""
    if (
        subprocess.run([sys.executable, "-c", "import tkinter"], check=False, capture_output=True).returncode
        == 0
    ):
        return [sys.executable, "-c", TKINTER]
    tclsh = shutil.which("tclsh")
    assert tclsh, "no Tcl interpreter: install tcl (tclsh), or a Python with tkinter"
    return [tclsh]


def project(folder: Path, board: str) -> Path:
    """A project of a netlist of two files."""
    (folder / "sources").mkdir()
    layer, top = folder / "sources" / "MVAU_0.v", folder / "sources" / "accelerator.v"
    layer.write_text('mvau #(.WEIGHTS("./MVAU_0_weights.dat")) layer ();\n')
    layer.with_name("MVAU_0_weights.dat").write_text("f1\n")
    top.write_text("module accelerator ();\nendmodule\n")
    write_project(folder / "vivado", find_board(board), Netlist("toy", (layer, top), 64, 32))
    return folder / "vivado"


def run(folder: Path, board_files: str = "", progress: str = "100%", ips: str | None = None) -> Ran:
    """Run the project in `folder`."""
    there = " ".join({ip.format(ip=p["ip"]) for ip in CELLS.values() for p in PROCESSOR.values()})
    script = folder / "run.tcl"
    script.write_text(
        f"set board_files {{{board_files}}}\nset progress {progress}\nset ips {{{ips or there}}}\n"
        f"source {{{STUBS}}}\nsource build.tcl\n"
    )
    result = subprocess.run(
        [*interpreter(), "run.tcl"],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = (folder / "calls.txt").read_text().splitlines()
    return Ran(folder, result.returncode, result.stdout + result.stderr, [line.split("\t") for line in lines])


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return run(project(tmp_path_factory.mktemp("project"), request.param))


def test_every_board_with_a_processor_has_a_project() -> None:
    assert set(PLATFORMS) == set(PROCESSOR) == {name for name, b in BOARDS.items() if b.part.startswith("xc")}


EVERY_BOARD = pytest.mark.parametrize("ran", PROCESSOR, indirect=True)


@EVERY_BOARD
def test_block_design(ran: Ran, request: pytest.FixtureRequest) -> None:
    board = request.node.callspec.params["ran"]
    fill = PROCESSOR[board]
    assert ran.code == 0, ran.printed
    assert ran.of("create_project") == [["-force", "accelerator", "project", "-part", find_board(board).part]]
    cells = {call[-1]: call[3] for call in ran.of("create_bd_cell") if call[1] == "ip"}
    newest = {name: f"xilinx.com:ip:{ip.format(**fill)}:10.0" for name, ip in CELLS.items()}
    assert cells == newest
    modules = [call for call in ran.of("create_bd_cell") if call[1] == "module"]
    assert modules == [["-type", "module", "-reference", "accelerator", "accelerator_0"]]
    buses = {(master, slave) for master, slave in ran.of("connect_bd_intf_net")}
    assert buses == {(a.format(**fill), b.format(**fill)) for a, b in BUSES}
    wires: dict[str, set[str]] = {}
    for driver, pin in ran.of("connect_bd_net"):
        wires.setdefault(driver, set()).add(pin)
    assert wires == {d.format(**fill): {p.format(**fill) for p in pins} for d, pins in WIRES.items()}


@EVERY_BOARD
def test_address_map(ran: Ran, request: pytest.FixtureRequest) -> None:
    fill = PROCESSOR[request.node.callspec.params["ran"]]
    found = set()
    for call in ran.of("assign_bd_address"):
        options = dict(zip(call[:-1:2], call[1:-1:2], strict=True))
        if "-offset" in options:
            assert options["-range"] == "0x10000"
        found.add((options["-target_address_space"], call[-1], options.get("-offset", "")))
    assert found == {tuple(word.format(**fill) for word in row) for row in ADDRESSES}


@EVERY_BOARD
def test_settings_of_the_blocks(ran: Ran, request: pytest.FixtureRequest) -> None:
    board = request.node.callspec.params["ran"]
    assert ran.settings("zynq_ps") == SETTINGS[board]
    assert ran.settings("axi_dma_0") == DMA
    mhz = "100" if board in ZYNQ else "200"
    assert ran.settings("clk_wiz_0")["CLKOUT1_REQUESTED_OUT_FREQ"] == mhz
    assert ran.settings("smartconnect_control") == {"NUM_SI": "1", "NUM_MI": "2"}
    assert ran.settings("smartconnect_memory") == {"NUM_SI": "2", "NUM_MI": "1"}
    external = [call[1] for call in ran.of("make_bd_intf_pins_external")]
    assert external == (["DDR", "FIXED_IO"] if board in ZYNQ else [])


@pytest.mark.parametrize("ran", ["ZCU104"], indirect=True)
def test_from_sources_to_bitstream(ran: Ran) -> None:
    names = ("rtl/MVAU_0.v", "rtl/MVAU_0_weights.dat", "rtl/accelerator.v")
    assert ran.of("add_files") == [["-norecurse", " ".join(names)]]
    assert ["file_type", "Memory Initialization Files", "*.dat"] in ran.of("set_property")
    order = [call[:2] for call in ran.calls if call[0] in ("validate_bd_design", "launch_runs", "open_run")]
    assert order == [
        *(["validate_bd_design"], ["launch_runs", "synth_1"]),
        *(["launch_runs", "impl_1"], ["open_run", "impl_1"]),
    ]
    assert ran.of("launch_runs")[1][1:3] == ["-to_step", "write_bitstream"]
    for name in ("finn-accel.bit", "finn-accel.hwh", "utilization.rpt", "timing.rpt"):
        assert (ran.folder / name).is_file()
    stages = [line for line in ran.printed.splitlines() if line.startswith("== ")]
    assert stages == ["== block design", "== synthesis", "== implementation", "== reports"]
    assert ran.of("apply_bd_automation") == []


def test_memory_files_lose_their_path(tmp_path: Path) -> None:
    folder = project(tmp_path, "ZCU104")
    assert (folder / "rtl" / "MVAU_0.v").read_text() == 'mvau #(.WEIGHTS("MVAU_0_weights.dat")) layer ();\n'
    assert str(tmp_path) not in "".join(path.read_text() for path in folder.glob("*.tcl"))


def test_the_netlist_tells_a_block_design_its_clock_and_reset() -> None:
    text = module("accelerator", {"s_axis_0": 32, "m_axis_0": 32}, [], "// made up", packets=True)
    assert text.splitlines()[2:6] == [
        '    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK", X_INTERFACE_PARAMETER = '
        '"ASSOCIATED_BUSIF s_axis_0:m_axis_0, ASSOCIATED_RESET ap_rst_n" *)',
        "    input ap_clk,",
        '    (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 ap_rst_n RST", X_INTERFACE_PARAMETER = '
        '"POLARITY ACTIVE_LOW" *)',
        "    input ap_rst_n,",
    ]
    assert "X_INTERFACE" not in module("dataflow", {"s_axis_0": 32}, [], "// made up")


def test_board_files_are_used_where_they_are_installed(tmp_path: Path) -> None:
    ran = run(project(tmp_path, "Pynq-Z2"), board_files="tul.com.tw:pynq-z2:part0:1.0")
    assert ran.code == 0, ran.printed
    assert ran.of("get_board_parts") == [["-quiet", "-latest_file_version", "tul.com.tw:pynq-z2:*"]]
    assert ["board_part", "tul.com.tw:pynq-z2:part0:1.0", "accelerator"] in ran.of("set_property")
    rule = ["-rule", "xilinx.com:bd_rule:processing_system7", "-config", 'apply_board_preset "1"', "zynq_ps"]
    assert ran.of("apply_bd_automation") == [rule]
    commands = [call[0] for call in ran.calls if call[-1] == "zynq_ps"]
    assert commands.index("apply_bd_automation") < commands.index(
        "set_property"
    )  # ours come last, so they count


def test_a_run_that_fails_ends_the_script(tmp_path: Path) -> None:
    ran = run(project(tmp_path, "ZCU104"), progress="42%")
    assert ran.code != 0
    assert "synth_1: route_design ERROR; see project/accelerator.runs/synth_1/runme.log" in ran.printed
    assert ran.of("open_run") == []
    assert not (ran.folder / "finn-accel.bit").exists()


def test_an_ip_that_is_missing_is_named(tmp_path: Path) -> None:
    ran = run(project(tmp_path, "ZCU104"), ips="zynq_ultra_ps_e clk_wiz proc_sys_reset")
    assert ran.code != 0
    assert "this Vivado has no IP axi_dma" in ran.printed
