"""Speed of simulation: our matrix-vector unit against finn-rtllib's, and a whole accelerator.

    python -m benchmarks.rtl_simulation [--config hw_configs/tiny.json] [--frames N]

Both units are simulated by the same program in this process, one layer of 64x64 weights of 4 bits with the
same folding and vectors, outputs equal; FINN's takes its weights as a stream, as in FINN's own rtlsim of a
node. The accelerator of the configuration runs frames back to back, against FINN's execute_onnx (which
simulates no hardware) on the same network and frames, outputs equal. The best of three runs counts. Prints
Markdown tables; CPU time is what says much on a busy machine. Building the simulations is not counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from benchmarks.markdown import table
from finn_flow.config import BuildConfig, load_config
from finn_flow.finn_env import prepare_finn
from finn_flow.folding import apply_folding, insert_width_converters, solve
from finn_flow.graph import FINN
from finn_flow.hardware import write_layers, write_netlist
from finn_flow.lower import lower
from finn_flow.passes.fuse_window_padding import FuseWindowPadding
from finn_flow.passes.insert_fifos import InsertFifos
from finn_flow.passes.specialize_layers import SpecializeLayers
from finn_flow.performance import network_performance
from finn_flow.simulate import build_accelerator, frame_caps, int8_frames
from finn_flow.streamline import streamline
from model.checkpoint import load_checkpoint
from model.export import export
from verification.accelerator import Accelerator, Run
from verification.packing import pack, unpack
from verification.verilator import install

REPEATS = 3
SIZE, BITS, VECTORS = 64, 4, 2048
FOLDINGS = (8, 16)  # PE = SIMD
ACC_BITS = 14
PART, CLOCK = "xczu7ev-ffvc1156-2-e", 5.0
FINN_FRAMES = 2


@dataclass(frozen=True)
class Seconds:
    """Time on the clock, and of the CPU."""

    clock: float
    cpu: float


def best(call: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> Seconds:
    """The fastest of REPEATS calls; `before` each, not counted."""
    times = []
    for _ in range(REPEATS):
        before()
        clock, cpu = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - clock, time.process_time() - cpu))
    return Seconds(min(clock for clock, _ in times), min(cpu for _, cpu in times))


def layer(fold: int, weights: NDArray) -> ModelWrapper:
    """One generic MVAU: x (1, VECTORS, SIZE) UINT4, weights (SIZE, SIZE) INT4."""
    shape = [1, VECTORS, SIZE]
    types = (f"UINT{BITS}", f"INT{BITS}", f"INT{ACC_BITS}")
    attributes: dict[str, Any] = {
        **dict(zip(("inputDataType", "weightDataType", "outputDataType"), types, strict=True)),
        **{"MW": SIZE, "MH": SIZE, "SIMD": fold, "PE": fold, "numInputVectors": [1, VECTORS]},
        **{"backend": "fpgadataflow", "preferred_impl_style": "rtl", "noActivation": 1},
    }
    node = helper.make_node("MVAU", ["x", "w"], ["y"], name="MVAU_0", domain=FINN, **attributes)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y"))
    w = numpy_helper.from_array(weights.astype(np.float32), "w")
    model = ModelWrapper(qonnx_make_model(helper.make_graph([node], "layer", [x], [y], [w])))
    for name, datatype in zip("xwy", types, strict=True):
        model.set_tensor_datatype(name, DataType[datatype])
    return model


def time_layer(model: ModelWrapper, fold: int, vectors: NDArray, expected: NDArray) -> Seconds:
    """A specialised layer on all vectors, by FINN's own preparation. Its outputs must be as expected."""
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.prepare_rtlsim import PrepareRTLSim
    from finn.util.data_packing import npy_to_rtlsim_input

    node = getCustomOp(model.transform(PrepareIP(PART, CLOCK)).transform(PrepareRTLSim()).graph.node[0])
    beats = {"in0_V": pack(vectors.reshape(-1, fold), BITS)}
    with node.get_rtlsim() as sim:
        if "in1_V" in sim.ports:
            file = Path(node.get_nodeattr("code_gen_dir_ipgen"), "input_1.npy")
            words = npy_to_rtlsim_input(str(file), DataType[f"INT{BITS}"], node.get_instream_width(1))
            raw = b"".join(word.to_bytes(sim.ports["in1_V"].bytes, "little") for word in words)
            beats["in1_V"] = np.tile(np.frombuffer(raw, np.uint8).reshape(len(words), -1), (VECTORS, 1))

        def offer() -> None:
            sim.reset()
            for port, data in beats.items():
                sim.push(port, data)

        outputs = VECTORS * SIZE // fold
        seconds = best(lambda: sim.run({"out0_V": outputs}, 100 * outputs * SIZE), offer)
        got = unpack(sim.read("out0_V")[0], ACC_BITS, fold, signed=True)
    if not (got.reshape(expected.shape) == expected).all():
        raise SystemExit(f"error: {node.onnx_node.op_type} at PE = SIMD = {fold}: outputs differ")
    return seconds


