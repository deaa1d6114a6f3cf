"""What can go wrong, as one line each. The command line prints it and exits with code 2."""

from __future__ import annotations


class DriverError(Exception):
    """Base of all errors of this package."""


class InputError(DriverError, ValueError):
    """Bad input: which field, what it was, what would be right.

    >>> print(InputError("batch_size", 0, "give a whole number from 1 on"))
    batch_size = 0: give a whole number from 1 on
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        super().__init__(field, value, rule)
        self.field, self.value, self.rule = field, value, rule

    def __str__(self) -> str:
        return f"{self.field} = {self.value!r}: {self.rule}"


class DeployError(DriverError):
    """A deploy folder that is not as the build wrote it."""


class DeviceError(DriverError, RuntimeError):
    """The device did not do what it was told. The next call brings it back to a known state first."""


class DeviceTimeoutError(DeviceError, TimeoutError):
    """The device did not answer in time."""


class ClosedError(DriverError, RuntimeError):
    """The accelerator was closed, or another overlay was loaded in its place."""
