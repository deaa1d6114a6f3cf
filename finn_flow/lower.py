"""The integer graph -> FINN's hardware layers: the passes, in order."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveUniqueNodeNames

from finn_flow.finn_env import prepare_finn
from finn_flow.graph_spec import HARDWARE, LOWERED, GraphSpec, check_graph
from finn_flow.passes.infer_elementwise_add import InferElementwiseAdd
from finn_flow.passes.lower_convs_to_matmul import LowerConvsToMatMul
from finn_flow.passes.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn_flow.passes.name_tensors import NameTensors
from finn_flow.passes.replace_thresholds import ReplaceThresholdsByRequant


def lowering_passes() -> list[tuple[list[Transformation], GraphSpec]]:
    """Groups of passes, each with the form that the graph has after it. FINN's are marked."""
    prepare_finn()
    from finn.transformation.fpgadataflow.convert_to_hw import (
        conv_inp_gen,
        duplicate_streams,
        quantized_matrix_vector_activation,
        thresholding,
        vector_vector_activation,
    )

    return [
        ([LowerConvsToMatMul()], LOWERED),
        (
            [
                thresholding.InferThresholdingLayer(),  # FINN's, as the four below
                vector_vector_activation.InferVectorVectorActivation(),
                quantized_matrix_vector_activation.InferQuantizedMatrixVectorActivation(),
                conv_inp_gen.InferConvInpGen(),
                duplicate_streams.InferDuplicateStreamsLayer(),
                InferElementwiseAdd(),
                NameTensors(),
                MinimizeAccumulatorWidth(),
                ReplaceThresholdsByRequant(),
                GiveUniqueNodeNames(),
            ],
            HARDWARE,
        ),
    ]


def lower(model: ModelWrapper) -> ModelWrapper:
    """The hardware graph of an integer graph, in FINN's generic ops, with the least data types.

    Raises UserError naming the nodes that stay without hardware, and the tensors between them.
    """
    for passes, form in lowering_passes():
        for transformation in passes:
            model = model.transform(transformation, make_deepcopy=False, cleanup=False)
        check_graph(model, form)
    return model
