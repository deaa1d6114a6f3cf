"""The open route to an ECP5: a small accelerator is placed, routed and packed; its netlist is simulated."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyosys
import pytest
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow import ecp5
from finn_flow.bitstream import Bitstream, Netlist
from finn_flow.boards import find_board
from finn_flow.ecp5.run import slowest_mhz, utilisation
from finn_flow.hardware import write_layers, write_netlist
from finn_flow.netlist import input_stream, output_stream
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.simulate import frame_caps
from model.errors import UserError
from tests.hw_graphs import HardwareGraph
from verification.executor import Executor
from verification.verilator.build import Design, build
from verification.verilator.simulation import Simulation

BOARD = find_board("ecp5-85k")
INTERVAL = 1000
FRAMES = 2
CELL_MODELS = Path(pyosys.__file__).parent / "share" / "lattice"
DELAYS = r"`include[^\n]*|\bspecify\b.*?\bendspecify\b"  # and the models of other cells
LENIENT = "/* verilator lint_off INITIALDLY */\n"
# Yosys has no model of it. Its registers are not used; C is 0.
MULTIPLIER = """module MULT18X18D({ports}, input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB);
  wire signed [18:0] a = {{SIGNEDA & A17, {a}}}, b = {{SIGNEDB & B17, {b}}};
  wire signed [37:0] product = a * b;
  assign {{{p}}} = product[35:0];
endmodule
"""


def silent(description: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda units: None)


@dataclass(frozen=True)
class Small:
    """A small accelerator with a project for it in `folder`."""

    folder: Path
    model: ModelWrapper
    netlist: Netlist


def generate(folder: Path) -> Small:
    """A 3x3 convolution with thresholds, and a 1x1 convolution."""
    graph = HardwareGraph(6, 2, "INT8").pad().window(3, 2).mvau(4, 4).thresholding(4).mvau(2, 4)
    model = graph.model().transform(FuseWindowPadding()).transform(SpecializeLayers())
    (folder / "rtl").mkdir()
    layers = write_layers(model, folder / "rtl", lambda units: None)
    with_fifos = model.transform(InsertFifos(dict.fromkeys(frame_caps(model), 4)), make_deepcopy=True)
    sources = (*layers, *write_netlist(with_fifos, INTERVAL, folder / "rtl"))
    bits = input_stream(model, INTERVAL).bits, output_stream(model).bits
    return Small(folder / "project", model, Netlist("small", sources, *bits))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    small = generate(tmp_path_factory.mktemp("small"))
    ecp5.write_project(small.folder, small.netlist)
    return small


@pytest.fixture(scope="module")
def bitstream(small: Small) -> Bitstream:
    return ecp5.run_project(small.folder, BOARD, silent)


def test_it_places_routes_and_meets_its_clock(small: Small, bitstream: Bitstream) -> None:
    assert (bitstream.status, bitstream.clock_mhz, bitstream.reason) == ("built", 50.0, None)
    assert bitstream.timing is not None
    report = json.loads((small.folder / "report.json").read_text())
    assert bitstream.timing["fmax_mhz"] == pytest.approx(slowest_mhz(report), abs=1e-3)
    assert bitstream.timing["fmax_mhz"] > 50
    assert bitstream.timing["wns_ns"] == pytest.approx(20 - 1000 / slowest_mhz(report), abs=1e-3)
    bits = (small.folder / "finn-accel.bit").read_bytes()
    assert bits.startswith(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00")
    assert len(bits) > 200_000


def test_nothing_is_optimised_away(small: Small, bitstream: Bitstream) -> None:
    module = json.loads((small.folder / "netlist.json").read_text())["modules"]["ecp5_top"]
    cells = Counter(cell["type"] for cell in module["cells"].values())
    assert bitstream.utilisation is not None
    used = {name: use["used"] for name, use in bitstream.utilisation.items()}
    assert used["FF"] == cells["TRELLIS_FF"]
    assert used["DSP"] == cells["MULT18X18D"] == 2  # one of each MVAU
    assert used["LUT"] >= cells["LUT4"] + 2 * cells["CCU2C"]
    assert bitstream.utilisation["LUT"]["offered"] == BOARD.lut
    assert bitstream.utilisation["BRAM18"]["offered"] == BOARD.bram18
    assert bitstream.utilisation["DSP"]["offered"] == BOARD.dsp
    for node in small.model.graph.node:
        assert any(f".{node.name}." in name for name in module["cells"]), node.name


def serial(beats: NDArray[np.uint8], last: int) -> NDArray[np.uint8]:
    """Words of the serial stream, a bit a row: beats (n, bytes), TLAST on every `last`-th."""
    flags = (np.arange(len(beats)) % last == last - 1).astype(np.uint8)
    words = np.hstack([np.unpackbits(beats, axis=1, bitorder="little"), flags[:, None]])
    return words.reshape(-1, 1)


def simulated(small: Small, folder: Path) -> Path:
    """The library of the netlist that Yosys made, with Yosys' models of the cells."""
    script = f"read_json {small.folder}/netlist.json; write_verilog -noattr {folder}/netlist.v"
    code = "import sys; from pyosys import libyosys as y; d = y.Design()\n"
    code += "for command in sys.argv[1].split('; '): y.run_pass(command, d)"
    subprocess.run([sys.executable, "-c", code, script], check=True, capture_output=True)
    names = {"a": ("A", 18), "b": ("B", 18), "c": ("C", 18), "p": ("P", 36)}
    bits = {key: ", ".join(f"{x}{i}" for i in reversed(range(n))) for key, (x, n) in names.items()}
    ports = f"input {bits['a']}, {bits['b']}, {bits['c']}, output {bits['p']}"
    (folder / "multiplier.v").write_text(MULTIPLIER.format(ports=ports, **bits))
    for name in ("common_sim", "ccu2c_sim"):
        text = (CELL_MODELS / f"{name}.vh").read_text()
        (folder / f"{name}.v").write_text(LENIENT + re.sub(DELAYS, "", text, flags=re.DOTALL))
    files = ("common_sim.v", "ccu2c_sim.v", "multiplier.v", "netlist.v")
    return build(Design("ecp5_top", tuple(folder / name for name in files)))


