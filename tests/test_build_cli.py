"""`build.py` as a user meets it: exit codes, one line per failure, signals, two builds at once."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finn_flow.artifacts import build_folder
from finn_flow.step import Step
from model.errors import UserError
from tests import toy_build
from tests.toy_build import NAMES, RUNS, write_config
from verification.errors import VerificationError

ROOT = Path(__file__).parents[1]

# The command with the toy steps, of which `fold` does what BODY says once it has written half of its output.
SCRIPT = """
import dataclasses, sys, time
from pathlib import Path
from tests import toy_build

def fold(ctx, out):
    (out / "folding.txt").write_text("half")
    BODY

steps = [dataclasses.replace(s, run=fold) if s.name == "fold" else s for s in toy_build.STEPS]
toy_build.STEPS = steps if BODY_IS_GIVEN else toy_build.STEPS
sys.modules["finn_flow.steps"] = toy_build
import build
sys.exit(build.main())
"""
WAIT = 'print("waiting", flush=True); time.sleep(60)'


def command(body: str, *arguments: object) -> list[str]:
    script = SCRIPT.replace("BODY_IS_GIVEN", str(bool(body))).replace("BODY", body or "pass")
    return [sys.executable, "-c", script, *map(str, arguments)]


def run_command(body: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(body, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def waiting_build(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A build that waits in the middle of `fold`."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command(WAIT, *arguments),
        cwd=ROOT,
        stdout=pipe,
        stderr=pipe,
        text=True,
        # A suite started in the background ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        try:
            while process.stdout.readline() not in ("waiting\n", ""):
                pass
            yield process
        finally:
            process.kill()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, output_dir=str(tmp_path / "out"))


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`build.main` on the toy steps; `PyPI` has a package called build too."""
    spec = importlib.util.spec_from_file_location("build_cli", ROOT / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "finn_flow.steps", toy_build)
    RUNS.clear()
    return lambda *arguments: int(module.main([str(argument) for argument in arguments]))


