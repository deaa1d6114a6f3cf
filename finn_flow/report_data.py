"""Fills the report from what the steps of a build left."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.artifacts import tool_versions
from finn_flow.backends import layer_instance
from finn_flow.bitstream import RESULT, Bitstream
from finn_flow.frames import NamedFaces, faces_to_show
from finn_flow.graph import Graph, attribute
from finn_flow.report import (
    Bypass,
    CppSimulation,
    Edge,
    Face,
    Fifo,
    Footprint,
    Layer,
    Performance,
    ReportData,
    Simulation,
    Verification,
)
from finn_flow.resources import Resources
from finn_flow.step import StepContext
from model.data import pixels
from model.spec import NetworkSpec
from verification.executor import Executor
from verification.executor.embed import embedder

NOT_RUN = {"a device": "No board has run the accelerator."}
NO_CPPSIM = {"C++ simulation": "Only the RTL of the layers is generated and simulated."}
NO_BITSTREAM = {"bitstream": "Resources and the clock are not confirmed by any implementation."}
FACES_NOTE = "Cosine similarity of the embeddings made of the integers that the accelerator computes."
ACCUMULATOR_BYTES = 4  # of each number that leaves the accelerator
FOLDING = ("PE", "SIMD", "parallel_window")


def collect(ctx: StepContext, model_file: str, host_file: str) -> ReportData:
    """The data of the report; `ctx` is that of the report step."""
    model = ModelWrapper(str(ctx.path("fold", model_file)))
    estimate = _read(ctx, "estimate", "estimate.json")
    verification = _read(ctx, "verify", "verification.json")
    spec = ctx.config.network.spec()
    shown = faces_to_show(ctx.file("images"), spec.size)
    target = ctx.config.target_fps
    bitstream = Bitstream(**_read(ctx, "bitstream", RESULT))
    cppsim = _cppsim(ctx)
    return ReportData(
        name=ctx.name,
        board=ctx.config.device,
        target=target,
        versions=tool_versions(),
        layers=tuple(_layers(model, estimate["layers"])),
        edges=tuple(_edges(model)),
        folding=_read(ctx, "fold", "auto_folding_config.json"),
        folding_proof=ctx.result_of("fold")["folding_proof"],
        performance=Performance(**estimate["performance"]),
        headroom=ctx.config.headroom,
        resource_note=estimate["resource_note"],
        footprint=tuple(_footprint(spec)),
        verification=tuple(Verification(**row) for row in verification["graphs"]),
        reference=verification["reference"],
        simulation=_simulation(ctx, model_file),
        bitstream=bitstream,
        seconds=ctx.seconds(),
        not_run={
            **({} if cppsim else NO_CPPSIM),
            **NOT_RUN,
            **({} if bitstream.status == "built" else NO_BITSTREAM),
        },
        faces=tuple(Face(name, image) for name, image in zip(shown.names, shown.images, strict=True)),
        similarity=_similarity(model, dict(np.load(ctx.path("lower", host_file))), shown),
        faces_note=FACES_NOTE,
        cppsim=cppsim,
        hls_layers=tuple(ctx.result_of("hls")["layers"]),
        fifos=sum((Resources(**f["resources"]) for f in estimate["fifos"].values()), Resources()),
    )


def _read(ctx: StepContext, step: str, file: str) -> Any:
    return json.loads(ctx.path(step, file).read_text(encoding="utf-8"))


def _layers(model: ModelWrapper, estimates: dict[str, Any]) -> Iterator[Layer]:
    graph = Graph(model)
    for node in graph.nodes:
        estimate = estimates[node.name]
        weights = [tensor for tensor in node.input if graph.is_constant(tensor)]
        yield Layer(
            name=node.name,
            op=node.op_type,
            block=_activation(node.output[0]),
            cycles=estimate["cycles"],
            folding={k: attribute(node, k) for k in FOLDING if attribute(node, k) is not None},
            shape=tuple(graph.shape(node.output[0])),
            input_type=model.get_tensor_datatype(node.input[0]).name,
            weight_type=model.get_tensor_datatype(weights[0]).name if weights else None,
            output_type=model.get_tensor_datatype(node.output[0]).name,
            resources=Resources(**estimate["resources"]),
            counts=estimate["counts"],
            finn=estimate["finn"],
        )


def _activation(tensor: str) -> str:
    """The activation that a tensor belongs to.

    >>> _activation("block3.1.expand.acc"), _activation("block9.window"), _activation("accumulators")
    ('block3.1.expand', 'block9', 'block10')
    """
    if tensor == "accumulators":
        return "block10"
    parts = tensor.split(".")
    if parts[0] == "pixels":
        return "block1"
    return ".".join(parts[:3] if len(parts) > 1 and parts[1].isdigit() else parts[:1])


def _edges(model: ModelWrapper) -> Iterator[Edge]:
    graph = Graph(model)
    for node in graph.nodes:
        instance = layer_instance(node)
        for index, tensor in enumerate(node.output):
            for consumer in graph.consumers[tensor]:
                yield Edge(
                    producer=node.name,
                    consumer=consumer.name,
                    tensor=tensor,
                    datatype=model.get_tensor_datatype(tensor).name,
                    width=int(instance.get_outstream_width(index)),
                )


def _cppsim(ctx: StepContext) -> CppSimulation | None:
    result = _read(ctx, "cppsim", "cppsim.json")
    fields = [field.name for field in dataclasses.fields(CppSimulation)]
    return CppSimulation(**{name: result[name] for name in fields}) if result["frames"] else None


def _simulation(ctx: StepContext, model_file: str) -> Simulation:
    run, sizing = _read(ctx, "rtlsim", "rtlsim.json"), _read(ctx, "fifos", "fifo_sizing.json")
    bypasses = _read(ctx, "fifos", "fifo_study.json").get("bypasses", ())
    io = _read(ctx, "lower", "io.json")
    fields = ("frames", "streams", "elements", "cycles", "latency_cycles", "interval_cycles")
    return Simulation(
        **{name: run[name] for name in (*fields, "estimated_interval_cycles")},
        intervals=tuple(run["intervals"]),
        fifos=tuple(_fifos(Graph(ModelWrapper(str(ctx.path("fifos", model_file)))), sizing, run["peaks"])),
        bypasses=tuple(Bypass(**bypass) for bypass in bypasses),
        sizing=sizing,
        bytes_in=math.prod(io["input"]["shape"]),
        bytes_out=ACCUMULATOR_BYTES * math.prod(io["output"]["shape"]),
    )


def _fifos(graph: Graph, sizing: dict[str, Any], peaks: dict[str, int]) -> Iterator[Fifo]:
    for node in graph.nodes:
        if node.name not in peaks:
            continue
        tensor, depth = node.input[0], sizing["fifo_depths"][node.name]
        yield Fifo(
            name=node.name,
            producer=graph.producer[tensor].name,
            tensor=tensor,
            width=sizing["fifo_sizes"][node.name] // depth,
            depth=depth,
            peak=peaks[node.name],
        )


def _footprint(spec: NetworkSpec) -> Iterator[Footprint]:
    for number, bits in enumerate(spec.weight_bits, 1):
        weights = sum(stage.weights for stage in spec.stages() if stage.block == number)
        yield Footprint(f"block{number}", weights, bits)


def _similarity(model: ModelWrapper, host: dict[str, np.ndarray], shown: NamedFaces) -> np.ndarray:
    """Cosine of every pair of faces, from the executor of the folded graph, (N, N)."""
    embeddings = embedder(Executor(model), host["scale"], host["offset"])(pixels(shown.images))
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    return embeddings @ embeddings.T
