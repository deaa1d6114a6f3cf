"""StreamingDataWidthConverter in our SystemVerilog: finn_flow/rtl/width_converter.sv."""

from __future__ import annotations

from finn.custom_op.fpgadataflow.streamingdatawidthconverter import StreamingDataWidthConverter
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.rtl_layer import RtlLayer


class StreamingDataWidthConverter_sv_rtl(RtlLayer, StreamingDataWidthConverter):
    """Any ratio of widths; inShape and outShape hold the same elements."""

    MODULE = "width_converter"

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        return {"IN_BITS": self.get_instream_width(), "OUT_BITS": self.get_outstream_width()}
