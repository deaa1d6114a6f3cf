"""Declared widths: what integer type a graph declares for each tensor, and whether values fit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from qonnx.core.datatype import BaseDataType, DataType

from verification.errors import VerificationError
from verification.executor.graph import Graph, Node

OUTPUT_TYPES = (
    "outputDataType",
    "accDataType",
    "out_dtype",
)  # attributes; accDataType only without activation
INPUT_TYPES = (("inputDataType", 0), ("lhs_dtype", 0), ("rhs_dtype", 1), ("weightDataType", 1))


@dataclass(frozen=True)
class Declaration:
    """`where` says that the tensor holds integers of `datatype`."""

    datatype: BaseDataType
    where: str

    def check(self, subject: str, verb: str, low: int, high: int, fit: tuple[int, int]) -> None:
        """Raise VerificationError unless low..high fits; `fit` is the range that a right type must hold."""
        least, greatest = limits(self.datatype)
        if least <= low and high <= greatest:
            return
        name, would_do = self.datatype.name, smallest_type(*fit, signed=self.datatype.signed()).name
        raise VerificationError(
            f"{subject} {verb} {low if least - low >= high - greatest else high}, but {self.where} is {name} "
            f"({least}..{greatest}); {would_do} would do"
        )


def declarations(graph: Graph) -> dict[str, Declaration]:
    """The narrowest integer type that a producer, a consumer or an annotation gives each tensor."""
    narrowest: dict[str, Declaration] = {}
    for tensor, declaration in _declarations(graph):
        known = narrowest.get(tensor)
        if known is None or _width(declaration.datatype) < _width(known.datatype):
            narrowest[tensor] = declaration
    return narrowest


def _declarations(graph: Graph) -> Iterator[tuple[str, Declaration]]:
    for node in graph.nodes:
        for tensor, attribute in _typed(node):
            datatype = node.datatype(attribute)
            if datatype.is_integer():
                yield tensor, Declaration(datatype, f"{attribute} of {node.name}")
    for tensor, datatype in graph.datatypes.items():
        if datatype.is_integer():
            yield tensor, Declaration(datatype, "its annotation")


def _typed(node: Node) -> Iterator[tuple[str, str]]:
    """(tensor, attribute that declares its type), for the attributes that the node has."""
    for attribute in OUTPUT_TYPES:
        if attribute in node.attributes:
            yield from ((output, attribute) for output in node.outputs)
    for attribute, index in INPUT_TYPES:
        if attribute in node.attributes and index < len(node.inputs):
            yield node.inputs[index], attribute


def limits(datatype: BaseDataType) -> tuple[int, int]:
    """Least and greatest value of an integer type."""
    return int(datatype.min()), int(datatype.max())


def _width(datatype: BaseDataType) -> int:
    least, greatest = limits(datatype)
    return greatest - least


def smallest_type(low: int, high: int, *, signed: bool) -> BaseDataType:
    """The narrowest INT (or, if not signed and low >= 0, UINT) for low..high.

    >>> smallest_type(-9, 7, signed=True).name, smallest_type(0, 16, signed=False).name
    ('INT5', 'UINT5')
    """
    if low >= 0 and not signed:
        return DataType[f"UINT{max(high.bit_length(), 1)}"]
    bits = max(max(-low - 1, 0).bit_length(), max(high, 0).bit_length()) + 1
    return DataType[f"INT{max(bits, 2)}"]


def check_constants(graph: Graph, declared: dict[str, Declaration]) -> None:
    """Raise VerificationError if a weight or threshold does not fit its declared type."""
    for node in graph.nodes:
        for name in node.inputs:
            values = graph.constants.get(name)
            if values is None or name not in declared or not values.size:
                continue
            low, high = int(np.floor(values.min())), int(np.ceil(values.max()))
            declared[name].check(f"{node}: initialiser {name!r}", "holds", low, high, (low, high))
