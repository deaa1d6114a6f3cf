"""VVAU in our SystemVerilog: finn_flow/rtl/vvau.sv. FINN has RTL for it on Versal only."""

from __future__ import annotations

import math

from finn.custom_op.fpgadataflow.vectorvectoractivation import VVAU
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer, memory_text
from verification.streams import interleave


class VVAU_sv_rtl(RtlLayer, VVAU):
    """Weights (C, 1, K, K) in a ROM; x (..., K * K * C), the channel fastest, y (..., C)."""

    MODULE = "vvau"
    USES = ("dot_product", "weighted_sums")

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        activation = self.get_input_datatype(0)
        return {
            "CHANNELS": self.get_nodeattr("Channels"),
            "KERNEL": self._taps,
            "PE": self.get_nodeattr("PE"),
            "SIMD": self.get_nodeattr("SIMD"),
            "ACT_BITS": activation.bitwidth(),
            "ACT_SIGNED": int(activation.signed()),
            "WEIGHT_BITS": self.get_input_datatype(1).bitwidth(),
            "ACC_BITS": self.get_output_datatype().bitwidth(),
            "WEIGHTS": self.memory_path("weights"),
            "RAM_STYLE": f'"{self.get_nodeattr("ram_style")}"',
        }

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        pe, simd = self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
        weights = model.get_initializer(self.onnx_node.input[1]).reshape(-1, pe, self._taps // simd, simd)
        words = weights.transpose(0, 2, 1, 3).reshape(-1, pe * simd)  # group, SF, PE, SIMD
        return {"weights": memory_text(words, self.get_input_datatype(1).bitwidth())}

    def to_stream(self, values: NDArray, index: int = 0) -> NDArray:
        return super().to_stream(interleave(values, self._taps, self.get_nodeattr("PE")), index)

    @property
    def _taps(self) -> int:
        return math.prod(self.get_nodeattr("Kernel"))
