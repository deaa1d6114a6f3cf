"""What the emulated board says where the documents leave undefined what the real one does."""

from __future__ import annotations

from driver.errors import DriverError


class EmulationError(DriverError):
    """The host did what the documents forbid, or the fabric is broken. A board would hang, or worse.

    No DeviceError, which the driver answers by trying again.
    """
