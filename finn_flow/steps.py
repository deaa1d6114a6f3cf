"""The steps of a build, in order. What a step is and may read: `finn_flow/step.py`.

Heavy imports stand inside the steps, so that `--list` and a build with nothing to do are quick.
"""

from __future__ import annotations

from pathlib import Path

from finn_flow.artifacts import write_json
from finn_flow.bitstream_step import bitstream
from finn_flow.hls.steps import cppsim, hls
from finn_flow.package import package
from finn_flow.rtl_steps import HLS, fifos, rtl, rtlsim
from finn_flow.step import Step, StepContext

MODEL = "model.onnx"
HOST = "io.npz"
SOURCES = "sources.txt"


def export(ctx: StepContext, out: Path) -> None:
    """Checkpoint -> QONNX."""
    from model.checkpoint import load_checkpoint
    from model.export import export as export_qonnx

    checkpoint = ctx.file("checkpoint")
    assert checkpoint is not None
    network = load_checkpoint(checkpoint, ctx.config.network.spec())
    export_qonnx(network, out / MODEL)


def streamline(ctx: StepContext, out: Path) -> None:
    """QONNX -> integers alone, and the host's scale and offset."""
    import numpy as np
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.streamline import streamline as to_integers

    model, host = to_integers(ModelWrapper(str(ctx.path("export", MODEL))))
    model.save(str(out / MODEL))
    np.savez(out / HOST, scale=host.scale, offset=host.offset)


def lower(ctx: StepContext, out: Path) -> None:
    """Integers -> FINN's hardware layers; shapes and types of input and output for the host."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.host_io import host_io
    from finn_flow.lower import lower as to_hardware

    model = to_hardware(ModelWrapper(str(ctx.path("streamline", MODEL))))
    model.save(str(out / MODEL))
    write_json(out / "io.json", host_io(model))
    (out / HOST).write_bytes(ctx.path("streamline", HOST).read_bytes())
    ctx.result({"layers": len(model.graph.node)})


def fold(ctx: StepContext, out: Path) -> None:
    """PE and SIMD for every layer, and width converters between neighbours that differ."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.backends import hls_layers, layer_backends
    from finn_flow.folding import apply_folding, insert_width_converters, load_folding, save_folding, solve
    from finn_flow.hls.rules import check_hls_layers
    from finn_flow.passes.fuse_window_padding import FuseWindowPadding
    from finn_flow.performance import network_performance

    model = ModelWrapper(str(ctx.path("lower", MODEL))).transform(FuseWindowPadding())
    layer_backends(model, ctx.config.backend)  # a wrong name stops here, not after the verification
    board, file = ctx.config.device, ctx.file("folding")
    if file is not None:
        folding = load_folding(file, model)
    else:
        target = ctx.config.target_fps
        fps = None if target == "max" or target is None else float(target)
        folding = solve(model, board, board.clk_period_ns, fps, ctx.config.headroom)
        ctx.say(f"Folding: {folding.proof}")
    save_folding(out / "auto_folding_config.json", folding)
    model = insert_width_converters(apply_folding(model, folding))
    check_hls_layers(model, hls_layers(model, ctx.config.backend), board)
    model.save(str(out / MODEL))
    performance = network_performance(model, board.clk_period_ns)
    ctx.say(
        f"II {performance['max_cycles']} cycles ({performance['max_cycles_node_name']}), "
        f"{performance['estimated_throughput_fps']:.0f} fps at {1000 / board.clk_period_ns:.0f} MHz"
    )
    ctx.result({**performance, "folding_proof": folding.proof})


def verify(ctx: StepContext, out: Path) -> None:
    """Every graph against Brevitas in float64 on real frames, integer for integer on every activation."""
    from finn_flow.verify import verify_graphs

    graphs = {step: ctx.path(step, MODEL) for step in ("export", "streamline", "lower", "fold")}
    checkpoint = ctx.file("checkpoint")
    assert checkpoint is not None
    frames, spec = ctx.config.verify.frames, ctx.config.network.spec()
    with ctx.progress("Comparing frames with Brevitas", frames) as advance:
        result = verify_graphs(
            graphs, checkpoint, spec, ctx.path("streamline", HOST), frames, ctx.file("images"), advance
        )
    write_json(out / "verification.json", result)
    ctx.result({"frames": frames, "graphs": list(graphs)})


