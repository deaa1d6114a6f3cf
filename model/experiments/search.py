"""Sensitivity-guided search for mixed-precision networks.

Each block was quantised alone at each width and the loss measured on held-out people. Losses of different
blocks are taken to add up, so that the loss of every combination is known without making it; for a footprint,
the combination with the least is proposed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

Widths = tuple[int, ...]


def propose(
    losses: Mapping[tuple[int, int], float], weights: Sequence[int], bits: Sequence[int], budget: int
) -> Widths | None:
    """A width per block with at most `budget` bits of weights and the least sum of losses; None if none fits.

    losses: of (block, width), blocks from 1. weights: of each block. Among equal losses, the smaller network.

    >>> losses = {(1, 4): 0.0, (1, 2): 0.5, (2, 4): 0.0, (2, 2): 0.1}
    >>> propose(losses, [10, 30], [4, 2], 100)
    (4, 2)
    """
    blocks = range(1, len(weights) + 1)
    choices = np.array(list(itertools.product(bits, repeat=len(weights))))
    footprint = choices @ np.asarray(weights)
    of_block = [
        np.vectorize({w: losses[block, w] for w in bits}.get)(choices[:, block - 1]) for block in blocks
    ]
    loss = np.where(footprint <= budget, np.sum(of_block, axis=0), np.inf)
    best = np.lexsort((footprint, loss))[0]
    return tuple(int(width) for width in choices[best]) if np.isfinite(loss[best]) else None
