"""StreamingFIFO in our SystemVerilog: finn_flow/rtl/fifo.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.streamingfifo import StreamingFIFO
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer


class StreamingFIFO_sv_rtl(RtlLayer, StreamingFIFO):
    """`depth` words, exactly as deep as it says."""

    MODULE = "fifo"

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        return {
            "WIDTH": self.get_instream_width(),
            "DEPTH": self.get_nodeattr("depth"),
            "RAM_STYLE": f'"{self.get_nodeattr("ram_style")}"',
        }
