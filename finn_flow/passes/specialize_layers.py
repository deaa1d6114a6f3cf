"""Generic layers -> the classes that the backend makes of them: FINN's SpecializeLayers, by our table."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.backends import CLASSES, Choice, base_op, layer_backends
from finn_flow.graph import describe
from model.errors import UserError


class SpecializeLayers(Transformation):
    """Set op type and domain of every layer from `finn_flow.backends.CLASSES`; names and attributes stay.

    backend: of all layers, or of each that it names, as in the configuration. Raises UserError naming the
    layers that the backend has no class for, and as `layer_backends`.
    """

    def __init__(self, backend: Choice = "rtl") -> None:
        super().__init__()
        self.backend = backend

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        backends = layer_backends(model, self.backend)
        classes = {name: CLASSES[backend] for name, backend in backends.items()}
        if missing := [node for node in model.graph.node if base_op(node.op_type) not in classes[node.name]]:
            raise UserError("backend", self.backend, f"has no class for {describe(missing)}")
        for node in model.graph.node:
            node.op_type, node.domain = classes[node.name][base_op(node.op_type)]
        return model, False
