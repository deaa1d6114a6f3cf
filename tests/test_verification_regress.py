"""The regression: what is the same, what differs, what is missing, and that it builds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from verification import regress

RIGHT: dict[str, Any] = {
    "frames": 3,
    "accumulators_sha256": "ab12",
    "interval_cycles": 9216,
    "latency_cycles": 12_000,
    "fifo_depths": {"StreamingFIFO_0": 2, "StreamingFIFO_1": 32, "StreamingFIFO_2": 64},
}


@pytest.fixture(autouse=True)
def baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the baseline of `toy`."""
    folder = tmp_path / "baselines"
    folder.mkdir()
    (folder / "toy.json").write_text(json.dumps(RIGHT))
    monkeypatch.setattr(regress, "BASELINES", folder)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "toy.json"
    path.write_text("{}")
    return path


def finished(folder: Path, **changes: Any) -> Path:
    """A build whose results are those of the baseline but for `changes`."""
    results = {**RIGHT, **changes}
    depths = results.pop("fifo_depths")
    for step, file, value in (
        ("rtlsim", "rtlsim.json", {**results, "elements": 7}),
        ("fifos", "fifo_sizing.json", {"fifo_depths": depths, "fifo_sizes": {}}),
    ):
        (folder / step).mkdir(parents=True)
        (folder / step / file).write_text(json.dumps(value))
    return folder


def run(*arguments: object) -> int:
    return regress.main([str(argument) for argument in arguments])


def test_the_same(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", config, "--build", finished(tmp_path / "build")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "frames: same",
        "accumulators_sha256: same",
        "interval_cycles: same",
        "latency_cycles: same",
        "fifo_depths: same",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"accumulators_sha256": "ab13"}, "accumulators_sha256: differs: expected ab12, got ab13"),
        ({"interval_cycles": 9217}, "interval_cycles: differs: expected 9216, got 9217"),
        ({"latency_cycles": 11_999}, "latency_cycles: differs: expected 12000, got 11999"),
        ({"frames": 4}, "frames: differs: expected 3, got 4"),
        (
            {"fifo_depths": {"StreamingFIFO_0": 2, "StreamingFIFO_1": 33, "StreamingFIFO_3": 2}},
            "fifo_depths: differs in 3 of 4, StreamingFIFO_1: expected 32, got 33",
        ),
        (
            {"fifo_depths": {**RIGHT["fifo_depths"], "StreamingFIFO_3": 2}},
            "fifo_depths: differs in 1 of 4, StreamingFIFO_3: expected None, got 2",
        ),
    ],
)
def test_a_difference(
    config: Path, tmp_path: Path, changes: Any, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--config", config, "--build", finished(tmp_path / "build", **changes)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert line in lines
    assert sum(text.endswith(": same") for text in lines) == 4


def test_no_baseline_says_how_to_make_it(
    tmp_path: Path, baselines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.json").write_text("{}")
    build = finished(tmp_path / "build", latency_cycles=5)
    arguments = ("--config", tmp_path / "new.json", "--build", build)
    assert run(*arguments) == 2
    assert capsys.readouterr().err == (
        "error: new has no baseline (there are: toy); make it with --update once it is right\n"
    )
    assert run(*arguments, "--update") == 0
    assert capsys.readouterr().out == f"Written to {baselines / 'new.json'}\n"
    assert json.loads((baselines / "new.json").read_text()) == {**RIGHT, "latency_cycles": 5}
    assert run(*arguments) == 0


def test_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", tmp_path / "absent.json") == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'absent.json'}: no such configuration\n"


def test_an_unfinished_build(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--config", config, "--build", tmp_path / "none") == 2
    assert re.fullmatch(
        r"error: \S+/none: no build up to rtlsim \(FileNotFoundError: .*\); run build\.py first\n",
        capsys.readouterr().err,
    )


BUILD = """
import sys
print(sys.argv[1:])
print("Outputs are in {}")
sys.exit({})
"""


@pytest.mark.parametrize("code", [0, 2])
def test_it_builds_up_to_rtlsim(
    config: Path,
    tmp_path: Path,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "build.py").write_text(BUILD.format(finished(tmp_path / "out"), code))
    monkeypatch.setattr(regress, "ROOT", tmp_path)
    assert run("--config", config) == code
    captured = capfd.readouterr()
    assert captured.out.splitlines()[0] == f"['--config', '{config}', '--to', 'rtlsim']"
    if code:
        assert captured.err == f"error: the build of {config} failed with exit code 2\n"
    else:
        assert captured.out.splitlines()[-1] == "fifo_depths: same"


def test_the_committed_baselines_are_of_shipped_configurations() -> None:
    root = Path(regress.__file__).parents[1]
    found = sorted((root / "verification" / "baselines").glob("*.json"))
    assert "tiny.json" in {path.name for path in found}
    for path in found:
        assert (root / "hw_configs" / path.name).is_file()
        assert list(json.loads(path.read_text())) == [*regress.NUMBERS, regress.DEPTHS]
