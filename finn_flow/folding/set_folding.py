"""The interval that FINN's SetFolding reaches at a target, without running it: ours must not be larger.

SetFolding visits the foldings of a layer in a fixed order and takes the first that keeps the target. The
order is all that is needed: by PE or SIMD for most ops; for MVAU first SIMD until the weights of one PE
exceed 36 bits, then PE; for a depthwise pair first PE, then with parallel_window SIMD.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.backends import base_op
from finn_flow.folding.groups import Group, Option
from finn_flow.graph import attribute

WEIGHT_WIDTH_MAX = 36  # bits; SetFolding's mvau_wwidth_max


def set_folding_interval(model: ModelWrapper, groups: Sequence[Group], limit: int) -> int:
    """The greatest interval of a group under the foldings that SetFolding takes for `limit` cycles."""
    nodes = {node.name: node for node in model.graph.node}
    chosen = (_first_within(_visited(group, nodes[group.layers[-1]]), limit) for group in groups)
    return max(option.interval for option in chosen)


def _first_within(options: Sequence[Option], limit: int) -> Option:
    return next((option for option in options if option.interval <= limit), options[-1])


def _visited(group: Group, node: NodeProto) -> list[Option]:
    """The options that SetFolding tries, in its order."""
    folds = [(option.folding[node.name], option) for option in group.options]
    if base_op(node.op_type) == "MVAU":
        bits = DataType[attribute(node, "weightDataType")].bitwidth()
        simds = sorted({fold["SIMD"] for fold, _ in folds})
        narrow = [simd for simd in simds if simd * bits <= WEIGHT_WIDTH_MAX] or simds[:1]
        tried = simds[: len(narrow) + 1]  # the first too wide is kept if it reaches the target
        folds = [(f, o) for f, o in folds if f["SIMD"] in (tried if f["PE"] == 1 else narrow[-1:])]
        return [option for _, option in sorted(folds, key=lambda pair: (pair[0]["PE"], pair[0]["SIMD"]))]
    if base_op(node.op_type) == "VVAU":
        most = max(fold["PE"] for fold, _ in folds)
        folds = [(f, o) for f, o in folds if f["SIMD"] == 1 or f["PE"] == most]
        return [option for _, option in sorted(folds, key=lambda pair: (pair[0]["SIMD"], pair[0]["PE"]))]
    return group.options
