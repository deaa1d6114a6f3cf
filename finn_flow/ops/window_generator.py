"""Sliding window over a zero-padded picture in one layer, where FINN has one to pad and one for the window.

FINN's padding stops reading while it emits pad rows, so that the FIFO before it must hold two rows; a window
generator that knows the border needs neither layer nor FIFO.

Tensor shapes: x (1, H, W, C), y (1, OH, OW, K * K * C), the channel fastest. On the wires SIMD channels go at
a time, a pixel's tap by tap or, if depthwise, all taps of a channel group together; with parallel_window
(depthwise or SIMD = C only) a whole window of SIMD channels is one word, tap by tap.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.convolutioninputgenerator import ConvolutionInputGenerator
from numpy.typing import NDArray

from finn_flow.window_buffer import parallel_window, serial_window


class WindowGenerator(ConvolutionInputGenerator):
    """See the module. IFMDim is the picture before padding; Padding (top, left, bottom, right), all equal."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        return {**super().get_nodeattr_types(), "Padding": ("ints", True, [])}

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        return (1, *self.get_nodeattr("OFMDim"), self._taps * self.get_nodeattr("IFMChannels"))

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        simd, total = self.get_nodeattr("SIMD"), self.get_normal_output_shape()[-1]
        width = self._taps * simd if self.use_parallel_window_output() else simd
        return (1, *self.get_nodeattr("OFMDim"), total // width, width)

    def use_parallel_window_output(self) -> bool:
        return bool(self.get_nodeattr("parallel_window"))

    @property
    def _taps(self) -> int:
        return math.prod(self.get_nodeattr("ConvKernelDim"))

    def get_exp_cycles(self) -> int:
        names = ("IFMDim", "OFMDim", "ConvKernelDim", "Stride", "Padding", "IFMChannels", "SIMD", "depthwise")
        attributes = {name: self.get_nodeattr(name) for name in names}
        if self.use_parallel_window_output():
            return parallel_window(attributes)[-1]
        return serial_window(attributes)[-1]

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        node, (kernel, _), (stride, _) = self.onnx_node, *map(self.get_nodeattr, ("ConvKernelDim", "Stride"))
        top, left, bottom, right = self.get_nodeattr("Padding")
        x = np.pad(context[node.input[0]], ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
        y = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # 1, OH, OW, K, K, C
        context[node.output[0]] = y.reshape(self.get_normal_output_shape()).astype(np.float32)
