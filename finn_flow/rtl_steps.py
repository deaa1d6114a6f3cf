"""The steps of a build from the folded graph to the simulated accelerator: rtl, fifos, rtlsim."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from finn_flow.artifacts import write_json
from finn_flow.step import StepContext, StepSkipped

MODEL, HLS = "model.onnx", "hls.json"


def rtl(ctx: StepContext, out: Path) -> None:
    """Folded layers -> a Verilog file each, with their memories, and the modules they need."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.backends import is_hls
    from finn_flow.hardware import write_layers
    from finn_flow.hls.verilog import write_synthesis
    from finn_flow.passes.specialize_layers import SpecializeLayers
    from finn_flow.simulate import write_sources

    model = ModelWrapper(str(ctx.path("fold", MODEL)))
    synthesis = ctx.result_of("hls")
    if synthesis["layers"] and not synthesis["synthesised"]:
        layers = ", ".join(synthesis["layers"])
        raise StepSkipped(f"as Vitis HLS is not on the PATH, which makes RTL of {layers}")
    model = model.transform(SpecializeLayers(ctx.config.backend))
    model.save(str(out / MODEL))
    with ctx.progress("Writing layers", len(model.graph.node)) as advance:
        write_sources(write_layers(model, out, advance, ctx.path("hls")), out)
    slowest = write_synthesis(filter(is_hls, model.graph.node), ctx.path("hls"), out / HLS)
    ctx.result({"max_cycles": max(slowest, int(ctx.result_of("fold")["max_cycles"]))})


def fifos(ctx: StepContext, out: Path) -> None:
    """A FIFO on every stream, as deep as the file says or as a simulation needs; the netlist."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.backends import FIFO, base_op
    from finn_flow.fifo_files import fifo_report, load_depths
    from finn_flow.hardware import write_netlist
    from finn_flow.passes.insert_fifos import InsertFifos
    from finn_flow.simulate import frame_caps, write_sources

    layers, interval = ctx.path("rtl"), int(ctx.result_of("fold")["max_cycles"])
    file = ctx.file("fifos")
    study: dict[str, Any] = {}
    model = ModelWrapper(str(layers / MODEL))
    model = model.transform(InsertFifos(frame_caps(model)))
    tensors = {node.name: node.input[0] for node in model.graph.node if base_op(node.op_type) == FIFO}
    if file is not None:
        depths = load_depths(file, tensors)
    else:
        study = _study(ctx, model, layers, int(ctx.result_of("rtl")["max_cycles"]))
        depths = {tensors[name]: depth for name, depth in study["depths"].items()}
    model = ModelWrapper(str(layers / MODEL)).transform(InsertFifos(depths))
    model.save(str(out / MODEL))
    write_sources(write_netlist(model, interval, out), out)
    write_json(out / "fifo_sizing.json", fifo_report(model))
    write_json(out / "fifo_study.json", study)


def _study(ctx: StepContext, model: Any, layers: Path, interval: int) -> dict[str, Any]:
    """Depths from a simulation with FIFOs that hold a frame; see `finn_flow.fifo_sizing`."""
    from finn_flow import fifo_sizing as sizing
    from finn_flow.hardware import write_netlist
    from finn_flow.simulate import build_accelerator, int8_frames, read_sources
    from verification.accelerator import Accelerator

    with tempfile.TemporaryDirectory() as name:
        netlist = write_netlist(model, interval, Path(name))
        library = build_accelerator(read_sources(layers), netlist, study=True, progress=ctx.progress)
    pixels = int8_frames(2, None, ctx.config.network.input_size)  # no timing depends on them
    with Accelerator(library, layers, model) as accelerator:
        with ctx.progress("Measuring FIFOs, frames", sizing.MOST_FRAMES) as advance:
            peaks = sizing.measure_peaks(accelerator, pixels, interval, advance)
        depths = sizing.depths_for(accelerator, peaks)
        accelerator.limit(depths)
        with ctx.progress("Confirming the rate, frames", sizing.MOST_FRAMES) as advance:
            intervals = sizing.steady_interval(accelerator, pixels, interval, advance)
        sizing.check_interval(intervals, interval)
        bypasses = sizing.bypass_fifos(model)
        least = sizing.least_depths(accelerator, bypasses, depths, pixels, interval)
    ctx.say(f"II {intervals[-1]} cycles after {len(intervals)} frames, as estimated within 1 % or 16 cycles")
    tensors = {node.name: node.input[0] for node in model.graph.node}
    return {
        "depths": depths,
        "peaks": peaks,
        "intervals": intervals,
        "bypasses": [
            {
                "fifo": fifo,
                "tensor": tensors[fifo],
                "without_deadlock": least[fifo],
                "at_full_rate": peaks[fifo] + 1,
                "depth": depths[fifo],
            }
            for fifo in bypasses
        ],
    }


def rtlsim(ctx: StepContext, out: Path) -> None:
    """The whole accelerator, as it is synthesised, on frames back to back; every stream compared."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.fifo_sizing import MOST_FRAMES, check_interval, is_steady, steady_interval
    from finn_flow.simulate import build_accelerator, int8_frames, read_sources
    from verification.accelerator import Accelerator

    layers, netlist = ctx.path("rtl"), ctx.path("fifos")
    estimated = int(ctx.result_of("rtl")["max_cycles"])
    frames, period = ctx.config.verify.rtlsim_frames, ctx.config.device.clk_period_ns
    pixels = int8_frames(frames, ctx.file("images"), ctx.config.network.input_size)
    library = build_accelerator(read_sources(layers), read_sources(netlist), progress=ctx.progress)
    with Accelerator(library, layers, ModelWrapper(str(netlist / MODEL))) as accelerator:
        run, compared = accelerator.checked_run(pixels, estimated)
        peaks = {name: tap.peak for name, tap in accelerator.taps().items()}
        intervals = run.intervals
        if not is_steady(intervals, estimated):  # it may take more frames to get there
            with ctx.progress("Running at full rate, frames", MOST_FRAMES) as advance:
                intervals = steady_interval(accelerator, pixels, estimated, advance)
    interval = check_interval(intervals, estimated)
    result = {
        "frames": frames,
        "streams": len(peaks) + 1,
        "elements": compared,
        "accumulators_sha256": run.digest,
        "cycles": run.cycles,
        "latency_cycles": run.latency,
        "interval_cycles": interval,
        "estimated_interval_cycles": estimated,
        "intervals": intervals,
        "throughput[images/s]": 1e9 / (interval * period),
        "latency_ns": run.latency * period,
    }
    write_json(out / "rtlsim.json", {**result, "peaks": peaks})
    ctx.say(
        f"{frames} frames, {len(peaks) + 1} streams equal; latency {run.latency}, II {interval} cycles, "
        f"{result['throughput[images/s]']:.0f} fps"
    )
    ctx.result(result)
