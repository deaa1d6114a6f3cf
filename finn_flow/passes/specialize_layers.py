"""Generic layers -> the classes that the backend makes of them: FINN's SpecializeLayers, by our table."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.backends import CLASSES, base_op
from finn_flow.graph import describe
from model.errors import UserError


class SpecializeLayers(Transformation):
    """Set op type and domain of every layer from `finn_flow.backends.CLASSES`; names and attributes stay.

    Raises UserError naming the layers that the backend has no class for.
    """

    def __init__(self, backend: str = "rtl") -> None:
        super().__init__()
        self.backend = backend

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        classes = CLASSES[self.backend]
        if missing := [node for node in model.graph.node if base_op(node.op_type) not in classes]:
            raise UserError("backend", self.backend, f"has no class for {describe(missing)}")
        for node in model.graph.node:
            node.op_type, node.domain = classes[base_op(node.op_type)]
        return model, False
