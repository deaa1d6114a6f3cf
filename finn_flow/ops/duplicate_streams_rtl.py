"""DuplicateStreams in our SystemVerilog: finn_flow/rtl/duplicate_streams.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer


class DuplicateStreams_sv_rtl(RtlLayer, DuplicateStreams):
    """Two copies: a residual network forks no further."""

    MODULE = "duplicate_streams"

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        return {"WIDTH": self.get_instream_width()}
