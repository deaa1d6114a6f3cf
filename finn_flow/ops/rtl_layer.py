"""What our RTL layers have in common: FINN's RTLBackend interface on top of a module in finn_flow/rtl.

A layer says which module it is, its parameters and its memories; this class writes them down. Every layer
becomes one Verilog file named as its node: a module of that name with FINN's ports (ap_clk, ap_rst_n, in0_V,
out0_V, ...) that holds one instance, and a .dat file beside it per memory.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.ops.verilog import wrapper
from verification.packing import pack, unpack

RTL = Path(__file__).parents[1] / "rtl"


def memory_text(words: NDArray, bits: int) -> str:
    """A memory file for $readmemh: words (depth, lanes) of integers of `bits`, lane 0 in the lowest bits.

    >>> memory_text(np.array([[1, -1], [7, 2]]), 4)
    'f1\\n27\\n'
    """
    digits = -(-words.shape[1] * bits // 4)
    return "".join(f"{row[::-1].tobytes().hex()[-digits:]}\n" for row in pack(words, bits))


class RtlLayer(RTLBackend):
    """Base of our RTL layers: `class MVAU_sv_rtl(RtlLayer, MVAU)`, the generic op second."""

    MODULE: ClassVar[str]  # in finn_flow/rtl
    USES: ClassVar[tuple[str, ...]] = ()  # modules that it consists of, without itself
    INPUTS: ClassVar[int] = 1  # the node's first inputs are streams, the others constants

    @abstractmethod
    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        """Parameters of the module."""

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        """Text of each memory file, by what it holds: `weights` is NODE_weights.dat."""
        return {}

    def memory_path(self, content: str, suffix: str = ".dat") -> str:
        """A memory file as a parameter; "./" is what FINN makes absolute before it simulates."""
        return f'"./{self.onnx_node.name}_{content}{suffix}"'

    def write_hdl(self, model: ModelWrapper, folder: Path) -> list[Path]:
        """Write the layer's Verilog and memory files; returns them, the Verilog first."""
        name = self.onnx_node.name
        files = {folder / f"{name}_{key}.dat": text for key, text in self.memories(model).items()}
        verilog = folder / f"{name}.v"
        text = wrapper(name, self.MODULE, self.parameters(model), self.stream_widths())
        for path, content in {verilog: text, **files}.items():
            path.write_text(content)
        return [verilog, *files]

    def stream_widths(self) -> dict[str, int]:
        """Bits of each stream by its port: in0_V, in1_V, ..., out0_V, ..."""
        node = self.onnx_node
        inputs = {f"in{i}_V": int(self.get_instream_width(i)) for i in range(self.INPUTS)}
        outputs = {f"out{i}_V": int(self.get_outstream_width(i)) for i in range(len(node.output))}
        return {**inputs, **outputs}

    def modules(self) -> list[Path]:
        """The SystemVerilog files that the layer needs, dependencies first."""
        return [RTL / f"{module}.sv" for module in (*self.USES, self.MODULE)]

    # --- FINN's interface ---

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the files to the node's code_gen_dir_ipgen."""
        folder = self.get_nodeattr("code_gen_dir_ipgen")
        self.write_hdl(model, Path(folder))
        self.set_nodeattr("gen_top_module", self.get_verilog_top_module_name())
        self.set_nodeattr("ipgen_path", folder)
        self.set_nodeattr("ip_path", folder)

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        own = Path(self.get_nodeattr("code_gen_dir_ipgen")) / f"{self.get_nodeattr('gen_top_module')}.v"
        return [str(path) if abspath else path.name for path in (*self.modules(), own)]

    def code_generation_ipi(self) -> list[str]:
        """Tcl for Vivado's IP integrator."""
        cell = f"-reference {self.get_nodeattr('gen_top_module')} {self.onnx_node.name}"
        files = [f"add_files -norecurse {path}" for path in self.get_rtl_file_list(abspath=True)]
        return [*files, f"create_bd_cell -type module {cell}"]

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        """One frame through the simulated module in mode rtlsim, else through the generic op."""
        if self.get_nodeattr("exec_mode") == "rtlsim":
            self._simulate(context)
        else:
            super(RTLBackend, self).execute_node(context, graph)

    def to_stream(self, values: NDArray, index: int = 0) -> NDArray:
        """Elements of an input in the order of its wires, (beats, elements a beat)."""
        return values.reshape(-1, self.get_folded_input_shape(index)[-1])

    def from_stream(self, elements: NDArray, index: int = 0) -> NDArray:
        """The reverse for an output: (beats, elements a beat) -> its tensor."""
        return elements.reshape(self.get_normal_output_shape(index))

    def _simulate(self, context: dict[str, NDArray]) -> None:
        node = self.onnx_node
        io: dict[str, dict[str, list[int]]] = {"inputs": {}, "outputs": {}}
        for i, tensor in enumerate(node.input[: self.INPUTS]):
            beats = pack(self.to_stream(context[tensor], i), self.get_input_datatype(i).bitwidth())
            io["inputs"][f"in{i}"] = [int.from_bytes(beat.tobytes(), "little") for beat in beats]
        io["outputs"] = {f"out{i}": [] for i in range(len(node.output))}
        sim = self.get_rtlsim()
        self.reset_rtlsim(sim)
        self.rtlsim_multi_io(sim, io)
        self.close_rtlsim(sim)
        for i, tensor in enumerate(node.output):
            size, datatype = -(-self.get_outstream_width(i) // 8), self.get_output_datatype(i)
            raw = b"".join(beat.to_bytes(size, "little") for beat in io["outputs"][f"out{i}"])
            lanes, bits = self.get_folded_output_shape(i)[-1], datatype.bitwidth()
            beats = np.frombuffer(raw, np.uint8).reshape(-1, size)
            elements = unpack(beats, bits, lanes, datatype.signed())
            context[tensor] = self.from_stream(elements, i).astype(np.float32)
