"""MVAU in our SystemVerilog: finn_flow/rtl/mvau.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.weighted_sums_rtl import WeightedSums


class MVAU_sv_rtl(WeightedSums, MVAU):
    """Weights (MW, MH) in a ROM of SF * NF words; x (..., MW), y (..., MH)."""

    MODULE = "mvau"
    LUT_PRODUCT_BITS = 8  # a DSP makes several larger ones

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        return {"MW": self.get_nodeattr("MW"), "MH": self.get_nodeattr("MH"), **super().parameters(model)}

    def words(self, weights: NDArray) -> NDArray:
        """(NF, SF, PE, SIMD)."""
        pe, simd, mh = (self.get_nodeattr(name) for name in ("PE", "SIMD", "MH"))
        return weights.T.reshape(mh // pe, pe, -1, simd).transpose(0, 2, 1, 3)
