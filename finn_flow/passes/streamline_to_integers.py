"""QONNX with float scales -> a graph of integers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import GENERAL, Graph, GraphBuilder, attribute, describe, integer_type
from finn_flow.passes.accumulators import dot_product_range
from finn_flow.passes.integer_thresholds import Floats, Ints, Quantiser, integer_thresholds
from model.errors import UserError

EXACT_IN_FLOAT32 = 2**24  # FINN keeps integers in float32 tensors


@dataclass(frozen=True)
class Value:
    """What a float tensor of the QONNX graph is: scale * (an integer tensor of the new graph) + offset.

    scale, offset, lo, hi: (C,), where lo..hi is what the integers can reach. `weight` is the initialiser that
    made them, if a convolution did; `relu` says that a ReLU waits for its quantiser.
    """

    tensor: str
    shape: list[int]
    scale: Floats
    offset: Floats
    lo: Ints
    hi: Ints
    weight: str | None = None
    relu: bool = False

    @property
    def is_activation(self) -> bool:
        """Whether it is a plain scaled integer, which convolutions and residual adds need."""
        return not self.relu and not self.offset.any() and bool((self.scale == self.scale[0]).all())


class StreamlineToIntegers(Transformation):
    """Absorb every scale, offset, batch norm and ReLU into integer thresholds, in one walk over the graph.

    It does at once, in linear time and float64, what FINN's ConvertQONNXtoFINN, BatchNormToAffine,
    Move*Past*, CollapseRepeated*, Absorb*IntoMultiThreshold, FactorOutMulSignMagnitude, Absorb1BitMulIntoConv
    and RoundAndClipThresholds do in float32 by rescanning: each tensor is known as scale * integer + offset,
    and a quantiser turns that into thresholds over the integers. Left are Conv, MultiThreshold and Add.

    After `apply`, `host_scale` and `host_offset` (E,) are what the host does to the accumulators:
    embedding = host_scale * accumulators + host_offset.

    Raises UserError naming the nodes that have no integer form.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        self._graph = graph = Graph(model)
        self._new = GraphBuilder()
        self._values: dict[str, Value] = {}
        visit: dict[str, Callable[[NodeProto], Value]] = {
            "Mul": self._mul,
            "BatchNormalization": self._batch_norm,
            "Relu": lambda node: replace(self._in(node), relu=True),
            "Conv": self._conv,
            "Add": self._add,
            "Flatten": self._in,
            "Quant": self._quant,
        }
        nodes = [n for n in graph.nodes if not (n.op_type == "Quant" and graph.is_constant(n.input[0]))]
        stuck = [node for node in nodes if node.op_type not in visit]
        if stuck:
            raise UserError("graph", describe(stuck), "these nodes have no integer form")
        self._values[graph.input] = self._input(model.get_tensor_datatype(graph.input))
        for node in nodes:
            self._values[node.output[0]] = visit[node.op_type](node)
        result = self._values[graph.output]
        self._rename(result, "accumulators")
        self.host_scale, self.host_offset = result.scale, result.offset
        return self._new.build(graph.input, "accumulators"), False

    def _in(self, node: NodeProto) -> Value:
        return self._values[self._graph.dynamic_inputs(node)[0]]

    def _input(self, datatype: BaseDataType) -> Value:
        name, shape = self._graph.input, self._graph.shape(self._graph.input)
        self._new.tensor(name, shape, datatype, "NCHW")
        lo, hi = (np.full(shape[1], int(x), dtype=np.int64) for x in (datatype.min(), datatype.max()))
        return Value(name, shape, np.ones(shape[1]), np.zeros(shape[1]), lo, hi)

    def _mul(self, node: NodeProto) -> Value:
        value = self._in(node)
        factor = self._graph.constant(next(t for t in node.input if self._graph.is_constant(t))).reshape(-1)
        return replace(value, scale=value.scale * factor, offset=value.offset * factor)

    def _batch_norm(self, node: NodeProto) -> Value:
        value = self._in(node)
        gamma, beta, mean, variance = (self._graph.constant(t) for t in node.input[1:5])
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        return replace(value, scale=value.scale * factor, offset=(value.offset - mean) * factor + beta)

    def _conv(self, node: NodeProto) -> Value:
        value = self._in(node)
        if not value.is_activation:
            raise UserError("graph", describe([node]), "a convolution must read a quantised activation")
        weights, scale, datatype = self._integer_weights(node)
        groups = attribute(node, "group", 1)
        columns = weights.reshape(len(weights), -1).T
        lo, hi = dot_product_range(columns, int(value.lo[0]), int(value.hi[0]))
        if max(-lo.min(), hi.max()) >= EXACT_IN_FLOAT32:
            raise UserError("graph", describe([node]), "its accumulators need more than 24 bits")
        shape = self._graph.shape(node.output[0])
        output = self._new.tensor(node.output[0], shape, integer_type(lo.min(), hi.max()), "NCHW")
        weight = self._new.constant(node.input[1], weights, datatype)
        attributes = {name: attribute(node, name) for name in ("kernel_shape", "strides", "pads")}
        self._new.node("Conv", [value.tensor, weight], output, group=groups, **attributes)
        return Value(output, shape, value.scale[0] * scale, np.zeros_like(scale), lo, hi, weight)

    def _integer_weights(self, node: NodeProto) -> tuple[Ints, Floats, BaseDataType]:
        """Weights of a Conv as integers (O, I/groups, kh, kw), their scale (O,), their type."""
        quant = self._graph.producer.get(node.input[1])
        if quant is None or quant.op_type != "Quant":
            raise UserError("graph", describe([node]), "the weights of a convolution must be quantised")
        quantiser, _ = self._quantiser(quant)
        w = self._graph.constant(quant.input[0])
        scale = np.broadcast_to(self._graph.constant(quant.input[1]).reshape(-1), w.shape[:1])
        integers = np.round(w / scale.reshape(-1, *[1] * (w.ndim - 1)))
        integers = np.clip(integers, quantiser.low, quantiser.high).astype(np.int64)
        largest = int(np.abs(integers).max())  # either sign, since a channel may change its sign
        return integers, scale.copy(), integer_type(-largest, largest)

    def _add(self, node: NodeProto) -> Value:
        """A residual add: both sides must be integers under one scale, so that the sum is too."""
        a, b = (self._values[tensor] for tensor in node.input)
        if not (a.is_activation and b.is_activation and a.scale[0] == b.scale[0]):
            raise UserError("graph", describe([node]), "an add must join two activations of one scale")
        lo, hi = a.lo + b.lo, a.hi + b.hi
        output = self._new.tensor(node.output[0], a.shape, integer_type(lo.min(), hi.max()), "NCHW")
        self._new.node("Add", [a.tensor, b.tensor], output)
        return Value(output, a.shape, a.scale, a.offset, lo, hi)

    def _quant(self, node: NodeProto) -> Value:
        value = self._in(node)
        quantiser, datatype = self._quantiser(node)
        if value.relu and quantiser.low < 0:
            raise UserError("graph", describe([node]), "a ReLU needs an unsigned quantiser")
        value = self._positive(value, node)
        thresholds = integer_thresholds(quantiser, value.scale, value.offset, value.lo, value.hi)
        if (thresholds == thresholds[0]).all():
            thresholds = thresholds[:1]  # one bank serves all channels
        name = node.output[0]
        self._rename(value, f"{name}.acc")
        accumulators = integer_type(value.lo.min(), value.hi.max())
        self._new.tensor(f"{name}.acc", value.shape, accumulators, "NCHW")
        bank_type = integer_type(min(thresholds.min(), -int(accumulators.signed())), thresholds.max())
        bank = self._new.constant(f"{name}.thresholds", thresholds, bank_type)
        self._new.tensor(name, value.shape, datatype, "NCHW")
        self._new.node(
            "MultiThreshold",
            [f"{name}.acc", bank],
            name,
            GENERAL,
            out_dtype=datatype.name,
            out_scale=1.0,
            out_bias=float(quantiser.low),
            data_layout="NCHW",
        )
        channels = len(value.scale)
        lo, hi = (np.full(channels, x, dtype=np.int64) for x in (quantiser.low, quantiser.high))
        return Value(name, value.shape, np.full(channels, quantiser.scale), np.zeros(channels), lo, hi)

    def _positive(self, value: Value, node: NodeProto) -> Value:
        """Thresholds rise with the integer: where the scale is negative, the weights change sign instead."""
        flip = np.where(value.scale < 0, -1, 1)
        if (flip == 1).all():
            return value
        if value.weight is None:
            raise UserError("graph", describe([node]), "a negative scale must come from a convolution")
        weights = self._new.constants[value.weight]
        self._new.constants[value.weight] = weights * flip.reshape(-1, *[1] * (weights.ndim - 1))
        lo, hi = np.where(flip < 0, -value.hi, value.lo), np.where(flip < 0, -value.lo, value.hi)
        return replace(value, scale=value.scale * flip, lo=lo, hi=hi)

    def _quantiser(self, node: NodeProto) -> tuple[Quantiser, BaseDataType]:
        """The quantiser of a Quant node; its scale means something for activations (per tensor) only."""
        _, scale, zero_point, bits = (None, *(self._graph.constant(t) for t in node.input[1:4]))
        mode = attribute(node, "rounding_mode", "ROUND")
        if mode != "ROUND" or np.any(zero_point != 0):
            raise UserError(
                "graph", describe([node]), "a quantiser must round half to even, without zero point"
            )
        n, signed = int(np.asarray(bits).item()), bool(attribute(node, "signed"))
        narrow = int(attribute(node, "narrow"))
        low, high = (-(2 ** (n - 1)) + narrow, 2 ** (n - 1) - 1) if signed else (0, 2**n - 1 - narrow)
        datatype = DataType[f"{'INT' if signed else 'UINT'}{n}"]
        return Quantiser(float(np.asarray(scale).reshape(-1)[0]), low, high), datatype

    def _rename(self, value: Value, name: str) -> None:
        """Name an integer tensor after the activation that is made of it."""
        self._new.rename(value.tensor, name)
        if value.weight is not None:
            self._new.rename(value.weight, name.removesuffix(".acc") + ".weight")
