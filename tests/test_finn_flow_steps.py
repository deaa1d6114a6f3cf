"""The steps of a build on the tiny network, from the configuration to the report."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.stamp import read_stamp
from finn_flow.steps import STEPS
from model.checkpoint import load_checkpoint
from model.data import example_faces, pixels
from verification.executor import Executor

ROOT = Path(__file__).parents[1]
TINY = ROOT / "hw_configs" / "tiny.json"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """build.py, by path: PyPI has a package of the same name."""
    spec = importlib.util.spec_from_file_location("build_py", ROOT / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
            assert (built / step.name / file).is_file(), (step.name, file)


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