def test_what_was_synthesised_gives_the_executors_integers(
    small: Small, bitstream: Bitstream, tmp_path: Path
) -> None:
    executor = Executor(small.model)
    frames = np.random.default_rng(1).integers(-128, 128, (FRAMES, 6, 6, 2), np.int8)
    expected = executor.run(frames)[executor.outputs[0]].reshape(-1)
    assert len(set(expected.tolist())) > 20
    words = frames.view(np.uint8).reshape(-1, small.netlist.in_bits // 8)
    with Simulation(simulated(small, tmp_path), tmp_path) as simulation:
        simulation.push("s_axis", serial(words, len(words)))
        bits = len(expected) * (small.netlist.out_bits + 1)
        simulation.run({"m_axis": bits}, max_cycles=100_000)
        received = simulation.read("m_axis")[0].reshape(-1, small.netlist.out_bits + 1)
    assert np.flatnonzero(received[:, -1]).tolist() == [len(expected) - 1]
    values = np.packbits(received[:, :-1], axis=1, bitorder="little").view("<i4").reshape(-1)
    assert (values == expected).all()


def test_the_same_netlist_gives_the_same_files(small: Small, tmp_path: Path) -> None:
    ecp5.write_project(tmp_path / "again", small.netlist)
    files = {path.name: path.read_text() for path in (tmp_path / "again").iterdir()}
    assert {name: (small.folder / name).read_text() for name in files} == files
    assert str(tmp_path) not in "".join(files.values())


def test_a_clock_that_is_missed_names_the_slack(
    small: Small, bitstream: Bitstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = small.folder / "report.json"
    mhz = slowest_mhz(json.loads(report.read_text()))
    monkeypatch.setattr("finn_flow.ecp5.run.chain", lambda clock_mhz: ())
    with pytest.raises(UserError) as error:
        ecp5.run_project(small.folder, replace(BOARD, clk_period_ns=2.0), silent)
    need = 1000 / mhz
    assert str(error.value) == (
        f"synth_clk_period_ns = 2.0: timing is missed: WNS {2 - need:.3f} ns, so at most {mhz:.4g} MHz; give "
        f"{need:.3f} or more, or fold for fewer frames a second; reports: {small.folder}"
    )


def test_a_tool_that_fails_is_named_with_its_log(small: Small, tmp_path: Path) -> None:
    ecp5.write_project(tmp_path / "project", small.netlist)
    (tmp_path / "project" / "mvau.sv").write_text("module mvau (\n")
    with pytest.raises(UserError) as error:
        ecp5.run_project(tmp_path / "project", BOARD, silent)
    log = tmp_path / "project" / "yosys.log"
    message = str(error.value)
    assert message.startswith("board = 'ecp5-85k': yosys failed with exit code 1: ")
    assert message.endswith(f"; log: {log}")
    assert "\n" not in message


def test_a_tool_that_takes_too_long_is_stopped(small: Small, tmp_path: Path) -> None:
    ecp5.write_project(tmp_path / "project", small.netlist)
    with pytest.raises(UserError) as error:
        ecp5.run_project(tmp_path / "project", BOARD, silent, limit_s=0)
    assert str(error.value) == (
        "board = 'ecp5-85k': yosys has not ended after 0 hours and was stopped; "
        f"log: {tmp_path / 'project' / 'yosys.log'}"
    )


def test_numbers_of_a_report() -> None:
    cells = {"TRELLIS_COMB": 7, "TRELLIS_FF": 5, "DP16KD": 1, "MULT18X18D": 2, "DCCA": 1}
    report = {
        "fmax": {"a": {"achieved": 90.5, "constraint": 50.0}, "b": {"achieved": 80.0, "constraint": 50.0}},
        "utilization": {name: {"used": used, "available": 100} for name, used in cells.items()},
    }
    assert slowest_mhz(report) == 80.0
    assert utilisation(report) == {
        "LUT": {"used": 7, "offered": 100},
        "FF": {"used": 5, "offered": 100},
        "BRAM18": {"used": 1, "offered": 100},
        "DSP": {"used": 2, "offered": 100},
    }
