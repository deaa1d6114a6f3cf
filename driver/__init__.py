"""Face recognition on the board: accelerator, alignment, gallery. Needs numpy, pynq and pillow alone."""

from driver.accelerator import FaceAccelerator
from driver.errors import ClosedError, DeployError, DeviceError, DeviceTimeoutError, DriverError, InputError

__all__ = [
    "ClosedError",
    "DeployError",
    "DeviceError",
    "DeviceTimeoutError",
    "DriverError",
    "FaceAccelerator",
    "InputError",
]
