"""Requant in C++ for Vitis HLS. FINN's op of this name works in float; this one is exact, as our RTL is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.hlsbackend import HLSBackend
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import integer_type
from finn_flow.ops.requant import Requant

LOOP = """for (unsigned i = 0; i < WORDS; i++) {
#pragma HLS pipeline II=1 style=flp
  auto const x = Slice<TI>{}(in0_V.read());
  TO y[PE];
#pragma HLS ARRAY_PARTITION variable=y complete
  for (unsigned pe = 0; pe < PE; pe++) {
#pragma HLS unroll
    TS const sum = x(pe, 0) * SCALE[i % FOLD][pe] + BIAS[i % FOLD][pe];
    TS const shifted = sum >> SHIFT[i % FOLD][pe];
    y[pe] = shifted < LOW ? TS(LOW) : shifted > HIGH ? TS(HIGH) : shifted;
  }
  out0_V.write(flatten(y));
}"""


class Requant_int_hls(Requant, HLSBackend):
    """y = clamp((x * scale[c] + bias[c]) >> shift[c]), PE channels a cycle; parameters in params.h."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        return {**HLSBackend.get_nodeattr_types(self), **Requant.get_nodeattr_types(self)}

    def execute_node(self, context: dict[str, NDArray], graph: Any) -> None:
        Requant.execute_node(self, context, graph)

    def generate_params(self, model: ModelWrapper, path: str) -> None:
        """Write params.h: the tables of C / PE rows of PE, and the type that holds every sum."""
        names = self.onnx_node.input[1:]
        tables = [model.get_initializer(name).astype(np.int64) for name in names]
        lines = [f"using TS = ap_int<{self._sum_bits(*tables[:2])}>;"]
        for name, table in zip(("SCALE", "BIAS", "SHIFT"), tables, strict=True):
            kind = integer_type(min(-1, table.min()), table.max()).bitwidth()
            rows = table.reshape(-1, self.get_nodeattr("PE")).tolist()
            text = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows)
            lines.append(f"static ap_int<{kind}> const {name}[FOLD][PE] = {{{text}}};")
        Path(path, "params.h").write_text("\n".join([*lines, ""]))

    def _sum_bits(self, scale: NDArray[np.int64], bias: NDArray[np.int64]) -> int:
        """Bits of a signed integer that holds x * scale + bias for every x."""
        x = self.get_input_datatype(0)
        sums = np.concatenate([scale * int(x.min()) + bias, scale * int(x.max()) + bias])
        return integer_type(min(-1, sums.min()), sums.max()).bitwidth()

    def global_includes(self) -> None:
        self.code_gen_dict["$GLOBALS$"] = ['#include "flatten.hpp"', '#include "interpret.hpp"']

    def defines(self, var: str) -> None:
        x, y = self.get_input_datatype(0), self.get_output_datatype()
        words, pe = self.get_exp_cycles(), self.get_nodeattr("PE")
        fold = self.get_nodeattr("NumChannels") // pe
        self.code_gen_dict["$DEFINES$"] = [
            f"constexpr unsigned PE = {pe}, FOLD = {fold}, WORDS = {words};",
            f"constexpr int LOW = {int(y.min())}, HIGH = {int(y.max())};",
            f"using TI = {x.get_hls_datatype_str()};",
            f"using TO = {y.get_hls_datatype_str()};",
            '#include "params.h"',
        ]

    def docompute(self) -> None:
        self.code_gen_dict["$DOCOMPUTE$"] = [LOOP]

    def blackboxfunction(self) -> None:
        streams = [(self.get_instream_width(), "in0_V"), (self.get_outstream_width(), "out0_V")]
        arguments = ", ".join(f"hls::stream<ap_uint<{bits}>> &{name}" for bits, name in streams)
        self.code_gen_dict["$BLACKBOXFUNCTION$"] = [f"void {self.onnx_node.name}({arguments})"]
