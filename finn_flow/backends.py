"""What a layer becomes on each backend: one table, op x backend -> class.

The graph keeps FINN's generic ops (and our `Requant`); a backend is a column here, which code generation will
extend. An op that is absent has no class on that backend yet: FINN has none for VVAU below Versal, for
DuplicateStreams and for ElementwiseAdd on integers; Requant is ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from onnx import NodeProto
from qonnx.custom_op.registry import getCustomOp

from finn_flow.finn_env import prepare_finn
from finn_flow.graph import FINN

if TYPE_CHECKING:
    from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp

GENERIC_DOMAINS = {"Requant": "finn_flow.ops"}  # where an op is, if not in FINN

# backend -> op -> (op type of the class, domain)
CLASSES: dict[str, dict[str, tuple[str, str]]] = {
    "rtl": {
        op: (f"{op}_rtl", f"{FINN}.rtl")
        for op in (
            "MVAU",
            "Thresholding",
            "ConvolutionInputGenerator",
            "FMPadding",
            "StreamingDataWidthConverter",
        )
    }
}


def base_op(op_type: str) -> str:
    """The generic op of a specialised one.

    >>> base_op("MVAU_rtl"), base_op("VVAU_hls"), base_op("FMPadding")
    ('MVAU', 'VVAU', 'FMPadding')
    """
    return re.sub("_(rtl|hls)$", "", op_type)


def layer_instance(node: NodeProto, backend: str = "rtl") -> HWCustomOp:
    """FINN's object for a copy of `node`, of the class that `backend` makes of it, else of the generic one.

    Attributes set on it do not reach the graph. It knows cycles, stream widths and folded shapes.
    """
    prepare_finn()
    op = base_op(node.op_type)
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.op_type, copy.domain = CLASSES[backend].get(op, (op, GENERIC_DOMAINS.get(op, FINN)))
    return getCustomOp(copy)
