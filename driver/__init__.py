"""Face recognition on the board: accelerator, alignment, gallery. Needs numpy, pynq and pillow alone."""

from driver.accelerator import FaceAccelerator
from driver.align import align
from driver.errors import ClosedError, DeployError, DeviceError, DeviceTimeoutError, DriverError, InputError
from driver.gallery import Gallery, Match

__all__ = [
    "ClosedError",
    "DeployError",
    "DeviceError",
    "DeviceTimeoutError",
    "DriverError",
    "FaceAccelerator",
    "Gallery",
    "InputError",
    "Match",
    "align",
]
