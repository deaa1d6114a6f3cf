"""Thresholding -> Requant where a bank of thresholds would be dearer."""

from __future__ import annotations

import math

import numpy as np
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.boards import DspBlock
from finn_flow.graph import Graph, attribute, integer_type, set_nodes
from finn_flow.passes.accumulators import output_range
from finn_flow.passes.requant_parameters import find_requant_parameters
from finn_flow.resources import estimate, layer_attributes

# The choice is made before folding, so it is made at the parallelism that a balanced design of this II needs.
NOMINAL_CYCLES = 200_000
DSP_BLOCK: DspBlock = "DSP48E2"
# Per one on the boards of the table: LUTs a DSP are 109 (ZCU102) to 242 (Pynq-Z2), LUTs a BRAM18 150 to 407.
LUTS_PER_DSP, LUTS_PER_BRAM18 = 200, 250


class ReplaceThresholdsByRequant(Transformation):
    """Replace a Thresholding by a Requant that is equal on every accumulator value and cheaper.

    Equality is proved by `find_requant_parameters` over the whole range that the accumulators can reach.
    Where no parameters are equal, or the bank is cheaper, the Thresholding stays. At 8 bits a bank holds 255
    thresholds a channel, 44 Mbit for the network, which no board has.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        nodes = []
        for node in graph.nodes:
            candidate = _requant(graph, node) if node.op_type == "Thresholding" else None
            cheaper = candidate is not None and _luts(model, candidate) < _luts(model, node)
            nodes.append(candidate if candidate is not None and cheaper else node)
        set_nodes(model, nodes)
        _drop_unused_constants(model)
        return model, False


def _drop_unused_constants(model: ModelWrapper) -> None:
    """Constants that no node reads: banks that were replaced, parameters of candidates not taken."""
    graph = model.graph
    used = {tensor for node in graph.node for tensor in node.input}
    unused = {constant.name for constant in graph.initializer} - used
    for entries, name in (
        (graph.initializer, "name"),
        (graph.value_info, "name"),
        (graph.quantization_annotation, "tensor_name"),
    ):
        kept = [entry for entry in entries if getattr(entry, name) not in unused]
        del entries[:]
        entries.extend(kept)


def _requant(graph: Graph, node: NodeProto) -> NodeProto | None:
    """The Requant that equals a Thresholding, its parameters added to the model; None if there is none."""
    model, channels = graph.model, attribute(node, "NumChannels")
    lo, hi = output_range(graph, graph.producer[node.input[0]], channels)
    bank = graph.constant(node.input[1]).astype(np.int64)
    thresholds = np.broadcast_to(bank, (channels, bank.shape[1]))
    parameters = find_requant_parameters(thresholds, attribute(node, "ActVal", 0), lo, hi)
    if parameters is None:
        return None
    base, inputs = node.output[0], [node.input[0]]
    for name, value in vars(parameters).items():
        inputs.append(f"{base}.{name}")
        model.set_initializer(inputs[-1], value.astype(np.float64))
        model.set_tensor_datatype(inputs[-1], integer_type(value.min(), value.max()))
    return helper.make_node(
        "Requant",
        inputs,
        [base],
        name=node.name.replace("Thresholding", "Requant"),
        domain="finn_flow.ops",
        backend="fpgadataflow",
        NumChannels=channels,
        PE=1,
        inputDataType=model.get_tensor_datatype(node.input[0]).name,
        outputDataType=attribute(node, "outputDataType"),
        numInputVectors=attribute(node, "numInputVectors"),
    )


def _luts(model: ModelWrapper, node: NodeProto) -> float:
    """Price of a node in LUTs, at the least legal PE that keeps up with the nominal II."""
    channels = attribute(node, "NumChannels")
    values = math.prod(attribute(node, "numInputVectors")) * channels
    legal = (pe for pe in range(1, channels + 1) if channels % pe == 0 and values <= NOMINAL_CYCLES * pe)
    attributes = {**layer_attributes(model, node), "PE": next(legal, channels)}
    cost = estimate(node.op_type, attributes, DSP_BLOCK)
    return cost.lut + LUTS_PER_DSP * cost.dsp + LUTS_PER_BRAM18 * cost.bram18
