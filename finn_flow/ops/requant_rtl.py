"""Requant in our SystemVerilog: finn_flow/rtl/requant.sv."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.graph import integer_type
from finn_flow.ops.requant import Requant
from finn_flow.ops.rtl_layer import RtlLayer, memory_text
from finn_flow.passes.requant_parameters import SCALE_BITS, common_zeros


class Requant_sv_rtl(RtlLayer, Requant):
    """scale, bias, shift (C,) side by side in a ROM of C / PE words, scale in the lowest bits of a lane."""

    MODULE = "requant"

    def parameters(self, model: ModelWrapper) -> dict[str, int | str]:
        x, y = self.get_input_datatype(0), self.get_output_datatype()
        (scale, bias, shift), common, zeros = self._constants(model)
        scale_bits, bias_bits, shift_bits = _bits(scale, bias, shift)
        return {
            "CHANNELS": self.get_nodeattr("NumChannels"),
            "PE": self.get_nodeattr("PE"),
            "IN_BITS": x.bitwidth(),
            "IN_SIGNED": int(x.signed()),
            "OUT_BITS": y.bitwidth(),
            "OUT_SIGNED": int(y.signed()),
            "SCALE_BITS": scale_bits,
            "SCALE_SIGNED": int(scale.min() < 0),
            "BIAS_BITS": bias_bits,
            "BIAS_SHIFT": zeros,
            "SHIFT_BITS": shift_bits,
            "SHIFT": common,
            "PARAMETERS": self.memory_path("parameters"),
        }

    def memories(self, model: ModelWrapper) -> dict[str, str]:
        constants, *_ = self._constants(model)
        lanes, offset = np.zeros(self.get_nodeattr("NumChannels"), np.int64), 0
        for values, bits in zip(constants, _bits(*constants), strict=True):
            lanes |= (values & (2**bits - 1)) << offset
            offset += bits
        return {"parameters": memory_text(lanes.reshape(-1, self.get_nodeattr("PE")), offset)}

    def _constants(self, model: ModelWrapper) -> tuple[list[NDArray[np.int64]], int, int]:
        """scale, bias without zeros, shift beyond what all channels shift by; that; the zeros below a bias.

        A shift by one less is a scale and bias twice as large: where the scales stay narrow enough for a
        multiplier, all channels shift alike, and there is no shifter.
        """
        names = self.onnx_node.input[1:]
        scale, bias, shift = (model.get_initializer(name).astype(np.int64) for name in names)
        common = int(shift.max())
        wide = scale << (common - shift)
        if integer_type(min(0, wide.min()), wide.max()).bitwidth() <= SCALE_BITS:
            scale, bias, shift = wide, bias << (common - shift), np.zeros_like(shift)
        else:
            common = int(shift.min())
            shift = shift - common
        zeros = common_zeros(bias)
        return [scale, bias >> zeros, shift], common, zeros


def _bits(
    scale: NDArray[np.int64], bias: NDArray[np.int64], shift: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Widths: the bias is always signed, and no shift takes no bits."""
    scale_type = integer_type(scale.min(), scale.max())
    bias_type = integer_type(min(-1, bias.min()), bias.max())
    return scale_type.bitwidth(), bias_type.bitwidth(), int(shift.max()).bit_length()
