from __future__ import annotations

from pathlib import Path

import pytest

from finn_flow.backends import layer_instance
from finn_flow.folding.rules import divisors, memory_styles, parallelism, window_fits_parallel
from finn_flow.resources import layer_attributes
from tests.hw_graphs import HardwareGraph, residual_network


def test_divisors() -> None:
    assert divisors(1) == [1]
    assert divisors(7) == [1, 7]
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("FMPadding_0", [{"SIMD": 1}, {"SIMD": 3}]),
        ("Thresholding_0", [{"PE": 1}, {"PE": 2}, {"PE": 4}, {"PE": 8}]),
        ("Requant_0", [{"PE": d} for d in (1, 2, 4, 8, 16)]),
        ("DuplicateStreams_0", [{"PE": d} for d in (1, 2, 4, 8, 16)]),
        ("ElementwiseAdd_0", [{"PE": d} for d in (1, 2, 4, 8, 16)]),
        ("MVAU_3", [{"PE": p, "SIMD": s} for p in (1, 2, 3, 4, 6, 12) for s in (1, 2, 4, 8, 16)]),
        ("VVAU_0", [{"PE": p, "SIMD": s} for p in (1, 2, 4, 8) for s in (1, 3, 9)]),
        (
            "ConvolutionInputGenerator_0",  # not depthwise: parallel_window only at SIMD = channels
            [
                {"SIMD": 1, "parallel_window": 0},
                {"SIMD": 3, "parallel_window": 0},
                {"SIMD": 3, "parallel_window": 1},
            ],
        ),
        (
            "ConvolutionInputGenerator_3",  # over the whole image: no line buffer, never in parallel
            [{"SIMD": d, "parallel_window": 0} for d in (1, 2, 4, 8, 16)],
        ),
    ],
)
def test_legal_parallelism(layer: str, expected: list[dict[str, int]]) -> None:
    model = residual_network()
    node = next(node for node in model.graph.node if node.name == layer)
    assert parallelism(node.op_type, layer_attributes(model, node)) == expected


def test_finns_classes_accept_every_legal_parallelism() -> None:
    model = residual_network()
    for node in model.graph.node:
        instance = layer_instance(node)
        for folding in parallelism(node.op_type, layer_attributes(model, node)):
            for name, value in folding.items():
                instance.set_nodeattr(name, value)
            assert instance.get_folded_input_shape()[-1] * instance.get_exp_cycles() > 0
            assert instance.get_folded_output_shape()[-1] > 0


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(6, 3, 1), (7, 3, 2), (5, 3, 1), (5, 3, 2), (4, 3, 1), (4, 4, 1)]
)
@pytest.mark.parametrize("depthwise", [True, False])
def test_finn_generates_every_legal_window(
    tmp_path: Path, size: int, kernel: int, stride: int, depthwise: bool
) -> None:
    model = HardwareGraph(size, 4, "UINT4").window(kernel, stride, depthwise).model()
    node = model.graph.node[0]
    attributes = layer_attributes(model, node)
    instance = layer_instance(node)
    instance.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    for folding in parallelism(node.op_type, attributes):
        for name, value in folding.items():
            instance.set_nodeattr(name, value)
        instance.generate_hdl(model, "xczu7ev-ffvc1156-2-e", 5.0)
        assert (tmp_path / f"{node.name}_impl.sv").stat().st_size > 1000


def test_finn_fails_on_a_window_over_the_whole_image_in_parallel(tmp_path: Path) -> None:
    """If this no longer raises, the rule may go (but see whether the windows are right)."""
    model = HardwareGraph(4, 4, "UINT4").window(4, depthwise=True).model()
    instance = layer_instance(model.graph.node[0])
    assert not window_fits_parallel(layer_attributes(model, model.graph.node[0]), 4)
    for name, value in {"SIMD": 4, "parallel_window": 1, "code_gen_dir_ipgen": str(tmp_path)}.items():
        instance.set_nodeattr(name, value)
    with pytest.raises(ValueError, match="math domain error"):
        instance.generate_hdl(model, "xczu7ev-ffvc1156-2-e", 5.0)


def test_memory_styles() -> None:
    thresholds = {"NumChannels": 64, "PE": 1, "numSteps": 15}  # the last of 4 stages holds 512 words
    assert memory_styles("Thresholding", thresholds) == [
        {"depth_trigger_bram": 0},
        {"depth_trigger_bram": 512},
    ]
    assert memory_styles("Thresholding", {**thresholds, "PE": 2}) == [{"depth_trigger_bram": 0}]
    assert memory_styles("MVAU", {}) == [{"ram_style": "distributed"}, {"ram_style": "block"}]
    assert memory_styles("FMPadding", {}) == [{}]
