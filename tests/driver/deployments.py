"""Deploy folders as a build writes them, with made-up numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from driver.deploy import file_hash

SIZE, EMBEDDING = 8, 16


def manifest_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """The manifest of the files in `folder`."""
    files = {
        path.relative_to(folder).as_posix(): file_hash(path) for path in folder.rglob("*") if path.is_file()
    }
    files.pop("manifest.json", None)
    fields: dict[str, Any] = {
        "format": 1,
        "name": "toy",
        "board": "Pynq-Z2",
        "bitfile": "bitfile/finn-accel.bit",
        "dma": "axi_dma_0",
        "input": {
            "shape": [1, SIZE, SIZE, 3],
            "datatype": "INT8",
            "layout": "NHWC",
            "pixel_offset": 128,
            "stream_bits": 32,
        },
        "output": {"shape": [1, EMBEDDING], "datatype": "INT20", "stream_bits": 32},
        "clock_mhz": 100.0,
        "fps": 1000.0,
        "latency_cycles": 1000,
        "thresholds": {"accuracy": 0.5},
        "files": files,
    }
    return {**fields, **changes}


def write_manifest(folder: Path, **changes: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder, **changes)))


def make_deployment(folder: Path, **changes: Any) -> Path:
    """A deploy folder of an accelerator of 8x8 pixels that makes 16 numbers."""
    (folder / "bitfile").mkdir(parents=True)
    (folder / "bitfile" / "finn-accel.bit").write_bytes(b"bits")
    (folder / "bitfile" / "finn-accel.hwh").write_text("<hwh/>")
    rng = np.random.default_rng(0)
    np.savez(folder / "host.npz", scale=rng.uniform(0.5, 1, EMBEDDING), offset=rng.normal(size=EMBEDDING))
    write_manifest(folder, **changes)
    return folder
