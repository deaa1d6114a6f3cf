"""Stable tensor names for a hardware graph."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from finn_flow.graph import Graph


class NameTensors(Transformation):
    """Name what FINN named at random: the output of FMPadding and the copies of DuplicateStreams.

    What is padded for the window `y.window` is `y.padded`; the copies of `x` are `x.copy0`, `x.copy1`. All
    else keeps the name it has.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        graph = Graph(model)
        new: dict[str, str] = {}
        for node in graph.nodes:
            if node.op_type == "FMPadding":
                (window,) = graph.consumers[node.output[0]]
                new[node.output[0]] = f"{window.output[0].removesuffix('.window')}.padded"
            elif node.op_type == "DuplicateStreams":
                new.update({tensor: f"{node.input[0]}.copy{i}" for i, tensor in enumerate(node.output)})
        for node in model.graph.node:
            node.input[:] = [new.get(name, name) for name in node.input]
            node.output[:] = [new.get(name, name) for name in node.output]
        for info in model.graph.value_info:
            info.name = new.get(info.name, info.name)
        for annotation in model.graph.quantization_annotation:
            annotation.tensor_name = new.get(annotation.tensor_name, annotation.tensor_name)
        return model, False
