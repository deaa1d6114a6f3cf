"""The step `package`: the folder `deploy/`, all that a board needs, to be copied there as it is.

manifest.json            what is in it, and how the accelerator is driven (read by driver/deploy.py)
host.npz                 scale and offset: embedding = scale * accumulators + offset
bitfile/                 finn-accel.bit and .hwh, where the bitstream was built
driver/                  the driver's wheel
notebooks/, samples/     the demo; faces and the integers that the accelerator makes of them
emulation/               the accelerator for an emulated board: not for a board, not in the manifest
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from finn_flow.artifacts import folder_hashes, package_files, read_json, tool_versions, write_json
from finn_flow.step import StepContext

FORMAT = 1  # of the manifest; the driver refuses another
DMA = "axi_dma_0"  # its name in the block design
BITFILE, HARDWARE = "finn-accel.bit", "finn-accel.hwh"  # FINN's names
EPOCH = "315532800"  # 1980, the earliest that a zip can say: the same sources give the same wheel
THRESHOLDS = {"accuracy": "best accuracy", "far_1e-3": "FAR 0.1%"}  # manifest -> the card's words


def package(ctx: StepContext, out: Path) -> None:
    """Everything for the board in one folder."""
    import numpy as np

    from finn_flow.emulation import write_emulation

    driver = ctx.file("driver")
    assert driver is not None
    wheel = build_wheel(driver, out / "driver")
    shutil.copyfile(driver / "README.md", out / "README.md")
    (out / "notebooks").mkdir()
    for notebook in sorted((driver / "notebooks").glob("*.ipynb")):
        shutil.copyfile(notebook, out / "notebooks" / notebook.name)
    with np.load(ctx.path("lower", "io.npz")) as host:
        np.savez(out / "host.npz", scale=host["scale"], offset=host["offset"])
    samples = write_samples(ctx, out / "samples")
    bitfile = copy_bitfile(ctx, out / "bitfile")
    write_json(out / "manifest.json", manifest(ctx, out, bitfile))
    interval = int(ctx.result_of("fold")["max_cycles"])
    folders = ctx.path("rtl"), ctx.path("fifos")
    write_emulation(out / "emulation", ctx.name, ctx.config.device, *folders, interval, ctx.progress)
    ctx.say(f"{wheel.name}, {samples} samples, {'bitfile' if bitfile else 'no bitfile: it was not built'}")
    ctx.result({"bitfile": bitfile, "samples": samples, "wheel": wheel.name})


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of the driver, without network, the same bytes for the same sources."""
    code = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    folder.mkdir()
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "driver"
        for file in package_files(source):
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, copy / file)
            (copy / file).chmod(0o644)
        for notice in ("LICENSE", "NOTICE"):
            shutil.copyfile(source.parent / notice, copy / notice)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
        command = [sys.executable, "-c", code, str(folder.resolve())]
        result = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
    if result.returncode:
        raise RuntimeError(f"the driver's wheel was not built: {result.stderr.strip().splitlines()[-1]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def write_samples(ctx: StepContext, folder: Path) -> int:
    """Faces as PNG, and `expected.npz` with the integers of each; returns how many."""
    from PIL import Image
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.expected import expected, write_expected
    from finn_flow.frames import faces_to_show
    from verification.executor import Executor

    faces = faces_to_show(ctx.file("images"), ctx.config.network.input_size).images
    folder.mkdir()
    names = [f"face{number:02d}.png" for number in range(1, len(faces) + 1)]
    for name, face in zip(names, faces, strict=True):
        Image.fromarray(face).save(folder / name)
    executor = Executor(ModelWrapper(str(ctx.path("fold", "model.onnx"))))
    write_expected(folder / "expected.npz", names, expected(executor, faces))
    return len(names)


def copy_bitfile(ctx: StepContext, folder: Path) -> str | None:
    """The bitfile and its description, if the step `bitstream` built both; its path in the deploy folder."""
    if read_json(ctx.path("bitstream", "bitstream.json"))["status"] != "built":
        return None
    sources = [ctx.path("bitstream", name) for name in (BITFILE, HARDWARE)]
    if not all(source.is_file() for source in sources):
        return None  # a bitstream without a processor: nothing that PYNQ could load
    folder.mkdir()
    for source in sources:
        shutil.copyfile(source, folder / source.name)
    return f"{folder.name}/{BITFILE}"


def manifest(ctx: StepContext, out: Path, bitfile: str | None) -> dict[str, Any]:
    """What `driver/deploy.py` reads, of the files that are in `out`."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow.netlist import input_stream, output_stream

    io, run = read_json(ctx.path("lower", "io.json")), ctx.result_of("rtlsim")
    model, board = ModelWrapper(str(ctx.path("fold", "model.onnx"))), ctx.config.device
    elements = math.prod(io["output"]["shape"])
    source = input_stream(model, int(ctx.result_of("fold")["max_cycles"]))
    return {
        "format": FORMAT,
        "name": ctx.name,
        "board": board.name,
        "fpga_part": board.part,
        "bitfile": bitfile,
        "dma": DMA,
        "input": {**io["input"], "stream_bits": source.bits},
        "output": {**io["output"], "shape": [1, elements], "stream_bits": output_stream(model).bits},
        "clock_mhz": 1000 / board.clk_period_ns,
        "fps": run["throughput[images/s]"],
        "latency_cycles": run["latency_cycles"],
        "interval_cycles": run["interval_cycles"],
        "thresholds": card_thresholds(ctx.file("card")),
        "network": ctx.config.network.model_dump(mode="json"),
        "versions": tool_versions(),
        "files": folder_hashes(out),
    }


def card_thresholds(card: Path | None) -> dict[str, float]:
    """The cosines from which on two faces are one person's, if the checkpoint's card has them."""
    text = "" if card is None else card.read_text(encoding="utf-8")
    rows = {
        key: re.search(
            rf"^\| [^|]*threshold[^|]*{re.escape(words)}[^|]*\|[^|]*\| *(-?[\d.]+) *\|$", text, re.M
        )
        for key, words in THRESHOLDS.items()
    }
    return {key: float(row[1]) for key, row in rows.items() if row}
