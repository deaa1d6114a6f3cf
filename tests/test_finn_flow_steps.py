"""The steps of a build on the tiny network, from the configuration to the report."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from qonnx.core.modelwrapper import ModelWrapper

from driver.deploy import open_deployment
from driver.evaluate import read_expected
from finn_flow import expected
from finn_flow.stamp import read_stamp
from finn_flow.steps import STEPS
from model.checkpoint import load_checkpoint
from model.data import example_faces, pixels
from tests.vivado_samples import SEVEN_SERIES, fake_vivado, success
from verification.executor import Executor

ROOT = Path(__file__).parents[1]
TINY = ROOT / "hw_configs" / "tiny.json"


@pytest.fixture(scope="module")
def built(build: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole build of tiny.json."""
    folder = tmp_path_factory.mktemp("tiny")
    assert build.main(["--config", str(TINY), "--output-dir", str(folder), "--debug"]) == 0
    return folder


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A build that a test may change."""
    folder = tmp_path / "build"
    shutil.copytree(built, folder)
    yield folder
    shutil.rmtree(folder)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_every_step_leaves_what_it_declares(built: Path) -> None:
    for step in STEPS:
        for file in step.writes:
            assert (built / step.folder / file).is_file(), (step.name, file)


def test_the_deploy_folder_holds_an_emulated_board(built: Path) -> None:
    folder = built / "deploy" / "emulation"
    settings = read(folder / "emulation.json")
    ii = read(built / "deploy" / "manifest.json")["interval_cycles"]
    assert settings == {
        "build": built.name,
        "board": "Pynq-Z2",
        "bitfile": "accelerator.bit",
        "library": "accelerator.so",
        "quiet_cycles": 2 * ii + 10_000,
        "worker": {
            "command": [sys.executable, "-m", "finn_flow.serve", "--model", "model.onnx"],
            "environment": {"PYTHONPATH": str(ROOT)},
        },
    }
    memories = {path.name for path in (built / "rtl").glob("*.dat")}
    others = {"emulation.json", "accelerator.bit", "accelerator.hwh", "accelerator.so", "model.onnx"}
    assert {path.name for path in folder.iterdir()} == memories | others


def test_every_graph_was_compared_on_every_activation(built: Path) -> None:
    rows = read(built / "verify" / "verification.json")["graphs"]
    assert [row["step"] for row in rows] == ["export", "streamline", "lower", "fold"]
    assert [row["tensors"] for row in rows] == [61, 62, 62, 62]  # the export ends in the embedding
    assert {row["frames"] for row in rows} == {32}
    assert len({row["elements"] - 32 * 16 * (row["tensors"] - 61) for row in rows}) == 1


def test_host_numbers_turn_the_hardware_graph_into_brevitas_embedding(built: Path) -> None:
    network = load_checkpoint(ROOT / "model" / "checkpoints" / "tiny.safetensors").double().eval()
    faces = pixels(example_faces(3, 32))
    io = read(built / "lower" / "io.json")
    assert io["input"] == {
        "name": "pixels",
        "shape": [1, 32, 32, 3],
        "datatype": "INT8",
        "layout": "NHWC",
        "pixel_offset": 128,
    }
    assert io["output"]["shape"] == [1, 1, 1, 16]
    host = np.load(built / "lower" / "io.npz")
    model = ModelWrapper(str(built / "fold" / "model.onnx"))
    accumulators = Executor(model).run(faces.permute(0, 2, 3, 1))["accumulators"].reshape(3, 16)
    embedding = network(faces.double()).detach().numpy()
    got = host["scale"] * accumulators + host["offset"]
    np.testing.assert_allclose(got, embedding, rtol=1e-9, atol=1e-12)


def test_the_report_has_finns_names_and_the_same_numbers_as_the_estimate(built: Path) -> None:
    estimate = read(built / "estimate" / "estimate.json")
    cycles = read(built / "report" / "estimate_layer_cycles.json")
    assert cycles == {name: layer["cycles"] for name, layer in estimate["layers"].items()}
    performance = read(built / "report" / "estimate_network_performance.json")
    assert performance == estimate["performance"]
    assert performance["max_cycles"] == max(cycles.values())
    resources = read(built / "report" / "estimate_layer_resources.json")
    costs = [*estimate["layers"].values(), *estimate["fifos"].values()]
    assert resources["total"]["LUT"] == sum(cost["resources"]["lut"] for cost in costs)
    assert estimate["method"] == "analytic"
    assert estimate["extrapolated"] == []
    assert "total_build_time" in read(built / "report" / "time_per_step.json")
    assert (built / "report" / "index.html").stat().st_size > 50_000


def test_the_accelerator_was_simulated_and_every_stream_compared(built: Path) -> None:
    result = read(built / "rtlsim" / "rtlsim.json")
    depths = read(built / "fifos" / "fifo_sizing.json")["fifo_depths"]
    study = read(built / "fifos" / "fifo_study.json")
    assert result["frames"] == 3
    assert result["streams"] == len(depths) + 1
    assert result["elements"] > 3 * 100_000
    estimated = read(built / "estimate" / "estimate.json")["performance"]["max_cycles"]
    assert abs(result["interval_cycles"] - estimated) <= max(16, estimated // 100)
    assert result["peaks"].keys() == depths.keys()
    assert all(result["peaks"][name] <= depth for name, depth in depths.items())
    assert len(study["bypasses"]) == 12
    for bypass in study["bypasses"]:
        assert bypass["without_deadlock"] <= bypass["at_full_rate"] <= bypass["depth"]
    for name in ("dataflow.v", "accelerator.v"):
        assert (built / "fifos" / name).is_file()


def test_the_deploy_folder_is_what_the_driver_opens(built: Path) -> None:
    deployment = open_deployment(built / "deploy")
    manifest = deployment.manifest
    assert (deployment.board, deployment.bitfile, deployment.clock_mhz) == ("Pynq-Z2", None, 100.0)
    assert (deployment.input.shape, deployment.input.bits) == ((32, 32, 3), 32)
    assert (deployment.output.shape, deployment.output.bits) == ((16,), 32)
    assert deployment.fps == read(built / "rtlsim" / "rtlsim.json")["throughput[images/s]"]
    host = np.load(built / "lower" / "io.npz")
    assert np.array_equal(deployment.scale, host["scale"])
    assert np.array_equal(deployment.offset, host["offset"])
    files = {path.relative_to(built / "deploy").as_posix() for path in (built / "deploy").rglob("*.*")}
    on_a_board = {file for file in files if not file.startswith("emulation/")}
    assert manifest["files"].keys() == on_a_board - {"manifest.json", "stamp.json"}


def test_the_samples_are_the_faces_and_their_integers(built: Path) -> None:
    samples = built / "deploy" / "samples"
    found = read_expected(samples / "expected.npz")
    faces = np.stack([np.asarray(Image.open(samples / name)) for name in found.names])
    assert np.array_equal(faces, example_faces(8, 32))
    graph = Executor(ModelWrapper(str(built / "streamline" / "model.onnx")))
    integers = graph.run(pixels(faces))["accumulators"].reshape(8, 16)
    assert np.array_equal(found.accumulators, integers)


def test_expected_integers_of_other_faces(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ada").mkdir()
    faces = example_faces(3, 32)
    for number, face in enumerate(faces):
        Image.fromarray(face).save(tmp_path / "ada" / f"{number}.png")
    out = tmp_path / "faces.npz"
    arguments = ["--config", str(TINY), "--output-dir", str(built), "--images", str(tmp_path)]
    assert expected.main([*arguments, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: the integers of 3 faces\n"
    found = read_expected(out)
    assert found.names == ["ada/0.png", "ada/1.png", "ada/2.png"]
    samples = read_expected(built / "deploy" / "samples" / "expected.npz")
    assert np.array_equal(found.accumulators, samples.accumulators[:3])
    assert expected.main([*arguments, "--out", str(tmp_path / "faces.txt")]) == 2
    rule = "give a .npz file in a folder that is there"
    assert capsys.readouterr().err == f"error: --out = '{tmp_path}/faces.txt': {rule}\n"
    arguments[3] = str(tmp_path)
    assert expected.main([*arguments, "--out", str(out)]) == 2
    rule = f"no graph in {tmp_path}/fold; run build.py --config {TINY} --to fold first"
    assert capsys.readouterr().err == f"error: --config = '{TINY}': {rule}\n"


def test_depths_from_a_file_are_taken_and_reproduced(
    build: ModuleType, built: Path, copy: Path, tmp_path: Path
) -> None:
    sizing = read(copy / "fifos" / "fifo_sizing.json")
    sizing["fifo_depths"]["StreamingFIFO_3"] = 77
    (tmp_path / "fifos.json").write_text(json.dumps(sizing))
    (tmp_path / "given.json").write_text(json.dumps(read(TINY) | {"fifo_config_file": "fifos.json"}))
    arguments = ["--config", str(tmp_path / "given.json"), "--output-dir", str(copy), "--to", "fifos"]
    assert build.main(arguments) == 0
    assert read(copy / "fifos" / "fifo_sizing.json")["fifo_depths"] == sizing["fifo_depths"]
    assert ".DEPTH(77)" in (copy / "fifos" / "dataflow.v").read_text()


def test_the_report_shows_what_was_simulated(built: Path) -> None:
    run = read(built / "rtlsim" / "rtlsim.json")
    sizing = read(built / "fifos" / "fifo_sizing.json")
    assert read(built / "report" / "fifo_sizing.json") == sizing
    performance = read(built / "report" / "rtlsim_performance.json")
    assert (performance["cycles"], performance["N"]) == (run["cycles"], 3)
    assert performance["latency_cycles"] == run["latency_cycles"] < run["cycles"]
    page = (built / "report" / "index.html").read_text()
    for name in read(built / "fifos" / "fifo_study.json")["bypasses"]:
        assert f'<tr><th scope="row">{name["fifo"]}</th>' in page
    assert f"{run['elements']:,} integers in all" in page
    assert f"{sum(sizing['fifo_sizes'].values()):,}</td></tr></tfoot>" in page


def test_without_vivado_a_project_is_left_to_run_by_hand(built: Path) -> None:
    result = read(built / "bitstream" / "bitstream.json")
    assert result == {
        "status": "skipped",
        "clock_mhz": 100.0,
        "tool": None,
        "reason": "no vivado on the PATH (Vivado 2022.2 or later); to make it by hand, in bitstream/vivado: "
        "vivado -mode batch -source build.tcl",
        "utilisation": None,
        "timing": None,
    }
    project = built / "bitstream" / "vivado"
    assert {path.name for path in project.iterdir()} == {"build.tcl", "settings.tcl", "rtl"}
    sources = {*(built / "rtl").iterdir(), *(built / "fifos").iterdir()}
    names = {path.name for path in sources if path.suffix in (".v", ".sv", ".dat")}
    assert {path.name for path in (project / "rtl").iterdir()} == names
    page = (built / "report" / "index.html").read_text()
    assert "There is no bitstream: no vivado on the PATH" in page
    assert "bitstream</strong>: not run" in page


@pytest.fixture
def vivado(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH for a program `vivado`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_with_vivado_it_is_run_and_reported(
    build: ModuleType, copy: Path, vivado: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_vivado(vivado, success(SEVEN_SERIES))
    assert build.main(["--config", str(TINY), "--output-dir", str(copy)]) == 0
    out = capsys.readouterr().out
    place = f"bitstream [{[step.name for step in STEPS].index('bitstream') + 1}/{len(STEPS)}]"
    assert f"Running step: {place}: vivado file changed" in out
    assert "  finn-accel.bit for 100 MHz, of at most 103.2 MHz" in out
    folder = copy / "bitstream"
    assert (folder / "finn-accel.bit").read_text() == "bits\n"
    assert (folder / "finn-accel.hwh").read_text() == "hwh\n"
    kept = {"build.tcl", "settings.tcl", "rtl", "vivado.log", "utilization.rpt", "timing.rpt"}
    assert {path.name for path in (folder / "vivado").iterdir()} == kept
    assert read(folder / "bitstream.json")["tool"] == "Vivado 2023.1"
    assert not (copy / "bitstream-run").exists()
    summary = read(copy / "report" / "summary.json")
    assert summary["bitstream"]["timing"] == {"wns_ns": 0.312, "fmax_mhz": 103.22}
    assert "bitstream" not in summary["not_run"]
    assert read(copy / "report" / "post_synth_resources.json")["(top)"]["DSP"] == 198
    assert build.main(["--config", str(TINY), "--output-dir", str(copy)]) == 0
    assert f"Skipping step: {place}" in capsys.readouterr().out


def test_a_vivado_that_fails_leaves_its_log_and_what_stood_before(
    build: ModuleType, copy: Path, vivado: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = fake_vivado(vivado, "echo 'ERROR: [Place 30-640] Place Check : too many LUTs'; exit 1")
    assert build.main(["--config", str(TINY), "--output-dir", str(copy)]) == 2
    log = copy / "bitstream-run" / "vivado.log"
    assert capsys.readouterr().err == (
        f"error: vivado = '{program}': failed with exit code 1: ERROR: [Place 30-640] Place Check : too many "
        f"LUTs; log: {log}\n"
    )
    assert "too many LUTs" in log.read_text()
    assert read(copy / "bitstream" / "bitstream.json")["status"] == "skipped"


def test_a_second_build_runs_nothing(
    build: ModuleType, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main(["--config", str(TINY), "--output-dir", str(copy)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["Skipping step"] * len(STEPS)


def test_a_new_target_runs_fold_and_what_follows(
    build: ModuleType, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read(TINY) | {"target_fps": 4000}
    (tmp_path / "faster.json").write_text(json.dumps(config))
    arguments = ["--config", str(tmp_path / "faster.json"), "--output-dir", str(copy), "--to", "verify"]
    assert build.main(arguments) == 0
    ran = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("Running")]
    assert ran == ["fold", "verify"]
    stamp = read_stamp(copy / "fold")
    assert stamp is not None
    assert stamp.result["estimated_throughput_fps"] >= 4000


def test_a_folding_file_is_taken_as_it_is(build: ModuleType, copy: Path, tmp_path: Path) -> None:
    folding = read(copy / "fold" / "auto_folding_config.json")
    folding["MVAU_0"]["SIMD"] = 27
    (tmp_path / "folding.json").write_text(json.dumps(folding))
    config = {k: v for k, v in read(TINY).items() if k != "target_fps"}
    (tmp_path / "given.json").write_text(json.dumps(config | {"folding_config_file": "folding.json"}))
    arguments = ["--config", str(tmp_path / "given.json"), "--output-dir", str(copy), "--to", "fold"]
    assert build.main(arguments) == 0
    assert read(copy / "fold" / "auto_folding_config.json")["MVAU_0"]["SIMD"] == 27


def test_a_wrong_integer_stops_the_build_and_is_located(
    build: ModuleType, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import finn_flow.lower

    original = finn_flow.lower.lower

    def off_by_one(model: ModelWrapper) -> ModelWrapper:
        model = original(model)
        bank = model.get_initializer("block3.0.expand.thresholds").copy()
        bank[5] += 1
        model.set_initializer("block3.0.expand.thresholds", bank)
        return model

    monkeypatch.setattr(finn_flow.lower, "lower", off_by_one)
    arguments = ["--config", str(TINY), "--output-dir", str(copy), "--from", "lower", "--to", "verify"]
    assert build.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: Thresholding_2 (Thresholding): 'block3.0.expand' first differs at frame ")
    assert ", channel 5, row " in error
    assert error.count("\n") == 1
    assert read(copy / "verify" / "stamp.json")  # what stood before is kept


def test_own_images_are_shown_and_verified(build: ModuleType, copy: Path, tmp_path: Path) -> None:
    images = tmp_path / "faces"
    images.mkdir()
    for number, face in enumerate(example_faces(3, 64)):
        Image.fromarray(face).save(images / f"face{number}.png")
    arguments = ["--config", str(TINY), "--output-dir", str(copy), "--images", str(images)]
    assert build.main(arguments) == 0
    summary = read(copy / "report" / "summary.json")
    assert summary["faces"] == ["face0.png", "face1.png", "face2.png"]
    assert np.array(summary["similarity"]).shape == (3, 3)
    assert np.allclose(np.diag(summary["similarity"]), 1)


def test_a_corrupt_image_is_one_line(
    build: ModuleType, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "faces"
    images.mkdir()
    (images / "broken.png").write_bytes(b"not a picture")
    arguments = ["--config", str(TINY), "--output-dir", str(copy), "--images", str(images)]
    assert build.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: image = ")
    assert "broken.png" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"network": {"checkpoint": "tiny", "weight_bits": 8, "act_bits": 4}},
            "error: checkpoint = ",
        ),
        ({"target_fps": 1e9}, "error: target_fps = "),
    ],
)
def test_bad_input_found_in_a_step_is_one_line(
    build: ModuleType,
    copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict,
    message: str,
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(read(TINY) | changes))
    assert build.main(["--config", str(tmp_path / "bad.json"), "--output-dir", str(copy)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
