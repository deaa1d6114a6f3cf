"""Where the headers of C++ simulation come from, and the line that says what is missing."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from verification.cppsim import headers
from verification.errors import VerificationError


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A local git repository with two commits, and the first of them; FINN_HLSLIB unset, an empty cache."""
    monkeypatch.delenv(headers.VARIABLE, raising=False)
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "repository"

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e", "-c", "uploadpack.allowAnySHA1InWant=true")
        command = ["git", "-C", str(folder), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    folder.mkdir()
    git("init", "--quiet")
    git("config", "uploadpack.allowAnySHA1InWant", "true")  # as GitHub has it
    for text in ("pinned", "later"):
        (folder / headers.PROOF).write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", text)
    return str(folder), git("rev-parse", "HEAD~1")


def test_the_pinned_commit_is_fetched_once_without_history(repository: tuple[str, str]) -> None:
    folder = headers.finn_hlslib(*repository)
    assert (folder / headers.PROOF).read_text() == "pinned"
    assert folder.parent == headers.cache_folder()
    count = ["git", "-C", str(folder), "rev-list", "--count", "HEAD"]
    assert subprocess.run(count, capture_output=True, text=True, check=True).stdout == "1\n"
    assert headers.finn_hlslib("no such repository", repository[1]) == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_without_folder_and_network_one_line_says_both(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setattr(headers, "_failure", lambda command: "could not read" if "fetch" in command else "")
    with pytest.raises(VerificationError) as error:
        headers.finn_hlslib(nowhere, "1234567890abcdef")
    assert str(error.value) == (
        f"finn-hlslib: git fetch of {nowhere} 1234567890ab failed (could not read); "
        "set FINN_HLSLIB to a checkout of it"
    )
    assert list(headers.cache_folder().iterdir()) == []


def test_gits_last_line_is_the_reason(repository: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"\(.*repository.*\); set FINN_HLSLIB"):
        headers.finn_hlslib(str(tmp_path / "nowhere"), repository[1])


def test_the_variable_comes_first_and_must_name_finn_hlslib(
    repository: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(headers.VARIABLE, repository[0])
    assert headers.finn_hlslib("no such repository", "0") == Path(repository[0])
    monkeypatch.setenv(headers.VARIABLE, str(tmp_path))
    with pytest.raises(VerificationError) as error:
        headers.finn_hlslib()
    assert str(error.value) == (
        f"FINN_HLSLIB={tmp_path}: no bnn-library.h in it; "
        "set FINN_HLSLIB to a checkout of https://github.com/Xilinx/finn-hlslib.git"
    )


def test_the_pin_is_finn_plus_own() -> None:
    spec = importlib.util.find_spec("finn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    pins = Path(spec.submodule_search_locations[0], "interface", "external_dependencies.yaml").read_text()
    assert headers.COMMIT in pins


def test_hls4ml_is_found_without_importing_it_and_missed_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (headers.ap_types() / "ap_int.h").is_file()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VerificationError) as error:
        headers.ap_types()
    rule = "`pip install --no-deps hls4ml==1.3.0` or `make env`"
    assert str(error.value) == f"hls4ml is not installed; {rule}"


def test_hls4ml_is_the_version_that_is_pinned() -> None:
    pins = (Path(__file__).parents[1] / "requirements-nodeps.txt").read_text()
    assert f"\n{headers.HLS4ML} " in pins
