"""VVAU in our SystemVerilog: finn_flow/rtl/vvau.sv. FINN has RTL for it on Versal only."""

from __future__ import annotations

import math

from finn.custom_op.fpgadataflow.vectorvectoractivation import VVAU
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.weighted_sums_rtl import WeightedSums
from verification.streams import interleave


class VVAU_sv_rtl(WeightedSums, VVAU):
    """Weights (C, 1, K, K) in a ROM; x (..., K * K * C), the channel fastest, y (..., C)."""

    MODULE = "vvau"
    LUT_PRODUCT_BITS = 16  # each would take a DSP

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        return {"CHANNELS": self.get_nodeattr("Channels"), "KERNEL": self._taps, **super().parameters(model)}

    def words(self, weights: NDArray) -> NDArray:
        """(group, SF, PE, SIMD)."""
        pe, simd = self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
        return weights.reshape(-1, pe, self._taps // simd, simd).transpose(0, 2, 1, 3)

    def to_stream(self, values: NDArray, index: int = 0) -> NDArray:
        return super().to_stream(interleave(values, self._taps, self.get_nodeattr("PE")), index)

    @property
    def _taps(self) -> int:
        return math.prod(self.get_nodeattr("Kernel"))
