"""Our FINN custom ops.

The generic ones are found by the domain `finn_flow.ops`. The RTL and HLS ones are entered in FINN's own
domains, since FINN's passes tell a node's backend by that alone; `_sv` and `_int` in their names keep them
apart from FINN's.
"""

from qonnx.custom_op.registry import add_op_to_domain

from finn_flow.finn_env import prepare_finn

prepare_finn()

from finn_flow.ops.duplicate_streams_rtl import DuplicateStreams_sv_rtl  # noqa: E402  finn is prepared first
from finn_flow.ops.elementwise_add_rtl import ElementwiseAdd_sv_rtl  # noqa: E402
from finn_flow.ops.fifo_rtl import StreamingFIFO_sv_rtl  # noqa: E402
from finn_flow.ops.mvau_rtl import MVAU_sv_rtl  # noqa: E402
from finn_flow.ops.requant import Requant  # noqa: E402
from finn_flow.ops.requant_hls import Requant_int_hls  # noqa: E402
from finn_flow.ops.requant_rtl import Requant_sv_rtl  # noqa: E402
from finn_flow.ops.thresholding_rtl import Thresholding_sv_rtl  # noqa: E402
from finn_flow.ops.vvau_rtl import VVAU_sv_rtl  # noqa: E402
from finn_flow.ops.width_converter_rtl import StreamingDataWidthConverter_sv_rtl  # noqa: E402
from finn_flow.ops.window_generator import WindowGenerator  # noqa: E402
from finn_flow.ops.window_generator_rtl import WindowGenerator_sv_rtl  # noqa: E402

__all__ = ["Requant", "WindowGenerator"]

RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"
HLS_DOMAIN = "finn.custom_op.fpgadataflow.hls"
RTL_LAYERS = (
    MVAU_sv_rtl,
    VVAU_sv_rtl,
    Thresholding_sv_rtl,
    Requant_sv_rtl,
    WindowGenerator_sv_rtl,
    ElementwiseAdd_sv_rtl,
    DuplicateStreams_sv_rtl,
    StreamingDataWidthConverter_sv_rtl,
    StreamingFIFO_sv_rtl,
)

for layer in RTL_LAYERS:
    add_op_to_domain(RTL_DOMAIN, layer)
add_op_to_domain(HLS_DOMAIN, Requant_int_hls)
