"""MVAU in our SystemVerilog: finn_flow/rtl/mvau.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer, memory_text


class MVAU_sv_rtl(RtlLayer, MVAU):
    """Weights (MW, MH) in a ROM of SF * NF words; x (..., MW), y (..., MH)."""

    MODULE = "mvau"
    USES = ("dot_product", "weighted_sums")

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        activation = self.get_input_datatype(0)
        return {
            **{name: self.get_nodeattr(name) for name in ("MW", "MH", "PE", "SIMD")},
            "ACT_BITS": activation.bitwidth(),
            "ACT_SIGNED": int(activation.signed()),
            "WEIGHT_BITS": self.get_input_datatype(1).bitwidth(),
            "ACC_BITS": self.get_output_datatype().bitwidth(),
            "WEIGHTS": self.memory_path("weights"),
            "RAM_STYLE": f'"{self.get_nodeattr("ram_style")}"',
        }

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        pe, simd, mh = (self.get_nodeattr(name) for name in ("PE", "SIMD", "MH"))
        weights = model.get_initializer(self.onnx_node.input[1])  # (MW, MH)
        tiles = weights.T.reshape(mh // pe, pe, -1, simd).transpose(0, 2, 1, 3)  # NF, SF, PE, SIMD
        words = tiles.reshape(-1, pe * simd)
        return {"weights": memory_text(words, self.get_input_datatype(1).bitwidth())}
