"""Writes that are whole or not there, hashes, the lock, stamps and what a build prints."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from finn_flow import artifacts
from finn_flow.artifacts import (
    build_folder,
    clean_up,
    code_hash,
    file_hash,
    find_program,
    folder_hashes,
    read_json,
    tool_versions,
    whole_folder,
    write_json,
)
from finn_flow.config import Resources
from finn_flow.console import Console
from finn_flow.stamp import Stamp, plain, read_stamp
from model.errors import UserError

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc" (FIPS 180-2)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def write_whole(final: Path, text: str, error: type[BaseException] | None = None) -> None:
    with whole_folder(final) as out:
        (out / "file").write_text(text)
        if error:
            raise error


def test_file_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_hash(tmp_path / "file") == ABC


def test_folder_hashes_go_down_and_leave_out(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("below/file", "left_out"):
        (tmp_path / name).write_bytes(b"abc")
    assert folder_hashes(tmp_path, frozenset({"left_out"})) == {"below/file": ABC}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("finn_flow/new.py", True),
        ("verification/a/new.sv", True),
        ("model/checkpoints/new.safetensors", False),
        ("finn_flow/__pycache__/new.pyc", False),
        ("finn_flow/.new.py.swp", False),
        ("tests/new.py", False),
    ],
)
def test_code_hash_is_of_the_three_packages_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, counts: bool
) -> None:
    monkeypatch.setattr(artifacts, "ROOT", tmp_path)
    before = code_hash.__wrapped__()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("x = 1")
    assert (code_hash.__wrapped__() != before) == counts


def test_tool_versions_name_what_computes() -> None:
    assert tool_versions()["qonnx"] == "1.0.0"
    assert set(tool_versions()) == set(artifacts.TOOLS)


def test_write_json_replaces_the_file(tmp_path: Path) -> None:
    for value in ({"a": 1}, {"a": 2}):
        write_json(tmp_path / "file", value)
    assert contents(tmp_path) == {"file": '{\n  "a": 2\n}\n'}


def test_write_json_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "file", 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "file", 2)
    assert contents(tmp_path) == {"file": "1\n"}


@pytest.mark.parametrize("content", [None, b"", b'{"a": 1', b"\xff"])
def test_read_json_of_no_or_a_damaged_file_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    assert read_json(tmp_path / "file") is None


def test_whole_folder_replaces_the_old_one(tmp_path: Path) -> None:
    write_whole(tmp_path / "step", "old")
    write_whole(tmp_path / "step", "new")
    assert contents(tmp_path) == {"step/file": "new"}


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whole_folder_that_fails_leaves_what_was_there(
    tmp_path: Path, old: str | None, error: type[BaseException]
) -> None:
    if old:
        write_whole(tmp_path / "step", old)
    before = contents(tmp_path)
    with pytest.raises(error):
        write_whole(tmp_path / "step", "half", error)
    assert contents(tmp_path) == before
    assert list(tmp_path.glob(".*")) == []


def test_whole_folder_that_fails_between_its_renames_restores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "step", "old")
    rename = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if self.name == ".step.part":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "step", "new")
    assert contents(tmp_path) == {"step/file": "old"}


def test_clean_up_restores_after_a_kill_between_the_renames(tmp_path: Path) -> None:
    for name in (".step.old", ".step.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    clean_up(tmp_path / "step")
    assert contents(tmp_path) == {"step/file": ".step.old"}


def test_build_folder_is_made_and_let_go(tmp_path: Path) -> None:
    for _ in range(2):
        with build_folder(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()


def test_build_folder_holds_off_another_build(tmp_path: Path) -> None:
    with build_folder(tmp_path), pytest.raises(UserError) as error, build_folder(tmp_path):
        pass
    assert str(error.value) == (
        f"output_dir = {str(tmp_path)!r}: another build is running in this folder; wait for it or choose "
        "another --output-dir"
    )


@pytest.mark.parametrize(("below", "reason"), [("", "File exists"), ("below", "Not a directory")])
def test_build_folder_that_cannot_be_made(tmp_path: Path, below: str, reason: str) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    with pytest.raises(UserError) as error, build_folder(folder):
        pass
    assert str(error.value) == (
        f"output_dir = {str(folder)!r}: cannot be written: {reason}; choose another --output-dir"
    )


STAMP = Stamp(inputs={"a": 1, "b": [2]}, outputs={"file": ABC}, result={"fps": 3}, seconds=0.5)


def test_stamp_comes_back_as_it_was(tmp_path: Path) -> None:
    STAMP.write(tmp_path)
    assert read_stamp(tmp_path) == STAMP


@pytest.mark.parametrize("text", ["[]", "{}", "3", "null", '{"inputs": {}, "zzz": 1}', "{"])
def test_damaged_stamp_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "stamp.json").write_text(text)
    assert read_stamp(tmp_path) is None


def test_stamp_names_the_inputs_that_changed() -> None:
    assert STAMP.changes({"a": 1, "b": [2]}) == []
    assert STAMP.changes({"a": 2, "c": 3}) == ["a", "b", "c"]


def test_stamp_notices_changed_added_and_lost_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    STAMP.write(tmp_path)
    assert STAMP.is_intact(tmp_path)
    (tmp_path / "more").touch()
    assert not STAMP.is_intact(tmp_path)
    (tmp_path / "more").rename(tmp_path / "file")
    assert not STAMP.is_intact(tmp_path)


def test_digest_is_of_outputs_and_result_only() -> None:
    other = Stamp(inputs={}, outputs={"file": ABC}, result={"fps": 3}, seconds=9.0)
    assert other.digest == STAMP.digest
    assert Stamp({}, {"file": ABC}, {"fps": 4}, 0.5).digest != STAMP.digest
    assert Stamp({}, {"file": "0"}, {"fps": 3}, 0.5).digest != STAMP.digest


@dataclass
class Pair:
    first: int
    second: tuple[int, ...]


def test_plain_turns_models_and_data_classes_into_json() -> None:
    resources = Resources(lut=1, ff=2, bram18=3, uram=4, dsp=5)
    assert plain({"p": Pair(1, (2, 3)), "r": resources}) == {
        "p": {"first": 1, "second": [2, 3]},
        "r": {"lut": 1, "ff": 2, "bram18": 3, "uram": 4, "dsp": 5},
    }


def test_plain_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(TypeError) as error:
        plain({"a": np.int64(3)})
    assert str(error.value) == "int64 cannot be stored in a stamp; give numbers, strings, lists or objects"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_printed_as_they_are() -> None:
    stream = io.StringIO()
    line = "Running step: export [1/7] [bold]" + 200 * "x"
    Console(stream).say(line)
    assert stream.getvalue() == line + "\n"


def test_progress_is_one_line_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Console(stream).progress("Frames", 3) as advance:
        for _ in range(3):
            advance(1)
    assert stream.getvalue() == "  Frames: 3/3\n"


def test_progress_shows_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finn_flow.console.LINE_EVERY_S", 0.0)
    stream = io.StringIO()
    with Console(stream).progress("Frames", 3) as advance:
        advance(2)
        advance(1)
    assert stream.getvalue() == "  Frames: 2/3\n  Frames: 3/3\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Console(stream).progress("Frames", 3) as advance:
        advance(3)
    assert "━" in stream.getvalue()
    assert "3/3" in stream.getvalue()


def test_progress_of_a_step_that_fails_does_not_claim_its_end() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no"), Console(stream).progress("Frames", 3):
        raise ValueError("no")
    assert stream.getvalue() == ""


def test_a_program_is_found_by_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PATH may have relative folders, and steps run programs in folders of their own."""
    program = tmp_path / "bin" / "vitis-run"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "bin")
    assert find_program("vitis_hls", "vitis-run") == program
    assert find_program("vivado") is None
