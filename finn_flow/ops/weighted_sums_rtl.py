"""What MVAU and VVAU have in common in our SystemVerilog: finn_flow/rtl/weighted_sums.sv."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer, memory_text


class WeightedSums(RtlLayer):
    """Sums over SIMD products of PE outputs a cycle, with the weights in a ROM."""

    USES = ("dot_product", "weighted_sums")
    LUT_PRODUCT_BITS: ClassVar[
        int
    ]  # products of weight x activation bits up to this are cheaper without DSPs

    @abstractmethod
    def words(self, weights: NDArray) -> NDArray:
        """The node's weights in the order of the ROM, (..., PE, SIMD)."""

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        activation = self.get_input_datatype(0)
        return {
            "PE": self.get_nodeattr("PE"),
            "SIMD": self.get_nodeattr("SIMD"),
            "ACT_BITS": activation.bitwidth(),
            "ACT_SIGNED": int(activation.signed()),
            "WEIGHT_BITS": self.get_input_datatype(1).bitwidth(),
            "ACC_BITS": self.get_output_datatype().bitwidth(),
            "DSP": int(self._uses_dsps()),
            "WEIGHTS": self.memory_path("weights"),
            "RAM_STYLE": f'"{self.get_nodeattr("ram_style")}"',
        }

    def _uses_dsps(self) -> bool:
        """By resType: dsp, lut, or auto, the cheaper for these widths."""
        bits = self.get_input_datatype(0).bitwidth() * self.get_input_datatype(1).bitwidth()
        choice = {"dsp": True, "lut": False, "auto": bits > self.LUT_PRODUCT_BITS}
        return choice[self.get_nodeattr("resType")]

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        words = self.words(model.get_initializer(self.onnx_node.input[1]))
        lanes = self.get_nodeattr("PE") * self.get_nodeattr("SIMD")
        return {"weights": memory_text(words.reshape(-1, lanes), self.get_input_datatype(1).bitwidth())}
