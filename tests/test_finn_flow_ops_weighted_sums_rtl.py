"""Whether an MVAU or VVAU makes its products in DSPs: its attribute resType."""

from __future__ import annotations

import pytest

from finn_flow.backends import layer_instance
from finn_flow.finn_env import prepare_finn
from tests.hw_graphs import HardwareGraph


def in_dsps(op: str, bits: int, kind: str) -> object:
    """Parameter DSP of a layer whose weights and activations have `bits`."""
    prepare_finn()
    graph = HardwareGraph(4, 8, f"UINT{bits}")
    model = (graph.mvau(4, bits) if op == "MVAU" else graph.window(3, depthwise=True).vvau(bits)).model()
    layer = layer_instance(next(node for node in model.graph.node if node.op_type == op))
    layer.set_nodeattr("resType", kind)
    return layer.parameters(model)["DSP"]


@pytest.mark.parametrize("op", ["MVAU", "VVAU"])
@pytest.mark.parametrize(("kind", "expected"), [("dsp", 1), ("lut", 0)])
def test_restype_decides(op: str, kind: str, expected: int) -> None:
    assert [in_dsps(op, bits, kind) for bits in (2, 8)] == [expected, expected]


@pytest.mark.parametrize(("op", "expected"), [("MVAU", [0, 1, 1, 1]), ("VVAU", [0, 0, 0, 1])])
def test_auto_is_the_cheaper(op: str, expected: list[int]) -> None:
    assert [in_dsps(op, bits, "auto") for bits in (2, 3, 4, 8)] == expected