def estimate(ctx: StepContext, out: Path) -> None:
    """Cycles, throughput, latency and resources, by the cost model or by synthesis, FIFOs included."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.estimate import estimate_network
    from finn_flow.hls.verilog import synthesised_layers

    folded, built = (ModelWrapper(str(ctx.path(step, MODEL))) for step in ("fold", "fifos"))
    made = synthesised_layers(ctx.path("rtl", HLS))
    result = estimate_network(folded, built, ctx.config.device, ctx.config.estimate, ctx.progress, made)
    write_json(out / "estimate.json", result)


def report(ctx: StepContext, out: Path) -> None:
    """The report that a person looks at: `index.html` and its pictures."""
    from finn_flow.report import write_report
    from finn_flow.report_data import collect

    write_report(collect(ctx, MODEL, HOST), out)


_NETWORK = ("network",)
_BOARD = ("device",)

STEPS: list[Step] = [
    Step("export", export, (MODEL,), config=_NETWORK, files=("checkpoint",)),
    Step("streamline", streamline, (MODEL, HOST), reads=("export",)),
    Step("lower", lower, (MODEL, HOST, "io.json"), reads=("streamline",)),
    Step(
        "fold",
        fold,
        (MODEL, "auto_folding_config.json"),
        reads=("lower",),
        config=(*_BOARD, "target_fps", "headroom", "backend"),
        files=("folding",),
    ),
    Step(
        "verify",
        verify,
        ("verification.json",),
        reads=("export", "streamline", "lower", "fold"),
        config=(*_NETWORK, "verify.frames"),
        files=("checkpoint", "images"),
    ),
    Step(
        "cppsim",
        cppsim,
        ("cppsim.json",),
        reads=("fold",),
        config=(*_BOARD, "network.input_size", "verify.cppsim_frames"),
        files=("images",),
    ),
    Step("hls", hls, ("layers.tcl",), reads=("fold",), config=(*_BOARD, "backend"), files=("vitis_hls",)),
    Step("rtl", rtl, (MODEL, SOURCES, HLS), reads=("fold", "hls"), config=("backend",)),
    Step(
        "fifos",
        fifos,
        (MODEL, "fifo_sizing.json", "fifo_study.json", SOURCES),
        reads=("fold", "rtl"),
        config=("network.input_size",),
        files=("fifos",),
    ),
    Step(
        "estimate",
        estimate,
        ("estimate.json",),
        reads=("fold", "rtl", "fifos"),
        config=(*_BOARD, "estimate"),
    ),
    Step(
        "rtlsim",
        rtlsim,
        ("rtlsim.json",),
        reads=("fold", "rtl", "fifos"),
        config=(*_BOARD, "network.input_size", "verify.rtlsim_frames"),
        files=("images",),
    ),
    Step(
        "bitstream",
        bitstream,
        ("bitstream.json",),
        reads=("fold", "rtl", "fifos"),
        config=_BOARD,
        files=("vivado",),
    ),
    Step(
        "package",
        package,
        ("manifest.json", "host.npz", "README.md", "samples/expected.npz", "emulation/emulation.json"),
        reads=("lower", "fold", "rtl", "fifos", "rtlsim", "bitstream"),
        config=(*_NETWORK, *_BOARD),
        files=("images", "card", "driver"),
        into="deploy",
    ),
    Step(
        "report",
        report,
        ("index.html",),
        reads=("lower", "fold", "verify", "cppsim", "hls", "fifos", "rtlsim", "estimate", "bitstream"),
        config=(*_NETWORK, *_BOARD, "target_fps", "headroom"),
        files=("images",),
    ),
]
