"""Thresholding in our SystemVerilog: finn_flow/rtl/thresholding.sv."""

from __future__ import annotations

from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.thresholding import Thresholding
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import integer_type
from finn_flow.ops.rtl_layer import RtlLayer, memory_text


class Thresholding_sv_rtl(RtlLayer, Thresholding):
    """Thresholds (C or 1, N), filled up to 2^stages - 1 with one that no input reaches."""

    MODULE = "thresholding"

    def get_nodeattr_types(self) -> dict[str, Any]:
        return {**super().get_nodeattr_types(), "depth_trigger_bram": ("i", False, 0)}  # as in FINN's RTL

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        x, y = self.get_input_datatype(0), self.get_output_datatype()
        return {
            "CHANNELS": self.get_nodeattr("NumChannels"),
            "PE": self.get_nodeattr("PE"),
            "IN_BITS": x.bitwidth(),
            "IN_SIGNED": int(x.signed()),
            "STAGES": self._stages,
            "THRESHOLD_BITS": self._bits(self._table(model)),
            "OUT_BITS": y.bitwidth(),
            "BIAS": self.get_nodeattr("ActVal"),
            "THRESHOLDS": self.memory_path("thresholds", suffix=""),
            "RAM_STYLE": '"block"' if self.get_nodeattr("depth_trigger_bram") else '"distributed"',
        }

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        table = self._table(model)
        bits, pe = self._bits(table), self.get_nodeattr("PE")
        texts = {}
        for stage in range(self._stages):
            # The thresholds in the middle of what the bits so far leave, by lane: fold, bits.
            step = 2 ** (self._stages - stage)
            middle = table[:, step // 2 - 1 :: step].reshape(-1, pe, 2**stage)
            for lane in range(pe):
                words = middle[:, lane].reshape(-1, 1)
                texts[f"thresholds_{stage}_{lane}"] = memory_text(words, bits)
        return texts

    @property
    def _stages(self) -> int:
        return int(self.get_nodeattr("numSteps")).bit_length()

    def _table(self, model: ModelWrapper) -> NDArray[np.int64]:
        """(channels, 2^stages - 1)."""
        bank = model.get_initializer(self.onnx_node.input[1]).astype(np.int64)
        bank = np.broadcast_to(bank, (self.get_nodeattr("NumChannels"), bank.shape[1]))
        beyond = int(self.get_input_datatype(0).max()) + 1
        missing = 2**self._stages - 1 - bank.shape[1]
        return np.pad(bank, ((0, 0), (0, missing)), constant_values=beyond)

    def _bits(self, table: NDArray[np.int64]) -> int:
        return integer_type(min(-1, table.min()), table.max()).bitwidth()
