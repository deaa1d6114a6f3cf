"""The quantisers of QMobileFaceNet, each a named Brevitas class.

All scales are learned parameters: a checkpoint holds them, calibration sets them, QAT trains them, and the
scale that Brevitas uses never depends on the data that flows through. The width is given per layer by the
`bit_width` keyword of the Brevitas layer.
"""

from __future__ import annotations

from brevitas.inject.enum import ScalingImplType
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat


class SignedWeightPerChannel(Int8WeightPerChannelFloat):
    """Signed, narrow range, one learned scale an output channel, first set to the largest weight.

    >>> import brevitas.nn as qnn
    >>> conv = qnn.QuantConv2d(1, 8, 3, bias=False, weight_quant=SignedWeightPerChannel, weight_bit_width=2)
    >>> sorted(set(conv.quant_weight().int().flatten().tolist()))
    [-1, 0, 1]
    """

    scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS


class UnsignedActPerTensor(Uint8ActPerTensorFloat):
    """Unsigned, one learned scale a tensor: after every ReLU.

    >>> import brevitas.nn as qnn
    >>> act = qnn.QuantReLU(act_quant=UnsignedActPerTensor, bit_width=4)
    >>> round(act.act_quant.scale().item() * 15, 4)
    6.0
    """

    scaling_impl_type = ScalingImplType.PARAMETER
    scaling_init = 6.0


class SignedActPerTensor(Int8ActPerTensorFloat):
    """Signed, full range, one learned scale a tensor: residual streams and linear stages.

    >>> import brevitas.nn as qnn
    >>> act = qnn.QuantIdentity(act_quant=SignedActPerTensor, bit_width=4)
    >>> round(act.act_quant.scale().item() * 8, 4)
    4.0
    """

    scaling_impl_type = ScalingImplType.PARAMETER
    scaling_init = 4.0
