"""Folded layers -> the C++ that FINN generates for their synthesis, a folder a layer.

MVAU_3/top_MVAU_3.cpp              the function that becomes the layer
MVAU_3/memblock.dat                its weights, where mem_mode is internal_decoupled, for
MVAU_3/MVAU_3_memstream_wrapper.v  FINN's streamer of them
Requant_0/params.h, thresh.h       its constants otherwise
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op, layer_instance
from finn_flow.boards import Board
from finn_flow.graph import attribute
from finn_flow.hls.rules import check_mem_modes
from finn_flow.passes.widen_thresholds import WidenThresholds
from verification.cppsim.check import CppNetwork
from verification.cppsim.layer import CppLayer, HlsLayer, ParameterMemory, Port, WindowLayer
from verification.errors import VerificationError

if TYPE_CHECKING:
    from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp

HEADERS = ("params.h", "params.hpp", "thresh.h")
MEMORY = "memblock.dat"
UNUSED = ("hls_syn_*.tcl", "*.npy")  # FINN's script of one layer, and what its own cppsim reads


def cpp_network(
    model: ModelWrapper, board: Board, folder: Path, advance: Callable[[int], None] = lambda layers: None
) -> CppNetwork:
    """All layers of a folded graph in C++, ready to be checked. folder: for their code, needed until then."""
    twin = model.transform(WidenThresholds(), make_deepcopy=True)
    names = [node.name for node in model.graph.node]
    return CppNetwork(model, write_layers(twin, names, board, folder, advance))


def write_layers(
    model: ModelWrapper,
    names: Sequence[str],
    board: Board,
    folder: Path,
    advance: Callable[[int], None] = lambda layers: None,
) -> list[CppLayer]:
    """Write the code of the named layers below `folder`; the same as C++ simulation knows them.

    model: the folded graph after WidenThresholds. WindowGenerator, of which FINN has no HLS code, has no
    files; it is simulated by a model of our RTL.
    """
    check_mem_modes(model, names)
    layers: list[CppLayer] = []
    for node in model.graph.node:
        if node.name in names:
            layers.append(_write(model, node, board, folder / node.name))
            advance(1)
    return layers


def _write(model: ModelWrapper, node: NodeProto, board: Board, folder: Path) -> CppLayer:
    if base_op(node.op_type) == "WindowGenerator":
        return _window(node)
    layer = layer_instance(node, "hls")
    folder.mkdir(parents=True)
    layer.set_nodeattr("code_gen_dir_ipgen", str(folder))
    try:
        layer.code_generation_ipgen(model, board.part, board.clk_period_ns)
    except Exception as error:  # FINN raises what it likes where it has no code for a folding
        raise VerificationError(
            f"{node.name}: FINN has no HLS code for it: {' '.join(str(error).split())}"
        ) from error
    for pattern in UNUSED:
        for path in folder.glob(pattern):
            path.unlink()
    for path in folder.glob("*.v"):  # the folder's name is a hidden one for now
        path.write_text(path.read_text().replace(f"{folder}/", "./"))
    inputs, outputs = _ports(node, layer)
    return HlsLayer(
        node.name,
        inputs,
        outputs,
        top=node.name,
        source=(folder / f"top_{node.name}.cpp").read_text(),
        headers={name: (folder / name).read_text() for name in HEADERS if (folder / name).is_file()},
        parameters=_memory(layer, folder / MEMORY),
        element=_element(layer),
    )


def _window(node: NodeProto) -> WindowLayer:
    layer = layer_instance(node)
    (height, width), (out_height, out_width) = attribute(node, "IFMDim"), attribute(node, "OFMDim")
    (kernel_h, kernel_w), (stride_h, stride_w) = attribute(node, "ConvKernelDim"), attribute(node, "Stride")
    top, left, *_ = attribute(node, "Padding")
    shape = {
        **{"height": height, "width": width, "channels": attribute(node, "IFMChannels")},
        **{"simd": attribute(node, "SIMD"), "kernel_h": kernel_h, "kernel_w": kernel_w},
        **{"stride_h": stride_h, "stride_w": stride_w, "top": top, "left": left},
        **{"out_height": out_height, "out_width": out_width, "depthwise": attribute(node, "depthwise")},
    }
    return WindowLayer(node.name, *_ports(node, layer), shape)


def _ports(node: NodeProto, layer: HWCustomOp) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Streams of activations; a parameter memory's is not among them."""
    count = len(node.input) if base_op(node.op_type) == "ElementwiseAdd" else 1
    inputs = [
        Port(name, int(layer.get_instream_width(i)), math.prod(layer.get_folded_input_shape(i)[:-1]))
        for i, name in enumerate(node.input[:count])
    ]
    outputs = [
        Port(name, int(layer.get_outstream_width(i)), math.prod(layer.get_folded_output_shape(i)[:-1]))
        for i, name in enumerate(node.output)
    ]
    return tuple(inputs), tuple(outputs)


def _memory(layer: HWCustomOp, file: Path) -> ParameterMemory | None:
    """The memory that FINN's streamer reads once for each vector of channels."""
    if not file.is_file():
        return None
    places = "Dim" if base_op(layer.onnx_node.op_type) == "VVAU" else "numInputVectors"
    return ParameterMemory(file, int(layer.get_instream_width(1)), math.prod(layer.get_nodeattr(places)))


def _element(layer: HWCustomOp) -> str:
    by_vectors = layer.get_nodeattr("cpp_interface") == "hls_vector"
    return str(layer.get_input_datatype().get_hls_datatype_str()) if by_vectors else ""
