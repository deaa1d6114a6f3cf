from __future__ import annotations

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import BOARDS, DspBlock
from finn_flow.cost_model.structure import multiplier_dsps
from finn_flow.folding import Folding, apply_folding, insert_width_converters
from finn_flow.graph_spec import HARDWARE_OPS
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.resources import (
    RESOURCE_LABELS,
    Resources,
    board_resources,
    converter_resources,
    estimate,
    layer_attributes,
    layer_resources,
    memory,
)
from tests.hw_graphs import HardwareGraph, residual_network


def price(
    model: ModelWrapper, dsp_block: DspBlock = "DSP48E2", layer: int = 0, **values: int | str
) -> Resources:
    node = model.graph.node[layer]
    return estimate(node.op_type, {**layer_attributes(model, node), **values}, dsp_block)


@pytest.mark.parametrize(
    ("datatype", "bits", "dsps"), [("UINT4", 4, 16), ("INT4", 4, 16), ("UINT8", 8, 32), ("UINT2", 2, 0)]
)
def test_matrix_unit_takes_the_dsps_that_synthesis_found(datatype: str, bits: int, dsps: int) -> None:
    """64 products: four of 4 bits to a DSP, two of 8, none of 2."""
    model = HardwareGraph(4, 64, datatype).mvau(64, bits).model()
    assert price(model, PE=8, SIMD=8).dsp == dsps
    assert price(model, PE=8, SIMD=8, resType="lut").dsp == 0


def test_memory_in_luts_block_ram_and_ultra_ram() -> None:
    assert memory(16, 64, "distributed") == Resources(lut=16)
    assert memory(16, 65, "distributed") == Resources(lut=32)
    assert memory(16, 64, "distributed", dual_port=True) == Resources(lut=24)
    assert memory(4, 4096, "block") == Resources(bram18=1)
    assert memory(36, 513, "block") == Resources(bram18=2)
    assert memory(72, 4097, "ultra") == Resources(uram=2)
    assert memory(8, 128, "auto") == memory(8, 128, "distributed")
    assert memory(8, 129, "auto") == memory(8, 129, "block")


def test_weights_are_where_ram_style_says() -> None:
    model = HardwareGraph(4, 64, "UINT4").mvau(64, 4).model()
    luts, block = (price(model, PE=1, SIMD=1, ram_style=style) for style in ("distributed", "block"))
    assert (luts.bram18, block.bram18) == (0, 1)
    assert luts.lut - block.lut >= 64 * 64 * 4 // 64  # 64 bits to a LUT


def test_threshold_bank_grows_with_bits_and_moves_to_block_ram() -> None:
    banks = [HardwareGraph(4, 64, "INT12").thresholding(bits).model() for bits in (2, 4, 8)]
    luts = [price(bank).lut for bank in banks]
    assert luts == sorted(luts)
    assert luts[2] > 64 * 255 * 11 / 64
    block = price(banks[2], depth_trigger_bram=512)
    assert block.bram18 == 14  # stages of 256 to 8192 words of 11 bits: 1 + 1 + 1 + 2 + 3 + 6
    assert block.lut < luts[2] / 4


def test_requantisation_that_only_clamps_has_no_multiplier() -> None:
    full, clamp = (HardwareGraph(4, 64, "INT16").requant(8, bits).model() for bits in (10, 1))
    assert price(full, PE=4).dsp == 4
    assert price(clamp, PE=4).dsp == 0
    assert price(clamp, PE=4).ff < price(full, PE=4).ff


def test_window_in_parallel_has_registers_for_all_pixels() -> None:
    model = HardwareGraph(30, 64, "UINT4").window(3, depthwise=True).model()
    default, parallel = (price(model, SIMD=8, parallel_window=parallel) for parallel in (0, 1))
    assert parallel.ff - default.ff == 8 * 4 * (9 - 1)  # FINN's
    block = price(model, SIMD=8, parallel_window=1, ram_style="block")
    assert block.bram18 == 2 * 1  # two lines of 27 * 8 words of 32 bits


def test_converter_costs_by_its_wider_side() -> None:
    assert converter_resources(32, 32) == Resources()
    assert converter_resources(8, 32).ff == 32 + 3  # the buffer, and a counter over 0..4
    assert converter_resources(12, 8).lut > converter_resources(12, 6).lut


@pytest.mark.parametrize("name", ["PE", "SIMD"])
def test_more_parallel_never_costs_less_logic(name: str) -> None:
    model = HardwareGraph(4, 64, "UINT4").mvau(64, 4).model()
    costs = [price(model, **{"PE": 4, "SIMD": 4, name: 2**i}, ram_style="block") for i in range(7)]
    assert [c.lut for c in costs] == sorted(c.lut for c in costs)
    assert [c.dsp for c in costs] == sorted(c.dsp for c in costs)


def test_every_hardware_op_has_a_price() -> None:
    model = residual_network()
    folds = {node.name: {"SIMD": 3} for node in model.graph.node if node.name == "FMPadding_0"}
    layers = {node.name: folds.get(node.name, {}) for node in model.graph.node}
    insert_width_converters(apply_folding(model, Folding(layers)))
    costs = layer_resources(model, BOARDS["ZCU104"])
    assert {name.rsplit("_", 1)[0] for name in costs} == HARDWARE_OPS - {"WindowGenerator"}
    fused = layer_resources(residual_network().transform(FuseWindowPadding()), BOARDS["ZCU104"])
    assert not any(name.startswith("FMPadding") for name in fused)
    assert {name for name in costs if name.startswith("Conv")} <= fused.keys()
    assert all(cost.lut > 0 and cost.ff > 0 for cost in costs.values())


def test_sum_and_report() -> None:
    total = Resources(1, 2, 3, 4, 5) + Resources(10, 20, 30, 40, 50).times(2)
    assert total == Resources(21, 42, 63, 84, 105)
    assert total.report() == {"BRAM_18K": 63, "LUT": 21, "FF": 42, "URAM": 84, "DSP": 105}
    assert sum([total, total], Resources()) == total.times(2)
    assert list(RESOURCE_LABELS.values()) == ["LUT", "FF", "BRAM18", "URAM", "DSP"]
    assert board_resources(BOARDS["KV260"]) == Resources(117_120, 234_240, 288, 64, 1248)


def test_an_ecp5_multiplies_18_bits_by_18() -> None:
    block: DspBlock = "MULT18X18D"
    assert [multiplier_dsps(*bits, block) for bits in ((18, 18), (19, 18), (20, 20))] == [1, 2, 4]
    model = HardwareGraph(4, 64, "UINT4").mvau(64, 4).model()
    assert price(model, block, PE=8, SIMD=8).dsp == 2 * price(model, PE=8, SIMD=8).dsp  # 25 bits by 5
