"""What a layer becomes on each backend: one table, op x backend -> class.

The graph keeps FINN's generic ops (and ours) until SpecializeLayers; a backend is a column here. An op that
is absent has no class on that backend.
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

# What is inserted into a folded graph.
CONVERTER, FIFO = "StreamingDataWidthConverter", "StreamingFIFO"
INSERTED_OPS = (CONVERTER, FIFO)

# Where an op is, if not in FINN.
GENERIC_DOMAINS = dict.fromkeys(("Requant", "WindowGenerator"), "finn_flow.ops")

# backend -> op -> (op type of the class, domain). `_sv`: ours, in finn_flow/ops; the others are FINN's.
CLASSES: dict[str, dict[str, tuple[str, str]]] = {
    "rtl": {
        **{
            op: (f"{op}_sv_rtl", f"{FINN}.rtl")
            for op in (
                "MVAU",
                "VVAU",
                "Thresholding",
                "Requant",
                "WindowGenerator",
                "DuplicateStreams",
                "ElementwiseAdd",
                *INSERTED_OPS,
            )
        },
        **{op: (f"{op}_rtl", f"{FINN}.rtl") for op in ("ConvolutionInputGenerator", "FMPadding")},
    }
}


def base_op(op_type: str) -> str:
    """The generic op of a specialised one.

    >>> base_op("MVAU_sv_rtl"), base_op("VVAU_hls"), base_op("FMPadding")
    ('MVAU', 'VVAU', 'FMPadding')
    """
    return re.sub("(_sv)?_(rtl|hls)$", "", op_type)


def layer_instance(node: NodeProto, backend: str = "rtl") -> HWCustomOp:
    """FINN's object for a copy of `node`, of the class that `backend` makes of it, else of the generic one.

    Attributes set on it do not reach the graph. It knows cycles, stream widths and folded shapes.
    """
    prepare_finn()
    import finn_flow.ops  # noqa: F401  enters our classes

    op = base_op(node.op_type)
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.op_type, copy.domain = CLASSES[backend].get(op, (op, GENERIC_DOMAINS.get(op, FINN)))
    return getCustomOp(copy)
