"""FIFO depths in FINN's JSON format (fifo_sizing.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import FIFO, base_op, layer_instance
from finn_flow.passes.insert_fifos import LEAST_DEPTH
from model.errors import UserError

FIELD = "fifo_config_file"
EFFECTIVE = 32  # words that FINN counts a FIFO in, for its effective size


def fifo_report(model: ModelWrapper) -> dict[str, Any]:
    """Depths and sizes in bits of a graph's FIFOs under the keys of FINN's fifo_sizing.json."""
    report: dict[str, Any] = {"fifo_depths": {}, "fifo_sizes": {}, "fifo_sizes_effective": {}}
    report |= {"impl_style": {}, "ram_style": {}}
    for node in model.graph.node:
        if base_op(node.op_type) != FIFO:
            continue
        fifo = layer_instance(node)
        depth, width = int(fifo.get_nodeattr("depth")), int(fifo.get_instream_width())
        report["fifo_depths"][node.name] = depth
        report["fifo_sizes"][node.name] = width * depth
        report["fifo_sizes_effective"][node.name] = width * EFFECTIVE * -(-depth // EFFECTIVE)
        report["impl_style"][node.name] = "rtl"
        report["ram_style"][node.name] = fifo.get_nodeattr("ram_style")
    for key in ("fifo_sizes", "fifo_sizes_effective"):
        total = sum(report[key].values()) / 8 / 1024
        report[f"total_{key.replace('sizes', 'size', 1)}_kiB"] = total
    return report


def load_depths(path: Path, tensors: Mapping[str, str]) -> dict[str, int]:
    """Depths by tensor from a file. tensors: {FIFO: its tensor}, every FIFO of the graph.

    Raises UserError for an unreadable file, an unknown or missing FIFO, and an impossible depth.
    """
    try:
        given = json.loads(path.read_text())["fifo_depths"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        rule = f'must hold {{"fifo_depths": {{"{FIFO}_0": 32, ...}}}} ({type(error).__name__}: {error})'
        raise UserError(FIELD, str(path), rule) from None
    names = {name.replace("_rtl", ""): depth for name, depth in given.items()}
    if unknown := [name for name in names if name not in tensors]:
        raise UserError(FIELD, str(path), f"no such FIFO: {', '.join(unknown)}; the graph has {len(tensors)}")
    if missing := [name for name in tensors if name not in names]:
        raise UserError(FIELD, str(path), f"no depth for {', '.join(missing)}; every FIFO needs one")
    for name, depth in names.items():
        if type(depth) is not int or depth < LEAST_DEPTH:
            raise UserError(f"fifo_depths.{name}", depth, f"must be a whole number of words >= {LEAST_DEPTH}")
    return {tensors[name]: depth for name, depth in names.items()}
