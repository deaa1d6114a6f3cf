"""The choice of one option per group, as arrays: what each costs, and the streams between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.boards import DspBlock
from finn_flow.folding.fifos import held_bits, stream_resources
from finn_flow.folding.groups import Group, Option, folding_groups
from finn_flow.resources import RESOURCE_NAMES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Choice = list[int]  # option index by group


@dataclass(frozen=True)
class Edge:
    """A stream between two groups: at each end the row or column of `streams` that an option selects."""

    source: int
    target: int
    source_index: Ints  # by option of source
    target_index: Ints
    streams: Floats  # converter and FIFOs: (widths of source, widths of target, resource)

    def at(self, choice: Choice) -> Floats:
        """Resources of the stream under a choice: (resource,)."""
        return self.streams[self.source_index[choice[self.source]], self.target_index[choice[self.target]]]

    def around(self, group: int, choice: Choice) -> Floats:
        """The same for every option of one end, the other end as chosen: (option, resource)."""
        if group == self.source:
            return self.streams[self.source_index, self.target_index[choice[self.target]]]
        return self.streams[self.source_index[choice[self.source]], self.target_index]


class Problem:
    """By group, intervals: cycles (option,); costs: (option, resource). edges: streams between groups.

    held: bits that wait in a stream, by tensor, where it is a residual by-pass.
    """

    def __init__(self, groups: Sequence[Group], held: Mapping[str, int], dsp_block: DspBlock) -> None:
        self.groups = groups
        self.intervals: list[Ints] = [np.array([o.interval for o in group.options]) for group in groups]
        self.costs: list[Floats] = [
            np.array([option.resources.counts for option in group.options], dtype=float) for group in groups
        ]
        self.edges = _edges(groups, held, dsp_block)
        self.edges_of = [[e for e in self.edges if i in (e.source, e.target)] for i in range(len(groups))]

    @classmethod
    def of(cls, model: ModelWrapper, dsp_block: DspBlock) -> Problem:
        """Of a hardware graph without width converters."""
        return cls(folding_groups(model, dsp_block), held_bits(model), dsp_block)

    def candidates(self) -> list[int]:
        """All intervals that the network can have, ascending: from the least of its slowest group on."""
        least = max(int(intervals.min()) for intervals in self.intervals)
        every = np.unique(np.concatenate(self.intervals))
        return [int(interval) for interval in every[every >= least]]

    def slowest_layer(self) -> str:
        """The layer that sets the least interval."""
        group = max(self.groups, key=lambda group: min(option.interval for option in group.options))
        cycles = min(group.options, key=lambda option: option.interval).cycles
        return max(cycles, key=cycles.__getitem__)

    def usage(self, choice: Choice) -> Floats:
        """Resources of a choice, streams included: (resource,)."""
        own = np.sum([costs[i] for costs, i in zip(self.costs, choice, strict=True)], axis=0)
        return own + sum(edge.at(choice) for edge in self.edges)

    def options(self, choice: Choice) -> list[Option]:
        return [group.options[i] for group, i in zip(self.groups, choice, strict=True)]


def _edges(groups: Sequence[Group], held: Mapping[str, int], dsp_block: DspBlock) -> list[Edge]:
    sources = {t: i for i, group in enumerate(groups) for t in group.options[0].widths_out}
    return [
        _edge(groups, sources[tensor], target, tensor, held.get(tensor, 0), dsp_block)
        for target, group in enumerate(groups)
        for tensor in group.options[0].widths_in
        if tensor in sources
    ]


def _edge(
    groups: Sequence[Group], source: int, target: int, tensor: str, held: int, dsp_block: DspBlock
) -> Edge:
    out, source_index = np.unique([o.widths_out[tensor] for o in groups[source].options], return_inverse=True)
    into, target_index = np.unique([o.widths_in[tensor] for o in groups[target].options], return_inverse=True)
    table = np.zeros((len(out), len(into), len(RESOURCE_NAMES)))
    for i, a in enumerate(out):
        for j, b in enumerate(into):
            table[i, j] = stream_resources(int(a), int(b), dsp_block, held).counts
    return Edge(source, target, source_index, target_index, table)
