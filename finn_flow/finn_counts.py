"""What FINN's own formulas say that a layer costs, for comparison beside ours."""

from __future__ import annotations

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

from finn_flow.backends import base_op
from finn_flow.graph import FINN, attribute

# Our layer -> FINN's class of the same function. FINN has no re-quantisation with a scale per channel.
FINN_CLASSES = {
    "MVAU": "MVAU_rtl",
    "VVAU": "VVAU_hls",
    "Thresholding": "Thresholding_rtl",
    "WindowGenerator": "ConvolutionInputGenerator_rtl",
    "DuplicateStreams": "DuplicateStreams_hls",
    "ElementwiseAdd": "ElementwiseAdd_rtl",
    "StreamingDataWidthConverter": "StreamingDataWidthConverter_rtl",
    "StreamingFIFO": "StreamingFIFO_rtl",
}
COUNTED = ("LUT", "BRAM_18K", "URAM", "DSP")  # FINN's keys; it counts no flip-flops


def finn_counts(node: NodeProto, part: str) -> dict[str, int] | None:
    """FINN's node_res_estimation by COUNTED; None for what FINN has no class for."""
    op = base_op(node.op_type)
    if op not in FINN_CLASSES:
        return None
    name = FINN_CLASSES[op]
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.op_type, copy.domain = name, f"{FINN}.{name.rsplit('_', 1)[1]}"
    layer = getCustomOp(copy)
    if op == "WindowGenerator":  # FINN pads in a layer of its own
        top, left, bottom, right = attribute(node, "Padding")
        height, width = attribute(node, "IFMDim")
        layer.set_nodeattr("IFMDim", [height + top + bottom, width + left + right])
    estimated = layer.node_res_estimation(part)
    return {key: int(estimated[key]) for key in COUNTED}
