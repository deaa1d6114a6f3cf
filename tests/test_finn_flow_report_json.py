"""The report's JSON: FINN's names and keys, and the same numbers as the data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from finn_flow.report import CppSimulation
from finn_flow.report.finn_json import json_files
from tests.test_finn_flow_report_data import BITSTREAM, Net, build, faces


@pytest.fixture(scope="module")
def files() -> dict[str, Any]:
    return json_files(build())


def test_file_names_are_finns(files: dict[str, Any]) -> None:
    assert list(files) == [
        "estimate_layer_cycles.json",
        "estimate_layer_resources.json",
        "estimate_network_performance.json",
        "op_and_param_counts.json",
        "auto_folding_config.json",
        "fifo_sizing.json",
        "rtlsim_performance.json",
        "verification.json",
        "summary.json",
    ]


def test_resources_of_a_bitstream_are_there_under_finns_name() -> None:
    resources = json_files(build(bitstream=BITSTREAM))["post_synth_resources.json"]
    assert resources == {"(top)": {"LUT": 4001, "FF": 7002, "BRAM_18K": 35, "DSP": 15}}


def test_all_round_trip(files: dict[str, Any]) -> None:
    for value in files.values():
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_cycles_of_every_layer(files: dict[str, Any]) -> None:
    cycles = files["estimate_layer_cycles.json"]
    assert list(cycles.items()) == [(layer.name, layer.cycles) for layer in build().layers]


def test_resources_and_their_total(files: dict[str, Any]) -> None:
    resources = files["estimate_layer_resources.json"]
    assert len(resources) == 34 + 2  # FIFOs together, and the total
    assert resources["MVAU_0"] == {"BRAM_18K": 1, "LUT": 100, "FF": 200, "URAM": 0, "DSP": 2}
    assert resources["total"] == {"BRAM_18K": 34, "LUT": 3400, "FF": 6800, "URAM": 0, "DSP": 16}


def test_performance_has_finns_keys(files: dict[str, Any]) -> None:
    performance = files["estimate_network_performance.json"]
    assert list(performance) == [
        "critical_path_cycles",
        "max_cycles",
        "max_cycles_node_name",
        "estimated_throughput_fps",
        "estimated_latency_ns",
    ]
    assert (performance["max_cycles"], performance["max_cycles_node_name"]) == (1330, "MVAU_7")


def test_counts_are_of_layers_that_compute(files: dict[str, Any]) -> None:
    counts = files["op_and_param_counts.json"]
    assert {name.split("_")[0] for name in counts} == {"MVAU", "VVAU", "total"}
    assert counts["VVAU_1"] == {"op_mac_4bx4b": 640, "param_weight_4b": 10}
    assert counts["total"] == {"op_mac_4bx4b": 10 * 640, "param_weight_4b": 10 * 10}


def test_counts_of_different_widths_stay_apart() -> None:
    net = Net()
    net.add("MVAU", "block1", counts={"op_mac_4bx8b": 5, "param_weight_8b": 1})
    net.add("MVAU", "block1", counts={"op_mac_4bx4b": 7, "param_weight_8b": 2})
    total = json_files(build(net))["op_and_param_counts.json"]["total"]
    assert total == {"op_mac_4bx8b": 5, "param_weight_8b": 3, "op_mac_4bx4b": 7}


def test_folding_is_passed_through() -> None:
    folding = {"Defaults": {}, "MVAU_0": {"PE": 4, "ram_style": "auto"}}
    assert json_files(build(folding=folding))["auto_folding_config.json"] == folding


def test_simulated_performance_has_finns_keys(files: dict[str, Any]) -> None:
    performance = files["rtlsim_performance.json"]
    assert list(performance) == [
        *("cycles", "latency_cycles", "runtime[ms]", "throughput[images/s]", "stable_throughput[images/s]"),
        *("DRAM_in_bandwidth[MB/s]", "DRAM_out_bandwidth[MB/s]", "fclk[mhz]", "N"),
    ]
    assert (performance["cycles"], performance["latency_cycles"], performance["N"]) == (6000, 3333, 3)
    assert performance["runtime[ms]"] == pytest.approx(0.06)
    assert performance["throughput[images/s]"] == pytest.approx(50_000)
    assert performance["stable_throughput[images/s]"] == pytest.approx(1e8 / 1335)
    assert performance["DRAM_in_bandwidth[MB/s]"] == pytest.approx(150)
    assert performance["DRAM_out_bandwidth[MB/s]"] == pytest.approx(3.2)
    assert performance["fclk[mhz]"] == 100


def test_fifo_sizing_is_passed_through(files: dict[str, Any]) -> None:
    assert files["fifo_sizing.json"] == build().simulation.sizing


def test_verification_says_what_was_equal_to_what(files: dict[str, Any]) -> None:
    fold = {"step": "fold", "tensors": 19, "frames": 32, "elements": 1_000_000, "seconds": 2.5, "equal": True}
    assert files["verification.json"]["reference"] == "Brevitas in float64"
    assert files["verification.json"]["steps"][1] == fold
    assert files["verification.json"]["cppsim"] is None
    compared = CppSimulation(layers=34, streams=40, frames=8, elements=2_000_000, compile_seconds=61.5)
    told = json_files(build(cppsim=compared, hls_layers=("MVAU_7",)))
    cppsim = {"layers": 34, "streams": 40, "frames": 8, "elements": 2_000_000, "compile_seconds": 61.5}
    assert told["verification.json"]["cppsim"] == cppsim
    assert told["summary.json"]["hls_layers"] == ["MVAU_7"]


def test_summary(files: dict[str, Any]) -> None:
    summary = files["summary.json"]
    assert summary["board"]["part"] == "xc7z020clg400-1"
    assert (summary["layers"], summary["max_cycles"]) == (34, 1330)
    assert (summary["fits"], summary["within_headroom"], summary["headroom"]) == (True, True, 0.9)
    assert summary["resources"]["BRAM18"] == {"used": 34, "offered": 40}
    assert summary["footprint"][1] == {"block": "block2", "weights": 576, "weight_bits": 2, "bits": 1152}
    assert (summary["weights"], summary["weight_bits"]) == (2304, 14_976)
    assert summary["verified"] == ["export", "fold"]
    assert summary["not_run"] == {"rtlsim": "No cycle was simulated.", "bitstream": "Timing is unknown."}
    assert (summary["bitstream"]["status"], summary["bitstream"]["reason"]) == ("skipped", "no tool for it")
    assert summary["faces"] == ["face 0", "face 1", "face 2"]
    assert np.array_equal(summary["similarity"], faces(3)["similarity"])
