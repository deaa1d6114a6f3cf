"""Where the jobs of a sweep run: in this process, in a pool of processes, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import torch

from model.console import progress
from model.errors import UserError


class Here(Executor):
    """One job after the other, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def executor(jobs: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Of `jobs` processes, with the cores shared evenly; or that of a Dask scheduler's address.

    Raises UserError("jobs" or "scheduler", ...).
    """
    if jobs < 1:
        raise UserError("jobs", jobs, "must be at least 1")
    if scheduler is not None:
        with _dask(scheduler) as cluster:
            yield cluster
    elif jobs == 1:
        yield Here()
    else:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        with ProcessPoolExecutor(jobs, spawn, torch.set_num_threads, (threads,)) as pool:
            yield pool


@contextmanager
def _dask(scheduler: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        rule = "needs Dask, which is not installed: pip install distributed"
        raise UserError("scheduler", scheduler, rule) from None
    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise UserError("scheduler", scheduler, f"cannot be reached ({error})") from None
    with client:
        yield client.get_executor()


def run_all(pool: Executor, job: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What `job` returns for each of the arguments, in their order."""
    futures = [pool.submit(job, *each) for each in arguments]
    for _ in progress(as_completed(futures), job.__name__.replace("_", " "), total=len(futures)):
        pass
    return [future.result() for future in futures]
