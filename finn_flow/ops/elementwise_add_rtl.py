"""ElementwiseAdd of two integer streams in our SystemVerilog: finn_flow/rtl/elementwise_add.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer


class ElementwiseAdd_sv_rtl(RtlLayer, ElementwiseAdd):
    """Two inputs and an output of one shape, PE elements a cycle."""

    MODULE = "elementwise_add"
    INPUTS = 2

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        left, right = self.get_input_datatype(0), self.get_input_datatype(1)
        return {
            "PE": self.get_nodeattr("PE"),
            "IN0_BITS": left.bitwidth(),
            "IN0_SIGNED": int(left.signed()),
            "IN1_BITS": right.bitwidth(),
            "IN1_SIGNED": int(right.signed()),
            "OUT_BITS": self.get_output_datatype().bitwidth(),
        }
