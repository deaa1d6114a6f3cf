"""QONNX -> minimised hardware graph: our passes against FINN's own, in one run, on the same network.

    python -m benchmarks.streamline --config hw_configs/w4a4.json

Both start from the same QONNX export (FINN's in float32, as its passes are) and end at FINN's hardware layers
with minimal data types; the accumulators of both are compared on one frame. Prints a Markdown table. FINN's
side is the shortest list of its passes known to reduce this network; its default `Streamline` does not.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.config import load_config
from finn_flow.finn_env import prepare_finn
from finn_flow.lower import lower
from finn_flow.streamline import streamline
from model.checkpoint import load_checkpoint
from model.data import example_faces, pixels
from model.export import export

MOST_ROUNDS = 60  # of FINN's transpose passes, which move one hop a round


def ours(path: Path) -> ModelWrapper:
    """The product's own two steps."""
    integers, _ = streamline(ModelWrapper(str(path)))
    return lower(integers)


def finns(path: Path) -> ModelWrapper:
    """FINN's and qonnx's passes, in the order that works for this network."""
    from finn.transformation.fpgadataflow.convert_to_hw import (
        conv_inp_gen,
        duplicate_streams,
        elementwise_binary_operation,
        quantized_matrix_vector_activation,
        thresholding,
        vector_vector_activation,
    )
    from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
    from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
    from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
    from finn.transformation.streamline import absorb, collapse_repeated, reorder
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
    from qonnx.transformation import general
    from qonnx.transformation.batchnorm_to_affine import BatchNormToAffine
    from qonnx.transformation.double_to_single_float import DoubleToSingleFloat
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.infer_data_layouts import InferDataLayouts
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
    from qonnx.util.cleanup import cleanup_model

    names = [general.GiveUniqueNodeNames(), general.GiveReadableTensorNames()]

    def run(model: ModelWrapper, *passes: object) -> ModelWrapper:
        for transformation in passes:
            model = model.transform(transformation, make_deepcopy=False)
        return model

    model = cleanup_model(single_precision(ModelWrapper(str(path))))
    model.set_tensor_datatype(model.graph.input[0].name, DataType["INT8"])
    model = run(
        model,
        ConvertQONNXtoFINN(),
        InferShapes(),
        FoldConstants(),
        general.GiveUniqueParameterTensors(),
        *names,
        InferDataTypes(),
        general.RemoveStaticGraphInputs(),
        general.ConvertSubToAdd(),
        general.ConvertDivToMul(),
        BatchNormToAffine(),
        absorb.AbsorbScalarBiasIntoMultiThreshold(),
        reorder.MoveMulPastFork(),
        reorder.MoveLinearPastEltwiseAdd(),
        reorder.MoveScalarMulPastConv(),
        collapse_repeated.CollapseRepeatedMul(),
        absorb.AbsorbAddIntoMultiThreshold(),
        absorb.FactorOutMulSignMagnitude(),
        absorb.AbsorbMulIntoMultiThreshold(),
        absorb.Absorb1BitMulIntoConv(),
        *names,
        InferDataTypes(),
        RoundAndClipThresholds(),
        DoubleToSingleFloat(),
        InferDataTypes(),
        LowerConvsToMatMul(),
        *names,
        InferDataLayouts(),
    )
    for _ in range(MOST_ROUNDS):
        before = [(node.op_type, list(node.input)) for node in model.graph.node]
        for transformation in (
            absorb.AbsorbConsecutiveTransposes(),
            absorb.AbsorbTransposeIntoMultiThreshold(),
            reorder.MoveTransposePastFork(),
            reorder.MoveTransposePastJoinAdd(),
        ):
            model = model.transform(transformation, make_deepcopy=False, cleanup=False)
        if before == [(node.op_type, list(node.input)) for node in model.graph.node]:
            break
    model = run(model, *names, InferShapes(), InferDataTypes(), InferDataLayouts())
    model = cut_host_part(model)
    return run(
        model,
        InferShapes(),
        InferDataTypes(),
        InferDataLayouts(),
        thresholding.InferThresholdingLayer(),
        vector_vector_activation.InferVectorVectorActivation(),
        quantized_matrix_vector_activation.InferQuantizedMatrixVectorActivation(),
        conv_inp_gen.InferConvInpGen(),
        elementwise_binary_operation.InferElementwiseBinaryOperation(),
        duplicate_streams.InferDuplicateStreamsLayer(),
        *names,
        InferDataTypes(),
        MinimizeWeightBitWidth(),
        MinimizeAccumulatorWidth(),
        InferDataTypes(),
    )


def single_precision(model: ModelWrapper) -> ModelWrapper:
    """The same graph with float32 constants and tensors."""
    from onnx import TensorProto, numpy_helper

    proto = copy.deepcopy(model.model)
    for tensor in proto.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float64:
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))
    for info in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        info.type.tensor_type.elem_type = TensorProto.FLOAT
    return ModelWrapper(proto)


def cut_host_part(model: ModelWrapper) -> ModelWrapper:
    """Take the Transpose at the input, and everything after the last MatMul, off the graph."""
    from onnx import TensorProto, helper

    graph = model.graph
    first = next(node for node in graph.node if node.op_type == "Transpose")
    source, name = first.output[0], graph.input[0].name
    shape = model.get_tensor_shape(source)
    last = [node for node in graph.node if node.op_type == "MatMul"][-1].output[0]
    tail, frontier = [], {last}
    for node in graph.node:
        if frontier & set(node.input):
            tail.append(node)
            frontier |= set(node.output)
    out_shape = model.get_tensor_shape(last)
    for node in (first, *tail):
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [name if tensor == source else tensor for tensor in node.input]
    del graph.input[:], graph.output[:]
    for info in [info for info in graph.value_info if info.name == last]:
        graph.value_info.remove(info)
    graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, out_shape))
    model.set_tensor_datatype(name, DataType["INT8"])
    model.set_tensor_layout(name, ["N", "H", "W", "C"])
    return model


def timed(build: Callable[[Path], ModelWrapper], path: Path) -> tuple[ModelWrapper, float]:
    start = time.perf_counter()
    return build(path), time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    config = load_config(parser.parse_args().config)
    prepare_finn()
    from finn.core.onnx_exec import execute_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export(load_checkpoint(config.checkpoint_file, config.network.spec()), path)
        fast, our_seconds = timed(ours, path)
        slow, finn_seconds = timed(finns, path)
    frame = pixels(example_faces(1, config.network.input_size)).permute(0, 2, 3, 1).numpy()
    accumulators = [
        execute_onnx(model, {model.graph.input[0].name: frame})[model.graph.output[0].name].reshape(-1)
        for model in (fast, slow)
    ]
    differing = int((accumulators[0] != accumulators[1]).sum())
    print(f"| passes | seconds | nodes | ratio | ({os.cpu_count()} cores, {config.build_folder.name})")
    print("| --- | --- | --- | --- |")
    print(f"| FINN's and qonnx's | {finn_seconds:.1f} | {len(slow.graph.node)} | 1 |")
    ratio = finn_seconds / our_seconds
    print(f"| ours | {our_seconds:.1f} | {len(fast.graph.node)} | {ratio:.0f}x faster |")
    print(f"\nAccumulators of one frame that differ: {differing} of {len(accumulators[0])}")


if __name__ == "__main__":
    main()
