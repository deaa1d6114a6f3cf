"""The emulated board: `FaceAccelerator("deploy", device=EmulatedDevice("deploy"))` runs on a laptop."""

from driver.emulated.device import INTEGERS, RTL, EmulatedDevice
from driver.emulated.errors import EmulationError

__all__ = ["INTEGERS", "RTL", "EmulatedDevice", "EmulationError"]
