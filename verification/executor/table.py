"""The op table: which function compiles which op, for all forms of the graph.

A function takes the node and its operands (Stream or constant array) and returns a Result. An op is looked
up by its name without `_rtl`, `_hls` or `_sv_rtl`. To add one, write its function and enter it here.
"""

from __future__ import annotations

from collections.abc import Callable

from verification.executor import dot, elementwise, real, thresholds
from verification.executor.stream import Result

OPS: dict[str, Callable[..., Result]] = {
    # FINN's hardware ops, NHWC
    "FMPadding": elementwise.fm_padding,
    "ConvolutionInputGenerator": elementwise.window_generator,
    "WindowGenerator": elementwise.window_generator,
    "MVAU": dot.mvau,
    "VVAU": dot.vvau,
    "Thresholding": thresholds.thresholding,
    "Requant": elementwise.requant,
    "DuplicateStreams": elementwise.identity,
    "StreamingDataWidthConverter": elementwise.identity,
    "StreamingFIFO": elementwise.identity,
    "ElementwiseAdd": elementwise.add,
    # lowered, NHWC
    "Im2Col": elementwise.im2col,
    "MatMul": dot.matmul,
    # streamlined, NCHW, integers
    "Conv": dot.conv,
    "MultiThreshold": thresholds.multithreshold,
    "Add": elementwise.add,
    # QONNX, NCHW, real numbers
    "Mul": real.mul,
    "Quant": real.quant,
    "BatchNormalization": real.batch_normalization,
    "Relu": real.relu,
    "Flatten": real.flatten,
}

# A graph with one of these is NHWC, any other NCHW, unless its input is annotated.
NHWC_OPS = {
    *("FMPadding", "ConvolutionInputGenerator", "WindowGenerator"),
    *("MVAU", "VVAU", "Thresholding", "Requant", "Im2Col"),
}

# These take a stream of windows as its picture; every other op gets the windows' elements.
WINDOW_OPS = {
    "FMPadding",
    "ConvolutionInputGenerator",
    "WindowGenerator",
    "Im2Col",
    "MVAU",
    "VVAU",
    "MatMul",
    "DuplicateStreams",
    "StreamingDataWidthConverter",
    "StreamingFIFO",
}

# These add up: their outputs are compared with their declared width in every run.
ACCUMULATING_OPS = {"MVAU", "VVAU", "MatMul", "Conv", "Add", "ElementwiseAdd"}
