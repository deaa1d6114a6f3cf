"""Layers that fold together, and all their foldings priced.

A VVAU and the window generator before it are one group: the generator's SIMD is the VVAU's PE, and its
parallel_window goes with a VVAU SIMD above 1. Every other layer is a group of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op, layer_instance
from finn_flow.boards import DspBlock
from finn_flow.folding.fifos import WINDOW_OPS, stream_resources
from finn_flow.folding.rules import Assignment, memory_styles, parallelism
from finn_flow.graph import Graph
from finn_flow.performance import instance_cycles
from finn_flow.resources import Resources, estimate, layer_attributes


@dataclass(frozen=True)
class Option:
    """One folding of a layer or group: cycles of the slowest layer, cost, stream widths in bits by tensor."""

    folding: dict[str, Assignment]  # by layer name
    cycles: dict[str, int]  # by layer name
    resources: Resources
    widths_in: dict[str, int]
    widths_out: dict[str, int]

    @property
    def interval(self) -> int:
        return max(self.cycles.values())


@dataclass(frozen=True)
class Group:
    """Layers in the order of the graph, and their options."""

    layers: tuple[str, ...]
    options: list[Option]


@dataclass(frozen=True)
class _Priced:
    folding: Assignment
    cycles: int
    resources: Resources
    widths_in: list[int]
    widths_out: list[int]


class Pricer:
    """Prices every folding of a layer once; equal layers (a network repeats its blocks) share the work."""

    def __init__(self, model: ModelWrapper, dsp_block: DspBlock) -> None:
        self._model, self._graph, self._dsp_block = model, Graph(model), dsp_block
        self._known: dict[str, list[_Priced]] = {}

    def options(self, node: NodeProto) -> list[Option]:
        attributes = layer_attributes(self._model, node)
        key = node.op_type + json.dumps(attributes, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._price(node, attributes)
        return [self._named(node, priced) for priced in self._known[key]]

    def _price(self, node: NodeProto, attributes: Assignment) -> list[_Priced]:
        op, instance = base_op(node.op_type), layer_instance(node)
        inputs = range(len(self._graph.dynamic_inputs(node)))
        priced = []
        for folds in parallelism(op, attributes):
            for name, value in folds.items():
                instance.set_nodeattr(name, value)
            cycles = instance_cycles(instance)
            widths_in = [int(instance.get_instream_width(i)) for i in inputs]
            widths_out = [int(instance.get_outstream_width(i)) for i in range(len(node.output))]
            for style in memory_styles(op, {**attributes, **folds}):
                cost = estimate(op, {**attributes, **folds, **style}, self._dsp_block)
                priced.append(_Priced({**folds, **style}, cycles, cost, widths_in, widths_out))
        return priced

    def _named(self, node: NodeProto, priced: _Priced) -> Option:
        inputs = self._graph.dynamic_inputs(node)
        return Option(
            {node.name: priced.folding},
            {node.name: priced.cycles},
            priced.resources,
            dict(zip(inputs, priced.widths_in, strict=True)),
            dict(zip(node.output, priced.widths_out, strict=True)),
        )


def folding_groups(model: ModelWrapper, dsp_block: DspBlock) -> list[Group]:
    """The groups of a hardware graph without width converters, each with every legal option."""
    pricer, graph = Pricer(model, dsp_block), Graph(model)
    partners = {graph.producer[node.input[0]].name: node for node in graph.nodes if is_coupled(graph, node)}
    paired = {node.name for node in partners.values()}
    groups = []
    for node in graph.nodes:
        if node.name in partners:
            vvau = partners[node.name]
            pairs = _coupled_options(pricer.options(node), node.name, pricer.options(vvau), vvau, dsp_block)
            groups.append(Group((node.name, vvau.name), pairs))
        elif node.name not in paired:
            groups.append(Group((node.name,), pricer.options(node)))
    return groups


def is_coupled(graph: Graph, node: NodeProto) -> bool:
    """Whether a node is a VVAU that a window generator feeds."""
    producer = graph.producer.get(node.input[0])
    return (
        base_op(node.op_type) == "VVAU" and producer is not None and base_op(producer.op_type) in WINDOW_OPS
    )


def pair_is_legal(window: Assignment, vvau: Assignment) -> bool:
    """The coupling of a window generator and its VVAU."""
    return window["SIMD"] == vvau["PE"] and bool(window["parallel_window"]) == (vvau["SIMD"] > 1)


def _coupled_options(
    windows: Sequence[Option],
    window_name: str,
    vvaus: Sequence[Option],
    vvau: NodeProto,
    dsp_block: DspBlock,
) -> list[Option]:
    tensor = vvau.input[0]
    return [
        Option(
            {**first.folding, **second.folding},
            {**first.cycles, **second.cycles},
            first.resources
            + second.resources
            + stream_resources(first.widths_out[tensor], second.widths_in[tensor], dsp_block),
            first.widths_in,
            second.widths_out,
        )
        for first in windows
        for second in vvaus
        if pair_is_legal(first.folding[window_name], second.folding[vvau.name])
    ]
