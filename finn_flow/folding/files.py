"""A folding as a file in FINN's format (`auto_folding_config.json`, `ApplyConfig`).

    {"Defaults": {"ram_style": ["block", ["MVAU"]]}, "MVAU_0": {"PE": 16, "SIMD": 3}, ...}

Layers go by the names of the graph; FINN's names after specialisation (`MVAU_rtl_0`) mean the same. A default
holds for the listed op types or for "all", and the layer's own value comes before it. Unlike in FINN every
layer must be there, and its parallelism must be given and legal. Entries of FIFOs and width converters, which
FINN's files also hold, are passed over: neither is there before folding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import INSERTED_OPS, base_op, layer_instance
from finn_flow.folding.groups import is_coupled
from finn_flow.folding.rules import Assignment, parallelism
from finn_flow.folding.solver import Folding
from finn_flow.graph import Graph
from finn_flow.resources import layer_attributes
from model.errors import UserError

FIELD = "folding_config_file"
FUSED_OPS = ("FMPadding",)  # gone from a graph whose window generators pad by themselves
OPTIONAL = {"parallel_window": 0}  # as FINN has it where a file is silent


def save_folding(path: Path, folding: Folding) -> None:
    """Write a folding as FINN's auto_folding_config.json."""
    path.write_text(json.dumps({"Defaults": {}, **folding.layers}, indent=2) + "\n")


def load_folding(path: Path, model: ModelWrapper) -> Folding:
    """The folding in a file, for a hardware graph. Raises UserError: the layer, the value, what is legal."""
    entries = _read(path)
    defaults = entries.pop("Defaults", {})
    given = _by_layer(entries)
    graph = Graph(model)
    _check_names(path, graph, given)
    layers: dict[str, Assignment] = {}
    for node in graph.nodes:
        values = {**_defaults(defaults, node), **given[node.name]}
        layers[node.name] = _checked(model, node, values)
    for node in graph.nodes:
        if is_coupled(graph, node):
            _check_pair(layers, graph.producer[node.input[0]].name, node.name)
    return Folding(layers)


def _read(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(FIELD, str(path), f"not a readable JSON file: {error}") from None
    if not isinstance(entries, dict) or not all(isinstance(value, dict) for value in entries.values()):
        raise UserError(FIELD, str(path), 'must hold an object of objects, {"MVAU_0": {"PE": 1, ...}, ...}')
    return entries


def _by_layer(entries: Mapping[str, Any]) -> dict[str, Assignment]:
    """Entries under the graph's names, without those of layers that are inserted after folding."""
    result: dict[str, Assignment] = {}
    for name, values in entries.items():
        layer = re.sub(r"_(rtl|hls)(?=_\d+$)", "", name)
        if layer.startswith(INSERTED_OPS):
            continue
        if layer in result:
            raise UserError(FIELD, name, f"layer {layer} is given twice")
        result[layer] = values
    return result


def _check_names(path: Path, graph: Graph, given: Mapping[str, Any]) -> None:
    names = [node.name for node in graph.nodes]
    if unknown := [name for name in given if name not in names and not name.startswith(FUSED_OPS)]:
        ops: dict[str, list[str]] = {}
        for node in graph.nodes:
            ops.setdefault(base_op(node.op_type), []).append(node.name)
        known = ", ".join(f"{same[0]} to {same[-1]}" if len(same) > 1 else same[0] for same in ops.values())
        raise UserError(FIELD, str(path), f"no such layer: {', '.join(unknown)}; the graph has {known}")
    if missing := [name for name in names if name not in given]:
        raise UserError(FIELD, str(path), f"no entry for {', '.join(missing)}; every layer needs one")


def _defaults(defaults: Mapping[str, Any], node: NodeProto) -> Assignment:
    """Values for a node's op type: {attribute: [value, op types or "all", value, op types, ...]}."""
    result: Assignment = {}
    for name, pairs in defaults.items():
        if not isinstance(pairs, list) or len(pairs) % 2:
            raise UserError(
                f"Defaults.{name}", pairs, 'must be a list, [value, ["MVAU", ...]] or [value, "all"]'
            )
        for value, ops in zip(pairs[::2], pairs[1::2], strict=True):
            if ops == "all" or base_op(node.op_type) in map(base_op, ops):
                result[name] = value
    return result


def _checked(model: ModelWrapper, node: NodeProto, values: Assignment) -> Assignment:
    """The values of one layer, in FINN's attributes, each of them legal by itself."""
    legal: dict[str, list[int]] = {}
    for assignment in parallelism(base_op(node.op_type), layer_attributes(model, node)):
        for name, value in assignment.items():
            legal.setdefault(name, []).append(value)
    values = {**{name: value for name, value in OPTIONAL.items() if name in legal}, **values}
    for name, allowed in legal.items():
        value = values.get(name)
        if type(value) is not int or value not in allowed:
            choices = ", ".join(map(str, sorted(set(allowed))))
            state = "missing" if value is None else "illegal"
            raise UserError(f"{node.name}.{name}", value, f"{state}; legal values: {choices}")
    types = {**_types(node, "hls"), **_types(node, "rtl")}
    for name, value in values.items():
        _check_attribute(node.name, name, value, types)
    return values


def _types(node: NodeProto, backend: str) -> dict[str, Any]:
    return layer_instance(node, backend).get_nodeattr_types()


def _check_attribute(layer: str, name: str, value: object, types: Mapping[str, Any]) -> None:
    """Whether FINN's class has the attribute, and the value is of its type and among those it allows."""
    if name not in types:
        raise UserError(f"{layer}.{name}", value, "no such attribute of this layer")
    kind, _, _, *allowed = types[name]
    python = {"i": int, "s": str, "ints": list, "f": float, "strings": list}.get(kind, object)
    if not isinstance(value, python) or isinstance(value, bool):
        raise UserError(f"{layer}.{name}", value, f"must be of type {python.__name__}")
    if allowed and allowed[0] is not None and value not in allowed[0]:
        choices = ", ".join(repr(choice) for choice in sorted(allowed[0]))
        raise UserError(f"{layer}.{name}", value, f"illegal; legal values: {choices}")


def _check_pair(layers: Mapping[str, Assignment], window: str, vvau: str) -> None:
    """The coupling of `finn_flow.folding.groups`, and that the window generator can do it."""
    pe, simd = layers[vvau]["PE"], layers[vvau]["SIMD"]
    if layers[window]["SIMD"] != pe:
        raise UserError(f"{window}.SIMD", layers[window]["SIMD"], f"must equal {vvau}.PE, which is {pe}")
    if bool(layers[window]["parallel_window"]) != (simd > 1):
        rule = f"must be {int(simd > 1)} where {vvau}.SIMD is {simd}"
        raise UserError(f"{window}.parallel_window", layers[window]["parallel_window"], rule)
