from __future__ import annotations

import math
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from model.errors import UserError
from model.experiments.pool import Here, executor, run_all


def test_a_pool_gives_the_results_in_order() -> None:
    arguments = [(float(number),) for number in range(5)]
    with executor(1) as here, executor(2) as pool:
        assert isinstance(here, Here)
        assert not isinstance(pool, Here)
        expected = [math.sqrt(number) for (number,) in arguments]
        assert run_all(here, math.sqrt, arguments) == expected
        assert run_all(pool, math.sqrt, arguments) == expected
        with pytest.raises(ValueError, match="math domain error"):  # a job that fails is an error
            run_all(pool, math.sqrt, [(1.0,), (-1.0,)])


def test_bad_numbers_of_jobs() -> None:
    with pytest.raises(UserError, match=r"^jobs = 0: must be at least 1$"), executor(0):
        pass


def test_dask_is_asked_for_its_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against Dask's documented interface: Client(address), a context manager, and get_executor()."""
    seen: list[str] = []

    class Client:
        def __init__(self, address: str) -> None:
            if address == "tcp://nobody:1":
                raise OSError("timed out")
            seen.append(address)

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_error: Any) -> None:
            seen.append("closed")

        def get_executor(self) -> Executor:
            return ThreadPoolExecutor(1)

    module = ModuleType("distributed")
    module.Client = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", module)
    with executor(1, "tcp://node:8786") as pool:
        assert run_all(pool, math.sqrt, [(4.0,)]) == [2.0]
    assert seen == ["tcp://node:8786", "closed"]
    message = r"^scheduler = 'tcp://nobody:1': cannot be reached \(timed out\)$"
    with pytest.raises(UserError, match=message), executor(1, "tcp://nobody:1"):
        pass


def test_dask_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = r"^scheduler = 'tcp://node:1': needs Dask, which is not installed: pip install distributed$"
    with pytest.raises(UserError, match=message), executor(1, "tcp://node:1"):
        pass
