"""Checks and helpers that the ops share: which operand is what, and how to get at its integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from verification.errors import VerificationError
from verification.executor.graph import Node
from verification.executor.stream import Kernel, Operand, Range, Stream


def stream(node: Node, operands: tuple[Operand, ...], index: int = 0) -> Stream:
    """The operand that must depend on the graph's input."""
    operand = operands[index] if index < len(operands) else None
    if not isinstance(operand, Stream):
        raise VerificationError(f"{node}: input {index} must depend on the graph's input")
    return operand


def integer_stream(node: Node, operands: tuple[Operand, ...], index: int = 0) -> tuple[Stream, Range]:
    """The same, with its range; raises VerificationError if it holds real numbers."""
    found = stream(node, operands, index)
    if found.range is None:
        raise VerificationError(f"{node}: input {found.name!r} must hold integers, not real numbers")
    return found, found.range


def constant(node: Node, operands: tuple[Operand, ...], index: int) -> np.ndarray:
    """The operand that must be an initialiser."""
    operand = operands[index] if index < len(operands) else None
    if not isinstance(operand, np.ndarray):
        raise VerificationError(f"{node}: input {index} must be an initialiser")
    return operand


def integers(node: Node, operands: tuple[Operand, ...], index: int) -> np.ndarray:
    """The initialiser as int64; raises VerificationError if a value is no integer."""
    values = constant(node, operands, index)
    if not is_integer(values):
        wrong = values[values != np.rint(values)].flat[0]
        raise VerificationError(f"{node}: initialiser {node.inputs[index]!r} must hold integers, not {wrong}")
    return values.astype(np.int64)


def is_integer(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all())


def on_channels_last(layout: str, kernel: Callable[[Tensor], Tensor]) -> Kernel:
    """Lets a kernel for (N, ..., C) work on tensors of this layout.

    An NCHW graph's tensors lie in memory as NHWC all the same (torch's channels_last), so nothing is copied.
    """
    if layout.index("C") == len(layout) - 1:
        return kernel
    return lambda x: kernel(x.movedim(1, -1)).movedim(-1, 1)
