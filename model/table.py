"""Table I of the paper as data, and what follows from it: channels, residual streams, weights and MACs.

Everything that depends on the network's shape (the modules, the summary, the checks of a configuration)
reads this table; nothing repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FLOAT_BITS = 32  # a width that means "not quantised"; training only, export refuses it

Kind = Literal["conv", "depthwise", "bottleneck", "pointwise", "gdc", "linear"]


@dataclass(frozen=True)
class Block:
    """One row of Table I: `n` repetitions, expansion `t`, `c` output channels, stride `s` of the first."""

    kind: Kind
    c: int
    t: int = 1
    n: int = 1
    s: int = 1


TABLE_I: tuple[Block, ...] = (
    Block("conv", 64, s=2),
    Block("depthwise", 64),
    Block("bottleneck", 64, t=2, n=5, s=2),
    Block("bottleneck", 128, t=4, n=1, s=2),
    Block("bottleneck", 128, t=2, n=6, s=1),
    Block("bottleneck", 128, t=4, n=1, s=2),
    Block("bottleneck", 128, t=2, n=2, s=1),
    Block("pointwise", 512),
    Block("gdc", 512),
    Block("linear", 128),
)
BLOCKS = len(TABLE_I)


@dataclass(frozen=True)
class Stage:
    """One block, or one repetition of a bottleneck block, with its shapes settled.

    `block` counts from 1 as in the paper. `size` is the side of the square input; `stream` is the index of
    the residual stream that a bottleneck writes to; `residual` says that its output is added to its input.
    """

    name: str
    block: int
    kind: Kind
    c_in: int
    c_mid: int
    c_out: int
    size: int
    stride: int
    stream: int | None = None
    residual: bool = False

    @property
    def size_out(self) -> int:
        return 1 if self.kind in ("gdc", "linear") else self.size // self.stride

    @property
    def weights(self) -> int:
        """Number of convolution weights."""
        return sum(count for _, count, _ in self.convolutions())

    @property
    def macs(self) -> int:
        """Multiply-accumulates a frame."""
        return sum(count * pixels for _, count, pixels in self.convolutions())

    def convolutions(self) -> list[tuple[str, int, int]]:
        """Its convolutions in order: (role, weights, output pixels)."""
        pixels = self.size_out**2
        dense = self.c_in * self.c_out
        match self.kind:
            case "conv":
                return [("conv", 9 * dense, pixels)]
            case "depthwise":
                return [("depthwise", 9 * self.c_out, pixels)]
            case "bottleneck":
                return [
                    ("expand", self.c_in * self.c_mid, self.size**2),
                    ("depthwise", 9 * self.c_mid, pixels),
                    ("project", self.c_mid * self.c_out, pixels),
                ]
            case "gdc":
                return [("gdc", self.size**2 * self.c_out, 1)]
            case _:
                return [(self.kind, dense, pixels)]


def scaled(channels: int, width: float) -> int:
    """Channels under the channel multiplier `width`, a multiple of 4 so that layers can be folded."""
    return max(4, 4 * round(channels * width / 4))


def stages(width: float = 1.0, size: int = 112, embedding: int = 128) -> list[Stage]:
    """Table I with a channel multiplier, a square input of `size` pixels and an embedding length.

    A bottleneck that cannot add its input to its output opens a new residual stream; one that can stays on
    the stream that feeds it. Table I so has three streams: block 3, blocks 4-5, blocks 6-7.
    """
    result: list[Stage] = []
    c, side, stream = 3, size, -1
    for number, row in enumerate(TABLE_I, 1):
        c_out = embedding if row.kind == "linear" else scaled(row.c, width)
        for repetition in range(row.n):
            stride = row.s if repetition == 0 else 1
            bottleneck = row.kind == "bottleneck"
            residual = bottleneck and stride == 1 and c == c_out
            stream += bottleneck and not residual
            name = f"block{number}" + (f".{repetition}" if bottleneck else "")
            stage = Stage(
                name,
                number,
                row.kind,
                c_in=c,
                c_mid=c * row.t,
                c_out=c_out,
                size=side,
                stride=stride,
                stream=stream if bottleneck else None,
                residual=residual,
            )
            result.append(stage)
            c, side = stage.c_out, stage.size_out
    return result


def residual_streams() -> list[int]:
    """The block (from 1) that opens each residual stream of Table I: [3, 4, 6]."""
    opened: dict[int, int] = {}
    for stage in stages():
        if stage.stream is not None:
            opened.setdefault(stage.stream, stage.block)
    return list(opened.values())


def stream_bits(act_bits: Sequence[int], residual_bits: Sequence[int] | None) -> list[int]:
    """Width of each residual stream; by default that of the block that opens it."""
    return list(residual_bits or [act_bits[block - 1] for block in residual_streams()])
