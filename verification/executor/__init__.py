"""The integer executor: the golden reference of every simulation."""

from verification.executor.executor import Executor

__all__ = ["Executor"]
