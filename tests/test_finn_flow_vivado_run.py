"""Runs of a program that stands in for Vivado: it ends well, fails, hangs, is interrupted, misses timing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finn_flow.bitstream import Bitstream
from finn_flow.boards import find_board
from finn_flow.vivado import run_project, why_not
from model.errors import UserError
from tests.vivado_samples import STAGES, SUCCESS, fake_vivado, success, timing

BOARD = find_board("ZCU104")
HANG = "echo $$ > pid\nsleep 60 &\necho $! > child\nwait"


class Stages:
    """Progress that counts; `then` is called on every stage."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.done, self.total, self._then = 0, 0, then

    @contextmanager
    def __call__(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        assert description == "Vivado"
        self.total = total
        yield self._advance

    def _advance(self, units: int) -> None:
        self.done += units
        if units:
            self._then()


def message(folder: Path, program: Path, limit_s: float = 60) -> str:
    """What a run that must fail says."""
    with pytest.raises(UserError) as error:
        run_project(folder, program, BOARD, Stages(), limit_s)
    return str(error.value)


def ended(folder: Path) -> bool:
    """Whether the program and the process that it started are gone, within some seconds."""
    for _ in range(500):
        if not any(runs((folder / name).read_text().strip()) for name in ("pid", "child")):
            return True
        time.sleep(0.01)
    return False


def runs(number: str) -> bool:
    """Whether there is a process of that number. One that has ended may wait for its parent to ask (Z)."""
    try:
        return Path("/proc", number, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_run_that_ends_well(tmp_path: Path) -> None:
    stages = Stages()
    program = fake_vivado(tmp_path, success() + 'echo "$@"\npwd')
    result = run_project(tmp_path, program, BOARD, stages)
    assert result == Bitstream(
        status="built",
        clock_mhz=200.0,
        tool="Vivado 2023.1",
        utilisation={
            "LUT": {"used": 90001, "offered": 230400},
            "FF": {"used": 120002, "offered": 460800},
            "BRAM18": {"used": 202, "offered": 624},
            "URAM": {"used": 4, "offered": 96},
            "DSP": {"used": 573, "offered": 1728},
        },
        timing={"wns_ns": 0.312, "fmax_mhz": 213.311},
    )
    assert result.summary == "finn-accel.bit for 200 MHz, of at most 213.3 MHz"
    assert (stages.done, stages.total) == (4, 4)
    *_, arguments, folder = (tmp_path / "vivado.log").read_text().splitlines()
    assert arguments == "-mode batch -nojournal -nolog -source build.tcl"
    assert folder == str(tmp_path)


def test_the_first_error_of_a_failed_run_is_shown(tmp_path: Path) -> None:
    body = """
echo "# error that build.tcl might raise"
echo "ERROR: [Synth 8-439] module 'mvau' not found [MVAU_0.v:12]"
echo "ERROR: [Common 17-69] Command failed: Synthesis failed" >&2
exit 1"""
    program = fake_vivado(tmp_path, body)
    assert message(tmp_path, program) == (
        f"vivado = '{program}': failed with exit code 1: ERROR: [Synth 8-439] module 'mvau' not found "
        f"[MVAU_0.v:12]; log: {tmp_path / 'vivado.log'}"
    )


@pytest.mark.parametrize(
    ("body", "said"), [("echo hm; echo; exit 3", "hm"), ("exit 3", "it printed nothing")]
)
def test_a_failed_run_without_an_error_shows_its_last_line(tmp_path: Path, body: str, said: str) -> None:
    program = fake_vivado(tmp_path, body)
    expected = f"vivado = '{program}': failed with exit code 3: {said}; log: {tmp_path / 'vivado.log'}"
    assert message(tmp_path, program) == expected


def test_a_run_that_hangs_is_stopped_with_all_its_processes(tmp_path: Path) -> None:
    program = fake_vivado(tmp_path, HANG)
    assert message(tmp_path, program, limit_s=1.8) == (
        f"vivado = '{program}': has not ended after 0.0005 hours and was stopped; "
        f"log: {tmp_path / 'vivado.log'}"
    )
    assert ended(tmp_path)


def test_an_interrupt_stops_it_too(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    program = fake_vivado(tmp_path, f"{HANG.removesuffix('wait')}{STAGES}\nwait")
    with pytest.raises(KeyboardInterrupt):
        run_project(tmp_path, program, BOARD, Stages(interrupt))
    assert ended(tmp_path)


def test_a_run_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finn_flow.long_run.GRACE_S", 0.2)
    program = fake_vivado(tmp_path, f"trap '' TERM\n{HANG.removesuffix('wait')}while :; do sleep 0.05; done")
    assert "was stopped" in message(tmp_path, program, limit_s=1)
    assert ended(tmp_path)


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (
            timing(wns="-0.313"),
            "synth_clk_period_ns = 5.0: timing is missed: WNS -0.313 ns, so at most 188.2 MHz; give 5.313 or "
            "more, or fold for fewer frames a second; reports: {folder}",
        ),
        (
            timing(whs="-0.020"),
            "vivado = '{folder}/vivado': left paths that are too short or pulses too narrow: -0.020 ns; "
            "log: {folder}/vivado.log",
        ),
        (
            timing(wns="NA"),
            "vivado = '{folder}/vivado': wrote what cannot be read: no path has a constraint in the timing "
            "report; log: {folder}/vivado.log",
        ),
    ],
)
def test_timing_that_is_missed(tmp_path: Path, summary: str, expected: str) -> None:
    program = fake_vivado(tmp_path, success(timing_summary=summary))
    assert message(tmp_path, program) == expected.format(folder=tmp_path)


def test_outputs_that_are_not_there(tmp_path: Path) -> None:
    program = fake_vivado(tmp_path, SUCCESS.replace("finn-accel.hwh", "other.hwh"))
    assert message(tmp_path, program) == (
        f"vivado = '{program}': ended well but did not write finn-accel.hwh, utilization.rpt, timing.rpt; "
        f"log: {tmp_path / 'vivado.log'}"
    )


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("Vivado v2022.2 (64-bit)", None),
        ("vivado v2025.1.1 (64-bit)", None),
        ("Vivado v2022.1_AR71 (64-bit)", "the vivado on the PATH is 2022.1 (Vivado 2022.2 or later)"),
        ("Vivado v2019.2 (64-bit)", "the vivado on the PATH is 2019.2 (Vivado 2022.2 or later)"),
    ],
)
def test_version(tmp_path: Path, version: str, reason: str | None) -> None:
    assert why_not(fake_vivado(tmp_path, "", version)) == reason


def test_a_broken_installation_is_an_error(tmp_path: Path) -> None:
    program = fake_vivado(tmp_path, "", "libtinfo.so.5: cannot open shared object file")
    with pytest.raises(UserError) as error:
        why_not(program)
    assert str(error.value) == (
        f"vivado = '{program}': `-version` says no version but: libtinfo.so.5: cannot open shared object "
        "file; mend it or take it off PATH"
    )
    os.chmod(program, 0o644)
    with pytest.raises(UserError, match="Permission denied"):
        why_not(program)
