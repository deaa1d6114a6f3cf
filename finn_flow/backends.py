"""What a layer becomes on each backend: one table, op x backend -> class.

The graph keeps FINN's generic ops (and ours) until SpecializeLayers; a backend is a column here. An op that
is absent has no class on that backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_flow.finn_env import prepare_finn
from finn_flow.graph import FINN
from model.config_errors import similar
from model.errors import UserError

if TYPE_CHECKING:
    from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp

# What is inserted into a folded graph.
CONVERTER, FIFO = "StreamingDataWidthConverter", "StreamingFIFO"
INSERTED_OPS = (CONVERTER, FIFO)

HLS_WRAPPER = "_hls.v"  # end of the file's name that brings Vitis HLS's Verilog of a layer into the netlist

# Where an op is, if not in FINN.
GENERIC_DOMAINS = dict.fromkeys(("Requant", "WindowGenerator"), "finn_flow.ops")

# backend -> op -> (op type of the class, domain). `_sv`, `_int`: ours, in finn_flow/ops; the others
# are FINN's.
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
    },
    "hls": {
        **{
            op: (f"{op}_hls", f"{FINN}.hls")
            for op in ("MVAU", "VVAU", "Thresholding", "DuplicateStreams", "ElementwiseAdd", CONVERTER)
        },
        "Requant": ("Requant_int_hls", f"{FINN}.hls"),
    },
}


Choice = (
    str | Mapping[str, str]
)  # one backend for all layers, or one for each layer named, RTL for the others


def layer_backends(model: ModelWrapper, choice: Choice) -> dict[str, str]:
    """The backend of every layer. Where all shall be HLS, an op that has no HLS form stays RTL, as in FINN.

    Raises UserError for a layer that there is not, and for a named one that has no HLS form.
    """
    ops = {node.name: base_op(node.op_type) for node in model.graph.node}
    if isinstance(choice, str):
        return {name: choice if op in CLASSES[choice] else "rtl" for name, op in ops.items()}
    for name, backend in choice.items():
        if name not in ops:
            raise UserError(f"backend.{name}", backend, similar(name, list(ops)))
        if ops[name] not in CLASSES[backend]:
            known = ", ".join(CLASSES[backend])
            raise UserError(
                f"backend.{name}", backend, f"{ops[name]} has no HLS form; those that have: {known}"
            )
    return {name: choice.get(name, "rtl") for name in ops}


def hls_layers(model: ModelWrapper, choice: Choice) -> list[str]:
    """Names of the layers that are HLS. Raises UserError as `layer_backends`."""
    return [name for name, backend in layer_backends(model, choice).items() if backend == "hls"]


def base_op(op_type: str) -> str:
    """The generic op of a specialised one.

    >>> base_op("MVAU_sv_rtl"), base_op("VVAU_hls"), base_op("Requant_int_hls"), base_op("FMPadding")
    ('MVAU', 'VVAU', 'Requant', 'FMPadding')
    """
    return re.sub("(_sv|_int)?_(rtl|hls)$", "", op_type)


def is_hls(node: NodeProto) -> bool:
    """Whether SpecializeLayers made a layer HLS."""
    return bool(node.op_type.endswith("_hls"))


def module_name(node: NodeProto) -> str:
    """The Verilog module of a specialised layer, with our ports; Vitis HLS's own is called as the layer."""
    return f"{node.name}{HLS_WRAPPER.removesuffix('.v')}" if is_hls(node) else str(node.name)


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
