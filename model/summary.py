"""What a network holds and computes, block by block.

python -m model.summary --config hw_configs/w4a4.json [--json]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from model.console import run
from model.spec import NetworkSpec, spec_of_config
from model.table import BLOCKS, FLOAT_BITS


@dataclass(frozen=True)
class BlockSummary:
    """One block of Table I. macs: a frame; footprint: bits of its weights; share: of 32-bit weights.

    act_bits: of what it writes, None for the last block, whose accumulators leave the network;
    stream_bits: of the residual stream that its bottlenecks write to. output: (channels, height, width).
    """

    block: int
    kind: str
    weights: int
    macs: int
    weight_bits: int
    footprint: int
    share: float
    act_bits: int | None
    stream_bits: int | None
    output: tuple[int, int, int]


def summarise(spec: NetworkSpec) -> list[BlockSummary]:
    """One row per block."""
    rows = []
    for number in range(1, BLOCKS + 1):
        stages = [stage for stage in spec.stages() if stage.block == number]
        last, bits = stages[-1], spec.weight_bits[number - 1]
        weights = sum(stage.weights for stage in stages)
        rows.append(
            BlockSummary(
                number,
                last.kind,
                weights,
                sum(stage.macs for stage in stages),
                bits,
                weights * bits,
                bits / FLOAT_BITS,
                None if number == BLOCKS else spec.act_bits[number - 1],
                None if last.stream is None else spec.stream_bits[last.stream],
                (last.c_out, last.size_out, last.size_out),
            )
        )
    return rows


def totals(rows: list[BlockSummary]) -> dict[str, float]:
    """Weights, MACs and footprint of all blocks, and the footprint's share of 32-bit weights."""
    weights, footprint = sum(row.weights for row in rows), sum(row.footprint for row in rows)
    macs = sum(row.macs for row in rows)
    share = footprint / (FLOAT_BITS * weights)
    return {"weights": weights, "macs": macs, "footprint": footprint, "share": share}


def table(rows: list[BlockSummary]) -> str:
    """The summary as text."""
    lines = [
        "block  kind         weights         MACs  w bits  footprint bits  share  a bits  stream  output"
    ]
    for row in rows:
        stream = row.stream_bits or "-"
        lines.append(
            f"{row.block:5}  {row.kind:10}{row.weights:10,}{row.macs:13,}{row.weight_bits:8}"
            f"{row.footprint:16,}{row.share:7.1%}{row.act_bits or 'acc':>8}{stream:>8}"
            f"  {'x'.join(map(str, row.output))}"
        )
    total = totals(rows)
    lines.append(
        f"total{'':12}{total['weights']:10,}{total['macs']:13,}{'':8}{total['footprint']:16,}{total['share']:7.1%}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="model.summary", description="Weights, MACs and widths per block.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = summarise(spec_of_config(args.config))
    if args.json:
        print(json.dumps({"blocks": [asdict(row) for row in rows], "total": totals(rows)}, indent=2))
    else:
        print(table(rows))


if __name__ == "__main__":
    run(main)
