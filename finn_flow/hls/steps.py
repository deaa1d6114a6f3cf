"""The steps of a build about FINN's HLS layers: cppsim, hls."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from finn_flow.artifacts import write_json
from finn_flow.step import StepContext

MODEL = "model.onnx"


def cppsim(ctx: StepContext, out: Path) -> None:
    """The HLS twin of the folded graph, whatever its backend: compiled, run, every stream compared."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.hls.generate import cpp_network
    from finn_flow.simulate import int8_frames

    frames = ctx.config.verify.cppsim_frames
    if not frames:
        write_json(out / "cppsim.json", {"frames": 0})
        return
    model = ModelWrapper(str(ctx.path("fold", MODEL)))
    pixels = int8_frames(frames, ctx.file("images"), ctx.config.network.input_size)
    with tempfile.TemporaryDirectory() as code:
        with ctx.progress("Generating C++, layers", len(model.graph.node)) as advance:
            network = cpp_network(model, ctx.config.device, Path(code), advance)
        checked = network.check(pixels, ctx.progress)
    result = {
        "frames": frames,
        "layers": checked.layers,
        "streams": checked.streams,
        "elements": checked.elements,
        "compile_seconds": checked.compile_seconds,
        "accumulators_sha256": hashlib.sha256(checked.accumulators.tobytes()).hexdigest(),
    }
    write_json(out / "cppsim.json", result)
    ctx.say(f"{frames} frames, {checked.layers} layers in C++, {checked.elements:,} integers equal")
    ctx.result(result)


def hls(ctx: StepContext, out: Path) -> None:
    """C++ of the layers that are HLS, and the script that synthesises it; its run where Vitis HLS is."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.backends import hls_layers
    from finn_flow.hls.generate import write_layers
    from finn_flow.hls.vitis import synthesise, write_script
    from finn_flow.passes.widen_thresholds import WidenThresholds

    model, board = ModelWrapper(str(ctx.path("fold", MODEL))), ctx.config.device
    layers = hls_layers(model, ctx.config.backend)
    write_script(layers, board, out)
    program = ctx.file("vitis_hls")
    ctx.result({"layers": layers, "synthesised": program is not None})
    if not layers:
        return
    with ctx.progress("Writing HLS layers", len(layers)) as advance:
        write_layers(model.transform(WidenThresholds()), layers, board, out, advance)
    if program is not None:
        synthesise(program, layers, out)
