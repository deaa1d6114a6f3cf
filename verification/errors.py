"""What a check says when it fails."""

from __future__ import annotations

from dataclasses import dataclass


class VerificationError(ValueError):
    """A graph that cannot be executed exactly, a value outside its declared type, or unusable data."""


@dataclass(eq=False)
class MismatchError(VerificationError):
    """Two representations of the network give different integers.

    node: the one that computes `tensor`, the first in topological order that differs.
    index: (frame, channel, row, column) of the first differing element; got is the graph's, expected the
        reference's integer there. differing of elements: how many of the tensor's elements differ.
    """

    node: str
    tensor: str
    index: tuple[int, int, int, int]
    got: int
    expected: int
    differing: int
    elements: int

    def __str__(self) -> str:
        frame, channel, row, column = self.index
        return (
            f"{self.node}: {self.tensor!r} first differs at frame {frame}, channel {channel}, row {row}, "
            f"column {column}: got {self.got}, expected {self.expected}; "
            f"{self.differing} of {self.elements} elements differ"
        )
