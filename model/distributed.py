"""Training in several processes, as `torchrun` starts them; without torchrun there is one.

torchrun --nproc-per-node=2 -m model.train --config FILE --out RUN

Each process has its share of every batch, and its own GPU where there are some. Process 0 alone validates,
writes and prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from model.errors import UserError

PATIENCE = timedelta(hours=12)  # while process 0 decodes a large data set, the others wait
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Place:
    """Which of `world` processes this is, and where it computes."""

    rank: int = 0
    world: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Of the faces of a batch, those of this process.

        >>> Place(rank=1, world=2).share(8)
        slice(4, 8, None)
        """
        each = batch // self.world
        return slice(self.rank * each, (self.rank + 1) * each)

    def wrapped(self, module: nn.Module) -> nn.Module:
        """`module`, with gradients averaged over all processes."""
        if self.world == 1:
            return module
        ids = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def mean(self, value: Tensor) -> float:
        """Of all processes."""
        value = value.detach().clone()
        if self.world > 1:
            distributed.all_reduce(value)
        return value.item() / self.world

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def placed(device: str) -> Iterator[Place]:
    """The place of this process; `device` is auto, cpu or cuda. Raises UserError("device", ...)."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device", device, "there is no CUDA device here; use 'cpu' or 'auto'")
    cuda = device != "cpu" and torch.cuda.is_available()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    where = torch.device("cuda", local) if cuda else CPU
    if cuda:
        torch.cuda.set_device(where)
    if world == 1:
        yield Place(device=where)
        return
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Place(distributed.get_rank(), world, where)
    finally:
        distributed.destroy_process_group()
