"""Layers that are too large to synthesise: from smaller foldings of the same layer.

What synthesis finds is compared with the cost model at each smaller folding; their ratio, which hardly
depends on the folding, scales the model's price of the layer. How well that does is measured on the largest
of the smaller foldings, extrapolated from the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op
from finn_flow.boards import DspBlock
from finn_flow.folding.rules import Assignment, parallelism
from finn_flow.resource_counts import RESOURCE_NAMES, Resources
from finn_flow.resources import estimate, layer_attributes
from finn_flow.synthesis.yosys import FAMILIES, layer_module, synthesise
from verification.verilator.build import Progress, silent

FOLDINGS = 3  # smaller ones to synthesise, each about half as parallel as the next


@dataclass(frozen=True)
class Extrapolation:
    """A layer's cost, from these foldings; error: relative, by resource, of the largest from the others."""

    resources: Resources
    foldings: list[Assignment]
    error: dict[str, float]


def extrapolate(
    model: ModelWrapper, node: NodeProto, dsp_block: DspBlock, folder: Path, progress: Progress = silent
) -> Extrapolation:
    """The cost of a layer that is too large; the model's where no smaller folding can be synthesised."""
    op, attributes = base_op(node.op_type), layer_attributes(model, node)
    modules, foldings = [], smaller_foldings(op, attributes)
    for i, folding in enumerate(foldings):
        small = NodeProto()
        small.CopyFrom(node)
        small.name = f"{node.name}_smaller_{i}"
        kept = [entry for entry in node.attribute if entry.name not in folding]
        del small.attribute[:]
        small.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in folding.items())])
        modules.append(layer_module(model, small, folder))
    found = [
        (folding, estimate(op, {**attributes, **folding}, dsp_block), outcome)
        for folding, outcome in zip(foldings, synthesise(modules, FAMILIES[dsp_block], progress), strict=True)
        if isinstance(outcome, Resources)
    ]
    target = estimate(op, attributes, dsp_block)
    pairs = [(priced, measured) for _, priced, measured in found]
    *others, last = pairs or [(target, target)]
    guess = scaled(last[0], others)
    error = {
        name: abs(getattr(guess, name) - getattr(last[1], name)) / getattr(last[1], name)
        for name in RESOURCE_NAMES
        if others and getattr(last[1], name)
    }
    return Extrapolation(scaled(target, pairs), [folding for folding, _, _ in found], error)


def smaller_foldings(op: str, attributes: Assignment) -> list[Assignment]:
    """Up to FOLDINGS of them, ascending: of each halving of the parallelism, the one nearest to its shape."""
    legal = parallelism(op, attributes)
    now = _size({name: attributes[name] for name in legal[0]})
    chosen: list[Assignment] = []
    for _ in range(FOLDINGS):
        fits = [folding for folding in legal if _size(folding) <= now / 2 and _same_kind(folding, attributes)]
        if not fits:
            break
        most = max(_size(folding) for folding in fits)
        same = [folding for folding in fits if _size(folding) == most]
        chosen.append(min(same, key=lambda folding: _distance(folding, attributes)))
        now = most
    return chosen[::-1]


def scaled(priced: Resources, pairs: Sequence[tuple[Resources, Resources]]) -> Resources:
    """A price times the mean ratio of what was measured to what was priced."""
    counts = {}
    for name in RESOURCE_NAMES:
        ratios = [getattr(m, name) / getattr(p, name) for p, m in pairs if getattr(p, name)]
        counts[name] = round(getattr(priced, name) * (sum(ratios) / len(ratios) if ratios else 1))
    return Resources(**counts)


def _size(folding: Assignment) -> int:
    return math.prod(value for name, value in folding.items() if name != "parallel_window")


def _same_kind(folding: Assignment, attributes: Assignment) -> bool:
    return folding.get("parallel_window", 0) == attributes.get("parallel_window", 0)


def _distance(folding: Assignment, attributes: Assignment) -> float:
    """How much the shape differs: ratios of the parallelisms."""
    ratios = [
        math.log(attributes[name] / value) for name, value in folding.items() if name != "parallel_window"
    ]
    return max(ratios) - min(ratios)