def compare_layers() -> list[tuple[Any, ...]]:
    """Rows of the table: both units at each folding."""
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers as FinnsSpecializeLayers

    random = np.random.default_rng(0)
    weights, vectors = random.integers(-8, 8, (SIZE, SIZE)), random.integers(0, 16, (VECTORS, SIZE))
    rows = []
    for fold in FOLDINGS:
        sides = {"finn-rtllib": FinnsSpecializeLayers(PART), "ours": SpecializeLayers()}
        rates: list[float] = []
        for name, specialise in sides.items():
            model = layer(fold, weights).transform(specialise)
            seconds = time_layer(model, fold, vectors, vectors @ weights)
            macs = VECTORS * SIZE * SIZE / 1e6
            rates.append(macs / seconds.cpu)
            ratio = f"{rates[-1] / rates[0]:.1f}"
            rows.append((f"{fold} x {fold}", name, f"{macs / seconds.clock:.0f}", f"{rates[-1]:.0f}", ratio))
    return rows


def open_accelerator(config: BuildConfig, lowered: ModelWrapper, folder: Path) -> tuple[Accelerator, int]:
    """The accelerator of a lowered network with FIFOs that hold a frame, in simulation; its II."""
    board, target = config.device, config.target_fps
    fps = None if target in ("max", None) else float(target)
    model = lowered.transform(FuseWindowPadding(), make_deepcopy=True)
    model = apply_folding(model, solve(model, board, board.clk_period_ns, fps, config.headroom))
    model = insert_width_converters(model).transform(SpecializeLayers(config.backend))
    interval = int(network_performance(model, board.clk_period_ns)["max_cycles"])
    layers = write_layers(model, folder, lambda n: None)
    model = model.transform(InsertFifos(frame_caps(model)))
    library = build_accelerator(layers, write_netlist(model, interval, folder))
    return Accelerator(library, folder, model), interval


def compare_accelerator(config: BuildConfig, frames: int) -> list[tuple[Any, ...]]:
    """Rows of the table: frames a second of both."""
    from finn.core.onnx_exec import execute_onnx

    pixels = int8_frames(max(frames, FINN_FRAMES), None, config.network.input_size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = load_checkpoint(config.checkpoint_file, config.network.spec())
        lowered = lower(streamline(export(network, folder / "model.onnx"))[0])
        source, target = lowered.graph.input[0].name, lowered.graph.output[0].name
        inputs = [{source: frame[None].astype(np.float32)} for frame in pixels[:FINN_FRAMES]]
        expected: list[NDArray] = []
        finn = best(lambda: expected.extend(execute_onnx(lowered, given)[target] for given in inputs))
        accelerator, interval = open_accelerator(config, lowered, folder)
        with accelerator:
            runs: list[Run] = []
            most = 100 * (len(pixels) + 3) * interval
            sim = best(lambda: runs.append(accelerator.run(pixels, most, 10 * interval)))
    want = np.stack([output.reshape(-1) for output in expected[:FINN_FRAMES]])
    if not (runs[-1].accumulators[:FINN_FRAMES] == want).all():
        raise SystemExit("error: the accelerator's output differs from execute_onnx's")
    finn_name = f"execute_onnx, finn-plus {version('finn-plus')}"
    sides = {finn_name: (finn, FINN_FRAMES), f"rtlsim, II {interval} cycles": (sim, len(pixels))}
    rates = {name: (n, n / seconds.clock, n / seconds.cpu) for name, (seconds, n) in sides.items()}
    slowest = rates[finn_name][-1]
    return [
        (name, n, f"{clock:.1f}", f"{cpu:.1f}", f"{cpu / slowest:.1f}")
        for name, (n, clock, cpu) in rates.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("hw_configs/tiny.json"))
    parser.add_argument("--frames", type=int, default=24, help="frames to simulate (default 24)")
    arguments = parser.parse_args()
    prepare_finn()
    install()
    cores = len(os.sched_getaffinity(0))
    head = (f"PE x SIMD, {cores} cores", "unit", "M MAC/s", "M MAC/s of CPU time", "ratio")
    print(table(head, *compare_layers()), flush=True)
    config = load_config(arguments.config)
    head = (arguments.config.stem, "frames", "frames/s", "frames/s of CPU time", "ratio")
    print(f"\n{table(head, *compare_accelerator(config, arguments.frames))}")


if __name__ == "__main__":
    main()
