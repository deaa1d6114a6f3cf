"""FINN's own cppsim without Vitis HLS: a program a layer, which reads and writes .npy files.

    install()
    model = model.transform(PrepareCppSim()).transform(CompileCppSim()).transform(SetExecMode("cppsim"))
    finn.core.onnx_exec.execute_onnx(model, {"pixels": frame})

Our own (`CppNetwork`) compiles the same kernels in a fraction of the time; this is FINN's, for comparison.
"""

from __future__ import annotations

import os

from verification.cppsim.headers import HERE, finn_hlslib, include_folders

VITIS_LIBRARIES = ("-L", "-lIp_", "-Wl,-rpath", "-lz")  # beginnings of what FINN links


def install() -> None:
    """Let FINN's CompileCppSim find our headers in place of Vitis HLS's. Again: nothing changes."""
    from finn.util.basic import CppBuilder
    from finn.util.settings import get_settings

    os.environ.setdefault("FINN_CUSTOM_HLS", str(get_settings().finn_custom_hls))
    os.environ.setdefault("XILINX_HLS", str(HERE))
    original = CppBuilder.append_includes
    if getattr(original, "without_vitis", False):
        return

    def append_includes(self: CppBuilder, option: str) -> None:
        if option.startswith("--std"):
            for folder in include_folders():
                original(self, f"-I{folder}")
            original(self, "-w -include half.h -include dup.hpp")
            if "unflatten" not in (finn_hlslib() / "flatten.hpp").read_text():
                original(self, "-include unflatten.h")
        if not option.startswith(VITIS_LIBRARIES):
            original(self, option)

    append_includes.without_vitis = True  # type: ignore[attr-defined]
    CppBuilder.append_includes = append_includes
