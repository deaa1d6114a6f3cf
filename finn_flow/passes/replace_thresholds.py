"""Thresholding -> Requant where a bank of thresholds would be dearer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import Graph, attribute, integer_type
from finn_flow.passes.accumulators import output_range
from finn_flow.passes.requant_parameters import RequantParameters, find_requant_parameters

# The choice is made before folding, so it is made at the parallelism that a balanced design of this II needs.
NOMINAL_CYCLES = 200_000
LUT_BITS = 64  # a LUT6 as distributed memory
DSP_IN_LUTS = 200  # LUTs per DSP of the boards: 133 (ZCU104) to 242 (Pynq-Z2)
DSP_OPERANDS = (26, 17)  # unsigned operand widths of a DSP48E2; the E1 is one bit narrower


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
            replacement = self._requant(graph, node) if node.op_type == "Thresholding" else None
            nodes.append(replacement or node)
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del model.graph.node[:]
        model.graph.node.extend(copies)
        used = {tensor for node in copies for tensor in node.input}
        for tensor in [t for t in model.graph.initializer if t.name not in used]:
            model.graph.initializer.remove(tensor)
        return model, False

    def _requant(self, graph: Graph, node: NodeProto) -> NodeProto | None:
        model, channels = graph.model, attribute(node, "NumChannels")
        lo, hi = output_range(graph, graph.producer[node.input[0]], channels)
        bank = graph.constant(node.input[1]).astype(np.int64)
        thresholds = np.broadcast_to(bank, (channels, bank.shape[1]))
        parameters = find_requant_parameters(thresholds, attribute(node, "ActVal", 0), lo, hi)
        vectors = attribute(node, "numInputVectors")
        pe = -(-int(np.prod(vectors)) * channels // NOMINAL_CYCLES)
        in_bits = model.get_tensor_datatype(node.input[0]).bitwidth()
        bank_bits = model.get_tensor_datatype(node.input[1]).bitwidth()
        if parameters is None or requant_luts(parameters, in_bits, pe) >= bank_luts(
            thresholds, bank_bits, pe
        ):
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
            outputDataType=DataType[attribute(node, "outputDataType")].name,
            numInputVectors=vectors,
        )


def bank_luts(thresholds: NDArray, bits: int, pe: int) -> float:
    """LUTs of a threshold bank: its memory, and the comparators of a binary search."""
    channels, steps = thresholds.shape
    return channels * steps * bits / LUT_BITS + pe * int(steps).bit_length() * bits


def requant_luts(parameters: RequantParameters, in_bits: int, pe: int) -> float:
    """LUTs, with DSPs converted, of a Requant: parameter memory, multiplier, adder, shift and clamp."""
    scale, bias, shift = parameters.scale, parameters.bias, parameters.shift
    if (scale == 1).all() and (shift == 0).all():
        return pe * 2 * in_bits  # a clamp
    scale_bits, bias_bits, shift_bits = (int(np.abs(v).max()).bit_length() for v in (scale, bias, shift))
    wide, narrow = DSP_OPERANDS
    dsps = min(
        -(-in_bits // wide) * -(-scale_bits // narrow),
        -(-in_bits // narrow) * -(-scale_bits // wide),
    )
    memory = len(scale) * (scale_bits + bias_bits + shift_bits) / LUT_BITS
    return memory + pe * (dsps * DSP_IN_LUTS + 2 * in_bits)
