"""The generated accelerator as FINN's stitched IP: the metadata by which FINN's own code finds and runs it.

    set_stitch_metadata(model, sources, folder / "dataflow.v", interval)
    model.set_metadata_prop("exec_mode", "rtlsim")
    finn.core.onnx_exec.execute_onnx(model, {"pixels": frame})

With `verification.verilator.install()` that needs no vendor tool. It runs dataflow.v, whose ends are those of
the first and last layer, as FINN's stitched IP has them; accelerator.v adds a DMA's streams.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import Graph
from finn_flow.netlist import end_layers

SOURCE_LIST = "all_verilog_srcs.txt"
PATIENCE = 10  # intervals without a beat in or out before FINN gives a simulation up


def set_stitch_metadata(model: ModelWrapper, sources: Sequence[Path], wrapper: Path, interval: int) -> None:
    """Set on a graph with FIFOs what FINN's CreateStitchedIP would; list the sources beside `wrapper`.

    sources: of `finn_flow.hardware.write_layers`. wrapper: dataflow.v of this graph. interval: II in cycles.
    All paths become absolute. A simulation that was built for the graph before is forgotten.

    FINN runs the frames of a batch back to back if the graph's input tensor, and only that, has its shape.
    """
    files = [path.resolve() for path in (*sources, wrapper)]
    project = files[-1].parent
    (project / SOURCE_LIST).write_text("".join(f"{path}\n" for path in files))
    metadata = {
        "vivado_stitch_proj": str(project),
        "wrapper_filename": str(files[-1]),
        "vivado_stitch_ifnames": json.dumps(interfaces(model)),
        "rtlsim_liveness_estimate": str(PATIENCE * interval),
        "rtlsim_so": "",
    }
    for key, value in metadata.items():
        model.set_metadata_prop(key, value)


def interfaces(model: ModelWrapper) -> dict[str, list[str] | list[tuple[str, int]]]:
    """Ports of dataflow.v by protocol, in FINN's form: streams with the bits of TDATA."""
    first, last = end_layers(Graph(model))
    return {
        "clk": ["ap_clk"],
        "rst": ["ap_rst_n"],
        "s_axis": [("s_axis_0", int(first.get_instream_width_padded()))],
        "m_axis": [("m_axis_0", int(last.get_outstream_width_padded()))],
        "aximm": [],
        "axilite": [],
    }
