"""The engine: exactly the right steps run again, nothing is half-written, nothing undeclared is read."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finn_flow.artifacts import build_folder
from finn_flow.config import load_config
from finn_flow.console import Console
from finn_flow.pipeline import Pipeline
from finn_flow.step import Step, StepContext
from model.errors import UserError
from tests import toy_build
from tests.toy_build import NAMES, RUNS, STEPS, Workplace


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def built(place: Workplace) -> Workplace:
    assert place.build() == NAMES
    return place


# --- what runs ---


def test_every_step_leaves_a_folder_with_its_outputs(built: Workplace) -> None:
    assert sorted(built.files()) == [
        "export/net.txt",
        "export/stamp.json",
        "fold/folding.txt",
        "fold/stamp.json",
        "report/index.html",
        "report/stamp.json",
        "report/time_per_step.json",
        "verify/stamp.json",
        "verify/verified.txt",
    ]


def test_what_is_printed_first(built: Workplace) -> None:
    assert built.output.getvalue().splitlines() == [
        "Running step: export [1/4]",
        "Running step: fold [2/4]",
        "Running step: verify [3/4]",
        "  Comparing frames: 32/32",
        "Running step: report [4/4]",
        "  fps 10.0",
    ]


def test_what_is_printed_when_one_value_changed(built: Workplace) -> None:
    built.configure(verify={"frames": 64})
    built.build()
    assert built.output.getvalue().splitlines() == [
        "Skipping step: export [1/4], nothing changed",
        "Skipping step: fold [2/4], nothing changed",
        "Running step: verify [3/4]: verify.frames changed",
        "  Comparing frames: 64/64",
        "Running step: report [4/4]: step verify changed",
        "  fps 10.0",
    ]


def discard(_: object) -> None:
    """Makes a function of an expression that is evaluated for its effect."""


def _write(name: str, content: bytes) -> Callable[[Workplace, pytest.MonkeyPatch], None]:
    return lambda place, _: discard((place.root / name).write_bytes(content))


def _configure(**changes: Any) -> Callable[[Workplace, pytest.MonkeyPatch], None]:
    return lambda place, _: place.configure(**changes)


def _patch(name: str, value: object) -> Callable[[Workplace, pytest.MonkeyPatch], None]:
    return lambda _, monkeypatch: monkeypatch.setattr(f"finn_flow.pipeline.{name}", lambda: value)


NETWORK = toy_build.config_object()["network"]
CHANGES: dict[str, tuple[Callable[[Workplace, pytest.MonkeyPatch], None], list[str]]] = {
    "nothing": (_configure(), []),
    "a value that no step reads": (_configure(backend="rtl", output_dir="x", **{"$schema": "s"}), []),
    "a default written out": (_configure(headroom=0.8, verify={"frames": 32}, synth_clk_period_ns=10.0), []),
    "a section": (_configure(network={**NETWORK, "width": 0.5}), NAMES),
    "a section without effect on the output": (_configure(network={**NETWORK, "embedding": 64}), ["export"]),
    "a value": (_configure(target_fps=20), ["fold", "verify", "report"]),
    "a value without effect on the output": (_configure(headroom=0.5), ["fold"]),
    "a derived value": (_configure(synth_clk_period_ns=20), ["fold"]),
    "the board": (_configure(board="Ultra96-V2"), ["fold"]),
    "a value in a section": (_configure(verify={"frames": 64}), ["verify", "report"]),
    "the checkpoint's contents": (_write("toy.safetensors", b"others"), NAMES),
    "an image's contents": (_write("images/a.png", b"other"), ["report"]),
    "another image": (_write("images/b.png", b"face"), ["report"]),
    "our code": (_patch("code_hash", "0"), NAMES),
    "a tool": (_patch("tool_versions", {"torch": "3.0"}), NAMES),
    "an output edited": (_write("build/fold/folding.txt", b"x"), ["fold"]),
    "a file added to the outputs": (_write("build/fold/more", b"x"), ["fold"]),
    "a damaged stamp": (_write("build/export/stamp.json", b"{"), ["export"]),
    "the engine's own report": (_write("build/report/time_per_step.json", b"{}"), []),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_change_runs_exactly_the_steps_it_reaches(
    built: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Workplace, pytest.MonkeyPatch], None],
    expected: list[str],
) -> None:
    change(built, monkeypatch)
    assert built.build() == expected
    assert built.build() == []


def test_folding_file_is_an_input(place: Workplace) -> None:
    folding = place.root / "folding.json"
    folding.write_text("{}")
    place.configure(target_fps=None, folding_config_file="folding.json")
    place.build()
    folding.write_text('{"MVAU_0": {}}')
    assert place.build() == ["fold"]


def test_no_images_is_not_the_same_as_some(built: Workplace) -> None:
    config = load_config(built.root / "toy.json")
    RUNS.clear()
    Pipeline(STEPS, config, built.folder, Console(io.StringIO())).build()
    assert RUNS == ["report"]


def test_a_moved_configuration_keeps_the_build(built: Workplace, tmp_path: Path) -> None:
    built.root = tmp_path / "moved"
    built.root.mkdir()
    built.configure()
    assert built.build() == []


def test_stop_leaves_the_later_steps(place: Workplace) -> None:
    assert place.build(stop="fold") == ["export", "fold"]
    assert place.build() == ["verify", "report"]


def test_start_runs_it_and_those_after_again(built: Workplace) -> None:
    assert built.build(start="verify") == ["verify", "report"]


def test_start_runs_earlier_steps_only_where_they_are_stale(built: Workplace) -> None:
    built.configure(network={**NETWORK, "embedding": 64})
    assert built.build(start="verify") == ["export", "verify", "report"]


def test_start_and_stop_bound_a_range(built: Workplace) -> None:
    assert built.build(start="fold", stop="verify") == ["fold", "verify"]


def test_force_runs_all_up_to_stop(built: Workplace) -> None:
    assert built.build(force=True) == NAMES
    assert built.build(stop="fold", force=True) == ["export", "fold"]


def test_outputs_of_a_forced_run_that_are_the_same_keep_the_rest(built: Workplace) -> None:
    before = built.files()
    built.build(start="export", stop="export")
    assert built.build() == []
    after = built.files()
    assert after["fold/stamp.json"] == before["fold/stamp.json"]


# --- states ---


def test_states_before_the_first_build(place: Workplace) -> None:
    assert place.states() == {name: ("missing", "missing") for name in NAMES}
    assert not place.folder.exists()


def test_states_after_a_build(built: Workplace) -> None:
    assert built.states() == {name: ("done", "") for name in NAMES}
    assert all(state.seconds is not None and state.seconds >= 0 for state in built.pipeline().states())


def test_states_after_a_change_say_why(built: Workplace) -> None:
    built.configure(target_fps=20, synth_clk_period_ns=20)
    assert built.states() == {
        "export": ("done", ""),
        "fold": ("stale", "device, target_fps changed"),
        "verify": ("stale", "fold is stale"),
        "report": ("stale", "fold is stale"),
    }


def test_states_of_a_partial_build(place: Workplace) -> None:
    place.build(stop="export")
    (place.folder / "export" / "net.txt").write_text("x")
    assert place.states()["export"] == ("stale", "its outputs were changed")
    assert place.states()["fold"] == ("missing", "missing")


# --- stamps and times ---


def test_stamp_holds_result_inputs_and_outputs(built: Workplace) -> None:
    stamp = json.loads((built.folder / "fold" / "stamp.json").read_text())
    assert stamp["result"] == {"fps": 10.0}
    assert list(stamp["outputs"]) == ["folding.txt"]
    assert stamp["inputs"]["target_fps"] == 10.0
    assert stamp["inputs"]["device"]["lut"] == 53200
    assert stamp["inputs"]["qonnx"] == "1.0.0"
    assert stamp["inputs"]["folding file"] is None


def test_time_per_step_has_every_step_and_their_sum(built: Workplace) -> None:
    built.build(start="report")  # what was skipped keeps the time it took
    times = json.loads((built.folder / "report" / "time_per_step.json").read_text())
    assert list(times) == [*NAMES, "total_build_time"]
    assert times["total_build_time"] == pytest.approx(sum(times[name] for name in NAMES), abs=1e-3)


def test_no_times_without_a_report(place: Workplace) -> None:
    place.build(stop="verify")
    assert not (place.folder / "report").exists()


# --- interruption ---


def _raise(error: BaseException) -> Callable[[StepContext, Path], None]:
    def run(ctx: StepContext, out: Path) -> None:
        (out / "folding.txt").write_text("half")
        raise error

    return run


def _fill_the_disk(ctx: StepContext, out: Path) -> None:
    (out / "folding.txt").write_text("half")
    Path("/dev/full").write_text("rest")


def with_fold(run: Callable[[StepContext, Path], None], **changes: Any) -> list[Step]:
    """The toy steps with another `fold`."""
    return [replace(step, run=run, **changes) if step.name == "fold" else step for step in STEPS]


FAILURES: dict[str, tuple[Callable[[StepContext, Path], None], type[BaseException]]] = {
    "error": (_raise(ValueError("no")), ValueError),
    "Ctrl-C": (_raise(KeyboardInterrupt()), KeyboardInterrupt),
    "exit": (_raise(SystemExit(3)), SystemExit),
    "full disk": (_fill_the_disk, OSError),
}


@pytest.mark.parametrize(("run", "error"), FAILURES.values(), ids=FAILURES)
def test_failing_first_step_run_leaves_nothing_and_keeps_the_finished(
    place: Workplace, run: Callable[[StepContext, Path], None], error: type[BaseException]
) -> None:
    with pytest.raises(error) as failure:
        place.build(steps=with_fold(run))
    assert failure.value.__notes__ == ["in step fold"]
    assert sorted(place.files()) == ["export/net.txt", "export/stamp.json"]
    assert sorted(path.name for path in place.folder.iterdir()) == [".lock", "export"]
    assert place.build() == ["fold", "verify", "report"]


@pytest.mark.parametrize(("run", "error"), FAILURES.values(), ids=FAILURES)
def test_failing_rerun_keeps_the_former_outputs(
    built: Workplace, run: Callable[[StepContext, Path], None], error: type[BaseException]
) -> None:
    before = built.files()
    with pytest.raises(error):
        built.build(start="fold", steps=with_fold(run))
    assert built.files() == before


def test_full_disk_under_the_stamp_leaves_no_folder(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("finn_flow.stamp.write_json", full)
    with pytest.raises(OSError, match="No space left"):
        place.build()
    assert place.files() == {}


def test_leftovers_of_a_killed_build_are_removed(place: Workplace) -> None:
    place.build(stop="export")
    half = place.folder / ".fold.part"
    half.mkdir()
    (half / "folding.txt").write_text("half")
    place.build()
    assert sorted(path.name for path in place.folder.iterdir()) == [".lock", *sorted(NAMES)]


def test_step_of_a_build_killed_between_its_renames_is_still_done(built: Workplace) -> None:
    (built.folder / "fold").rename(built.folder / ".fold.old")
    assert built.build() == []
    assert built.states()["fold"] == ("done", "")


def test_second_build_in_the_same_folder_is_refused(built: Workplace) -> None:
    with build_folder(built.folder), pytest.raises(UserError, match="another build is running"):
        built.build(force=True)
    assert RUNS == []
    assert built.states()["report"] == ("done", "")


def test_folder_of_another_origin_is_not_replaced(place: Workplace) -> None:
    (place.folder / "report").mkdir(parents=True)
    (place.folder / "report" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError) as error:
        place.build()
    assert str(error.value) == (
        f"output_dir = {str(place.folder)!r}: its report/ was not written by a build; move it or choose "
        "another --output-dir"
    )
    assert place.files() == {"report/thesis.tex": b"mine"}


# --- what is refused ---


@pytest.mark.parametrize(("option", "argument"), [("--from", "start"), ("--to", "stop")])
def test_unknown_step(place: Workplace, option: str, argument: str) -> None:
    with pytest.raises(UserError) as error:
        place.pipeline().build(**{argument: "zzz"})  # type: ignore[arg-type]
    assert str(error.value) == f"{option} = 'zzz': unknown step; steps: export, fold, verify, report"
    assert not place.folder.exists()


def test_start_after_stop(place: Workplace) -> None:
    with pytest.raises(UserError) as error:
        place.build(start="verify", stop="fold")
    assert str(error.value) == "--from = 'verify': comes after --to fold; give an earlier step"


def test_images_that_are_no_folder(place: Workplace) -> None:
    place.images = place.root / "none"
    with pytest.raises(UserError) as error:
        place.pipeline()
    assert str(error.value) == f"--images = {str(place.images)!r}: no such folder; give one that holds images"


def test_checkpoint_is_looked_for_before_anything_runs(place: Workplace) -> None:
    (place.root / "toy.safetensors").unlink()
    with pytest.raises(UserError) as error:
        place.pipeline()
    assert error.value.field == "network.checkpoint"


def test_step_may_only_read_earlier_ones(place: Workplace) -> None:
    with pytest.raises(ValueError, match=r"^step fold reads export, which is no earlier step$"):
        place.pipeline(STEPS[1:])


def test_step_must_write_what_it_declares(place: Workplace) -> None:
    with pytest.raises(RuntimeError) as error:
        place.build(steps=with_fold(lambda ctx, out: None))
    assert str(error.value) == "it did not write folding.txt"
