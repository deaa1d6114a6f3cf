"""The command line on a fake device: what it prints, its exit codes, its one-line errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pynq
import pytest
from PIL import Image

from driver import Gallery
from driver.command import main
from tests.driver.deployments import EMBEDDING, SIZE, write_manifest
from tests.driver.fake_device import FakeDevice, accumulators

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(deploy: Path, device: FakeDevice, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command on the fake device: exit code, standard output, standard error."""
    pynq.Device.active_device = device

    def call(command: str, *arguments: str | Path) -> tuple[int, str, str]:
        code = main([command, "--deploy", str(deploy), *map(str, arguments)])
        out, error = capsys.readouterr()
        assert device.buffers == {}
        return code, out, error

    yield call
    del pynq.Device._active_device


def faces(folder: Path, count: int, size: int = SIZE) -> list[Path]:
    """PNG files of noise."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    paths = [folder / f"face{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(path)
    return paths


def write_expected(path: Path, images: list[Path]) -> np.ndarray:
    pixels = np.stack([np.asarray(Image.open(image)) for image in images]).astype(np.int16) - 128
    integers = accumulators(pixels.astype(np.int8), EMBEDDING)
    np.savez(path, names=np.array([image.name for image in images]), accumulators=integers)
    return integers


def test_info_says_what_is_in_the_folder(run: Run) -> None:
    code, out, _ = run("info")
    assert code == 0
    assert out.splitlines() == [
        "name       toy",
        "board      Pynq-Z2",
        "bitfile    finn-accel.bit",
        "clock      100 MHz",
        "input      (8, 8, 3) INT8, 32 bits a beat",
        "output     (16,) INT20, as int32",
        "simulated  1000 fps, latency 0.01 ms",
        "thresholds 0.500 (accuracy)",
        "files      3, all as they were packaged",
    ]


def test_a_face_is_the_same_as_itself(run: Run, tmp_path: Path) -> None:
    (face,) = faces(tmp_path, 1)
    assert run("verify", face, face) == (0, "same: cosine 1.0000, threshold 0.5000\n", "")


def test_two_faces_are_different(run: Run, tmp_path: Path) -> None:
    first, second = faces(tmp_path, 2)
    code, out, _ = run("verify", first, second, "--threshold", "0.99")
    assert code == 1
    assert re.fullmatch(r"different: cosine -?0\.\d{4}, threshold 0\.9900\n", out)


def test_enrol_then_identify(run: Run, tmp_path: Path) -> None:
    one, two, three = faces(tmp_path, 3)
    gallery = tmp_path / "people.npz"
    code, out, _ = run("enrol", "ada", one, two, "--gallery", gallery, "--threshold", "0.999999")
    assert (code, out) == (0, "ada: 2 enrolled; 2 faces of 1 people\n")
    code, out, _ = run("enrol", "ben", three, "--gallery", gallery)
    assert (code, out) == (0, "ben: 1 enrolled; 3 faces of 2 people\n")
    assert Gallery.load(gallery).threshold == 0.999999
    code, out, _ = run("identify", three, one, "--gallery", gallery)
    assert (code, out) == (0, f"{three}: ben, cosine 1.0000\n{one}: ada, cosine 1.0000\n")


def test_a_stranger_is_unknown(run: Run, tmp_path: Path) -> None:
    (face,) = faces(tmp_path, 1)
    stranger = Gallery(0.9)
    stranger.enrol("ada", np.ones(EMBEDDING))
    stranger.save(tmp_path / "people.npz")
    code, out, _ = run("identify", face, "--gallery", tmp_path / "people.npz")
    assert code == 1
    assert out.startswith(f"{face}: unknown, cosine ")


def test_landmarks_align_a_photograph(run: Run, tmp_path: Path) -> None:
    (photo,) = faces(tmp_path, 1, size=40)
    points = " ".join(f"{10 + x} {10 + y}" for x, y in ((0, 0), (4, 0), (2, 2), (1, 4), (3, 4)))
    (tmp_path / "points.txt").write_text(f"{photo.name} {points}\n")
    code, out, _ = run("verify", photo, photo, "--landmarks", tmp_path / "points.txt")
    assert (code, out) == (0, "same: cosine 1.0000, threshold 0.5000\n")


def test_evaluate_compares_the_samples_by_itself(run: Run, deploy: Path) -> None:
    samples = faces(deploy / "samples", 5)
    write_expected(deploy / "samples" / "expected.npz", samples)
    code, out, _ = run("evaluate")
    assert (code, out) == (0, f"80 integers equal to {deploy}/samples/expected.npz\n")


def test_evaluate_names_the_first_wrong_integer(run: Run, deploy: Path) -> None:
    samples = faces(deploy / "samples", 5)
    path = deploy / "samples" / "expected.npz"
    integers = write_expected(path, samples)
    integers[3, 9] += 1
    np.savez(path, names=np.array([image.name for image in samples]), accumulators=integers)
    code, out, error = run("evaluate", "--batch-size", "2")
    assert (code, out) == (2, "")
    values = f"{integers[3, 9] - 1} instead of {integers[3, 9]}"
    message = f"face3.png (frame 3): accumulator 9 is {values}; 1 of 80 differ, in 1 of 5 frames"
    assert error == f"error: {message}\n"


@pytest.mark.parametrize("flip", [False, True])
def test_evaluate_follows_lfws_protocol(run: Run, tmp_path: Path, flip: bool) -> None:
    rng = np.random.default_rng(0)
    for name in ("Ada", "Ben"):
        (tmp_path / "lfw" / name).mkdir(parents=True)
        face = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        for number in (1, 2):  # two images of a person are the same picture
            Image.fromarray(face).save(tmp_path / "lfw" / name / f"{name}_{number:04d}.jpg", quality=95)
    pairs = "Ada 1 2\nAda 1 Ben 1\nBen 1 2\nBen 2 Ada 1\n"
    (tmp_path / "pairs.txt").write_text(f"2 1\n{pairs}")
    options = ["--images", tmp_path / "lfw", "--pairs", tmp_path / "pairs.txt"] + ["--flip"] * flip
    code, out, _ = run("evaluate", *options)
    assert code == 0
    first, second = out.splitlines()
    assert first == f"[pairs]Accuracy{'-Flip' if flip else ''}: 1.00000+-0.00000"
    assert re.fullmatch(r"best threshold: cosine 0\.\d{4}, 4 pairs", second)


def test_throughput_prints_finns_keys(run: Run) -> None:
    code, out, _ = run("throughput", "--batch-size", "3")
    assert code == 0
    assert json.loads(out)["batch_size"] == 3


def test_a_threshold_that_was_not_measured_must_be_given(run: Run, deploy: Path, tmp_path: Path) -> None:
    (face,) = faces(tmp_path, 1)
    write_manifest(deploy, thresholds={})
    message = "error: threshold = None: was not measured for this network; give --threshold\n"
    assert run("verify", face, face) == (2, "", message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "x.png", "x.png"), "image = 'x.png': no such file"),
        (("identify", "x.png", "--gallery", "g.npz"), "gallery = 'g.npz': no such file"),
        (
            ("evaluate", "--images", "/nowhere"),
            "expected = None: give --expected or --pairs for these images",
        ),
        (
            ("evaluate", "--images", "/nowhere", "--expected", "e.npz"),
            "images = '/nowhere': no such folder or zip",
        ),
        (("throughput", "--batch-size", "0"), "batch_size = 0: give a whole number from 1 on"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    assert run(*arguments) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "expected = '{path}': holds no expected integers ('accumulators is not a file in the archive')"),
        ({"accumulators": np.zeros((1, 16))}, "expected = (1, 16): want an int32 row for each name"),
        ({"accumulators": np.zeros((2, 16), "i4")}, "expected = (2, 16): want an int32 row for each name"),
        ({"accumulators": np.zeros((1, 9), "i4")}, "expected = (1, 9): this accelerator makes 16 numbers"),
        ({"accumulators": np.zeros((1, 16), "i4")}, "images = '{images}': lacks a"),
    ],
)
def test_bad_expectations_are_one_line(
    run: Run, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    path, images = tmp_path / "expected.npz", tmp_path / "faces"
    faces(images, 1)
    np.savez(path, names=["a"], **arrays)
    code, _, error = run("evaluate", "--images", images, "--expected", path)
    assert code == 2
    assert error.startswith(f"error: {message.format(path=path, images=images)}")
    assert error.count("\n") == 1


def test_faces_of_another_size_are_not_evaluated(run: Run, deploy: Path) -> None:
    samples = faces(deploy / "samples", 1, size=9)
    np.savez(
        deploy / "samples" / "expected.npz",
        names=np.array([samples[0].name]),
        accumulators=np.zeros((1, EMBEDDING), np.int32),
    )
    message = "error: image = 'face0.png': is 9x9; give aligned faces of 8x8\n"
    assert run("evaluate") == (2, "", message)


def test_it_runs_as_a_module(deploy: Path) -> None:
    command = [sys.executable, "-m", "driver", "info", "--deploy", str(deploy / "nothing")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    message = f"error: {deploy}/nothing: no such file or folder; give the deploy folder of a build\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", message)
