"""The legal foldings of each op, as data.

Rules follow FINN's classes (asserts in get_folded_*_shape, select_impl_style and the code generation of
ConvolutionInputGenerator_rtl) and, for the window generator, simulation of the generated RTL:

- depthwise with SIMD < channels is right in both styles, so that parallel_window does not need SIMD =
  channels there (FINN's SetFolding still assumes so);
- parallel_window fails for an output of one row or column and for a line buffer of fewer than two words:
  code generation takes log2(0), or the RTL gives wrong windows (so it is with the global depthwise layer).

What couples two layers is in `finn_flow.folding.groups`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

from finn_flow.resources import Attributes

Assignment = dict[str, Any]  # attribute -> value, of one layer

BLOCK_TRIGGER = 512  # threshold memories this deep fill a block RAM well enough


def divisors(number: int) -> list[int]:
    """All divisors, ascending.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return small + [number // d for d in reversed(small) if d * d != number]


def parallelism(op: str, attributes: Attributes) -> list[Assignment]:
    """Every legal parallelism of a layer taken alone, in ascending order of its attributes."""
    return _PARALLELISM[op](attributes)


def memory_styles(op: str, attributes: Attributes) -> list[Assignment]:
    """Every way to keep the parameters or lines of a layer at the parallelism in `attributes`.

    UltraRAM is left out: it has no initial contents, and lines are too short for it.
    """
    if op == "Thresholding":
        deepest = attributes["NumChannels"] // attributes["PE"] << (attributes["numSteps"].bit_length() - 1)
        return [{"depth_trigger_bram": t} for t in (0, BLOCK_TRIGGER) if t <= deepest]
    if op in ("MVAU", "VVAU", "ConvolutionInputGenerator", "WindowGenerator"):
        return [{"ram_style": "distributed"}, {"ram_style": "block"}]
    return [{}]


def window_fits_parallel(attributes: Attributes, simd: int) -> bool:
    """Whether the window generator works with parallel_window at this SIMD."""
    channels, columns = attributes["IFMChannels"], attributes["ConvKernelDim"][1]
    line = (attributes["IFMDim"][1] - columns) * (channels // simd)
    is_complete = attributes["depthwise"] == 1 or simd == channels
    return min(attributes["OFMDim"]) >= 2 and line >= 2 and is_complete


def _channels(attribute: str, name: str) -> Callable[[Attributes], list[Assignment]]:
    return lambda a: [{attribute: d} for d in divisors(a[name])]


def _matrix(a: Attributes) -> list[Assignment]:
    pairs = itertools.product(divisors(a["MH"]), divisors(a["MW"]))
    return [{"PE": pe, "SIMD": simd} for pe, simd in pairs]


def _depthwise(a: Attributes) -> list[Assignment]:
    pairs = itertools.product(divisors(a["Channels"]), divisors(math.prod(a["Kernel"])))
    return [{"PE": pe, "SIMD": simd} for pe, simd in pairs]


def _window(a: Attributes) -> list[Assignment]:
    return [
        {"SIMD": simd, "parallel_window": parallel}
        for simd in divisors(a["IFMChannels"])
        for parallel in (0, 1)
        if parallel == 0 or window_fits_parallel(a, simd)
    ]


def _padded_window(a: Attributes) -> list[Assignment]:
    """Our own generator: in parallel if depthwise or with all channels."""
    channels = a["IFMChannels"]
    return [
        {"SIMD": simd, "parallel_window": parallel}
        for simd in divisors(channels)
        for parallel in (0, 1)
        if parallel == 0 or a["depthwise"] or simd == channels
    ]


_PARALLELISM: dict[str, Callable[[Attributes], list[Assignment]]] = {
    "MVAU": _matrix,
    "VVAU": _depthwise,
    "ConvolutionInputGenerator": _window,
    "WindowGenerator": _padded_window,
    "FMPadding": _channels("SIMD", "NumChannels"),
    "Thresholding": _channels("PE", "NumChannels"),
    "Requant": _channels("PE", "NumChannels"),
    "DuplicateStreams": _channels("PE", "NumChannels"),
    "ElementwiseAdd": lambda a: [{"PE": d} for d in divisors(a["out_shape"][-1])],
}