@pytest.fixture
def fold(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes the step `fold` raise."""

    def replace(error: BaseException) -> None:
        def run(*_: Any) -> None:
            raise error

        steps = [Step("export", toy_build.export, (), config=("network",), files=("checkpoint",))]
        monkeypatch.setattr(
            toy_build, "STEPS", [*steps, Step("fold", run, ("folding.txt",), reads=("export",))]
        )

    return replace


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


# --- what runs ---


def test_builds_all_steps(main: Callable[..., int], config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("--config", config) == 0
    assert RUNS == NAMES
    out = config.parent / "out"
    assert folders(out) == [".lock", *sorted(NAMES)]
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "Running step: export [1/4]"
    assert captured.out.splitlines()[-1] == f"Outputs are in {out}"
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--from", "verify"], ["verify", "report"]),
        (["--force"], NAMES),
        (["--force", "--to", "fold"], ["export", "fold"]),
        (["--from", "fold", "--to", "fold"], ["fold"]),
        (["--list"], []),
    ],
)
def test_options_choose_the_steps(
    main: Callable[..., int], config: Path, arguments: list[str], expected: list[str]
) -> None:
    main("--config", config)
    RUNS.clear()
    assert main("--config", config, *arguments) == 0
    assert expected == RUNS


def test_output_dir_replaces_the_configurations(
    main: Callable[..., int], config: Path, tmp_path: Path
) -> None:
    assert main("--config", config, "--output-dir", tmp_path / "else", "--to", "export") == 0
    assert folders(tmp_path / "else") == [".lock", "export"]
    assert not (tmp_path / "out").exists()


def test_images_reach_the_steps(main: Callable[..., int], config: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.png").touch()
    assert main("--config", config, "--images", tmp_path / "faces") == 0
    assert (tmp_path / "out" / "report" / "index.html").read_text() == "['a.png']"


def test_list_shows_state_outputs_and_reason(
    main: Callable[..., int], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main("--config", config, "--to", "fold")
    write_config(config.parent, output_dir=str(config.parent / "out"), target_fps=20)
    capsys.readouterr()
    assert main("--config", config, "--list") == 0
    assert re.sub(r"\d\.\d s", "0.0 s", capsys.readouterr().out).splitlines() == [
        "export  done        0.0 s  net.txt",
        "fold    stale       0.0 s  folding.txt  (target_fps changed)",
        "verify  missing            verified.txt",
        "report  missing            index.html",
    ]


def test_list_writes_nothing(main: Callable[..., int], config: Path) -> None:
    assert main("--config", config, "--list") == 0
    assert not (config.parent / "out").exists()


def test_help_needs_nothing_installed() -> None:
    arguments = [sys.executable, "-S", "-I", str(ROOT / "build.py"), "--help"]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    for option in ("--config", "--output-dir", "--images", "--from", "--to", "--force", "--list", "--debug"):
        assert option in result.stdout


# --- what fails ---

KEPT = "finished steps are kept"
FAILURES: dict[str, tuple[BaseException, str, int]] = {
    "bad input": (
        UserError("target_fps", 9, "more than fits; at most 7"),
        "target_fps = 9: more than fits; at most 7",
        2,
    ),
    "verification": (VerificationError("MVAU_3: differs\nat 0"), "MVAU_3: differs at 0", 2),
    "Ctrl-C": (
        KeyboardInterrupt(),
        f"interrupted in step fold; {KEPT}, the next run goes on from there",
        130,
    ),
    "full disk": (
        OSError(28, "No space left on device"),
        f"No space left on device in step fold; make room and run again, {KEPT}",
        2,
    ),
    "full disk by a library": (
        RuntimeError("io: No space left on device (os error 28)"),
        f"No space left on device in step fold; make room and run again, {KEPT}",
        2,
    ),
    "unreadable file": (
        PermissionError(13, "Permission denied", "a.png"),
        "a.png: Permission denied in step fold",
        2,
    ),
    "tool that is not installed": (
        ModuleNotFoundError("No module named 'brevitas'", name="brevitas"),
        "No module named 'brevitas'; install the requirements and run with that Python (README)",
        2,
    ),
    "bug": (KeyError("x"), "KeyError: 'x' in step fold; this is a bug: --debug shows where", 1),
    "bug in an import": (
        ModuleNotFoundError("No module named 'model.zzz'", name="model.zzz"),
        "ModuleNotFoundError: No module named 'model.zzz' in step fold; this is a bug: --debug shows where",
        1,
    ),
    "file that should be there": (
        FileNotFoundError(2, "Not there", "x"),
        "FileNotFoundError: [Errno 2] Not there: 'x' in step fold; this is a bug: --debug shows where",
        1,
    ),
}


@pytest.mark.parametrize(("error", "message", "code"), FAILURES.values(), ids=FAILURES)
def test_failure_is_one_line_and_keeps_the_finished_steps(
    main: Callable[..., int],
    fold: Callable[[BaseException], None],
    config: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    message: str,
    code: int,
) -> None:
    fold(error)
    assert main("--config", config) == code
    assert capsys.readouterr().err == f"error: {message}\n"
    assert folders(config.parent / "out") == [".lock", "export"]


def test_debug_adds_the_traceback(
    main: Callable[..., int],
    fold: Callable[[BaseException], None],
    config: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fold(KeyError("x"))
    assert main("--config", config, "--debug") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "error: KeyError: 'x' in step fold; this is a bug: --debug shows where"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "zzz"], "--from = 'zzz': unknown step; steps: export, fold, verify, report"),
        (["--to", "zzz"], "--to = 'zzz': unknown step; steps: export, fold, verify, report"),
        (
            ["--from", "fold", "--to", "export"],
            "--from = 'fold': comes after --to export; give an earlier step",
        ),
        (["--images", "none"], "--images = 'none': no such folder; give one that holds images"),
        (
            ["--output-dir", "/dev/null"],
            "output_dir = '/dev/null': cannot be written: File exists; choose another --output-dir",
        ),
        (["--config", "none.json"], "--config = 'none.json': no such file; examples are in hw_configs/"),
    ],
)
def test_bad_argument_is_one_line(
    main: Callable[..., int],
    config: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main("--config", config, *arguments) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_bad_value_in_the_configuration_is_one_line(
    main: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("--config", write_config(tmp_path, headroom=2)) == 2
    assert capsys.readouterr() == ("", "error: headroom = 2: must be less than or equal to 1\n")


@pytest.mark.parametrize("arguments", [[], ["--from", "fold", "--force"], ["--zzz"]])
def test_arguments_that_do_not_parse(main: Callable[..., int], config: Path, arguments: list[str]) -> None:
    given = ["--config", config, *arguments] if arguments else []
    with pytest.raises(SystemExit) as error:
        main(*given)
    assert error.value.code == 2


# --- processes ---


def test_ctrl_c_in_mid_step(config: Path) -> None:
    with waiting_build("--config", config) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == f"error: interrupted in step fold; {KEPT}, the next run goes on from there\n"
    assert folders(config.parent / "out") == [".lock", "export"]


def test_next_build_goes_on_after_a_kill(config: Path) -> None:
    with waiting_build("--config", config) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    assert folders(config.parent / "out") == [".fold.part", ".lock", "export"]
    result = run_command("", "--config", config)
    assert result.returncode == 0
    assert result.stdout.splitlines()[0] == "Skipping step: export [1/4], nothing changed"
    assert folders(config.parent / "out") == [".lock", *sorted(NAMES)]
    assert (config.parent / "out" / "fold" / "folding.txt").read_text() != "half"


def test_second_build_in_the_same_folder(
    main: Callable[..., int], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = config.parent / "out"
    with waiting_build("--config", config):
        assert main("--config", config) == 2
        assert folders(out) == [".fold.part", ".lock", "export"]
    assert capsys.readouterr().err == (
        f"error: output_dir = {str(out)!r}: another build is running in this folder; wait for it or choose "
        "another --output-dir\n"
    )
    with build_folder(out):
        pass  # the lock went with the process


def test_disk_that_takes_no_more(config: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
    result = run_command(f'{limit}(out / "folding.txt").write_text("x" * 10000)', "--config", config)
    assert result.returncode == 2
    assert result.stderr == f"error: File too large in step fold; make room and run again, {KEPT}\n"
    assert folders(config.parent / "out") == [".lock", "export"]
