"""WindowGenerator in our SystemVerilog: finn_flow/rtl/window.sv, in parallel window_parallel.sv."""

from __future__ import annotations

import math

from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer
from finn_flow.ops.window_generator import WindowGenerator
from finn_flow.window_buffer import is_gapless
from verification.streams import deinterleave


class WindowGenerator_sv_rtl(RtlLayer, WindowGenerator):
    """Square kernel, stride and padding the same on all sides."""

    @property
    def MODULE(self) -> str:  # type: ignore[override]
        return "window_parallel" if self.get_nodeattr("parallel_window") else "window"

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        height, width = self.get_nodeattr("IFMDim")
        serial = {
            "DEPTHWISE": self.get_nodeattr("depthwise"),
            "GAPLESS": int(is_gapless({"OFMDim": self.get_nodeattr("OFMDim")})),
        }
        return {
            "H": height,
            "W": width,
            "CHANNELS": self.get_nodeattr("IFMChannels"),
            "SIMD": self.get_nodeattr("SIMD"),
            "BITS": self.get_input_datatype().bitwidth(),
            "KERNEL": self.get_nodeattr("ConvKernelDim")[0],
            "STRIDE": self.get_nodeattr("Stride")[0],
            "PAD": self.get_nodeattr("Padding")[0],
            **({} if self.get_nodeattr("parallel_window") else serial),
            "RAM_STYLE": f'"{self.get_nodeattr("ram_style")}"',
        }

    def from_stream(self, elements: NDArray, index: int = 0) -> NDArray:
        shape = self.get_normal_output_shape()
        if not self.get_nodeattr("depthwise"):
            return elements.reshape(shape)
        taps = math.prod(self.get_nodeattr("ConvKernelDim"))
        return deinterleave(elements.reshape(shape), taps, self.get_nodeattr("SIMD"))
