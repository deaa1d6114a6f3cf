"""The device: the only module that talks to pynq. Programs the bitfile, hands out buffers and the DMA.

Written for pynq 3.0.1 and later. pynq is imported when a board is opened, so that all else works without it.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from driver.deploy import Deployment
from driver.errors import DeployError, DeviceError, DriverError

EMULATED = "QMFN_EMULATED"  # environment variable: `rtl` or `integers`, see driver/emulated
PS_CLOCK_MHZ = 100.0  # what the processor feeds the design's PLL, from which that makes its own clock


class Board:
    """A device programmed with the bitfile of a deployment.

    device: a `pynq.Device`; None: pynq's active one. A device that emulates names in its attribute
    `emulated_bitfile` what pynq shall load in place of the bitfile, which then need not be built, and in
    `timeout_s` how long a batch may take there at the most.
    """

    def __init__(self, deployment: Deployment, device: Any = None) -> None:
        try:
            import pynq
            import pynq.lib.dma
        except ImportError as error:
            raise DeviceError(f"pynq cannot be imported ({error}); install it (see README.md)") from None
        self._pynq = pynq
        self.device = _default_device(pynq, deployment) if device is None else device
        emulated = getattr(self.device, "emulated_bitfile", None)
        bitfile: Path | None = Path(emulated) if emulated else deployment.bitfile
        if bitfile is None:
            raise DeployError(f"{deployment.folder}: holds no bitfile; build it where Vivado is on the PATH")
        try:
            self.overlay = self._load(bitfile)
            self.dma = self._find_dma(deployment.dma)
        except DriverError:
            raise
        except Exception as error:  # of many kinds: no root, another board's bitfile, a .hwh it cannot read
            raise DeviceError(f"pynq cannot load {bitfile}: {str(error) or type(error).__name__}") from error
        self.timeout_s: float | None = getattr(self.device, "timeout_s", None)
        self._clock_mhz = deployment.clock_mhz
        self._on_a_board = pynq.ps.CPU_ARCH_IS_SUPPORTED and not emulated
        if self._on_a_board:
            pynq.Clocks.fclk0_mhz = PS_CLOCK_MHZ  # as FINN's driver does: another overlay may have changed it

    def _load(self, bitfile: Path) -> Any:
        overlay = self._pynq.Overlay(str(bitfile), device=self.device, download=False)
        for clock in overlay.clock_dict.values():
            # pynq 4.0.0 wants a frequency that Vivado writes for Zynq UltraScale+ alone, and fails without.
            if clock.get("frequency", PS_CLOCK_MHZ) is None:
                clock["frequency"] = PS_CLOCK_MHZ
        overlay.download()
        return overlay

    def _find_dma(self, name: str) -> Any:
        if name not in self.overlay.ip_dict:
            raise DeployError(
                f"{self.overlay.bitfile_name}: no IP {name!r} in its .hwh; copy both files again"
            )
        dma = getattr(self.overlay, name)
        if not isinstance(dma, self._pynq.lib.dma.DMA) or not dma.sendchannel or not dma.recvchannel:
            raise DeployError(f"{self.overlay.bitfile_name}: {name} is not an AXI DMA with both channels")
        return dma

    def is_loaded(self) -> bool:
        """Whether no other overlay was loaded since: the DMA's registers are then something else."""
        return bool(self.overlay.is_loaded())

    def program(self) -> None:
        """Program the bitfile again: nothing that was inside the accelerator is left. Raises DeviceError."""
        try:
            self.overlay.download()
        except Exception as error:  # pynq's are of many kinds
            raise DeviceError(f"the bitfile cannot be programmed again: {error}") from error

    def allocate(self, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """A buffer that the DMA can reach, at the start of a page. To be given back with `free`."""
        buffer: np.ndarray = self._pynq.allocate(shape, dtype, target=self.device)
        return buffer

    @staticmethod
    def free(buffer: Any) -> None:
        """Give a buffer back. It must not be used any more."""
        buffer.freebuffer()

    def clock_mhz(self) -> float:
        """The clock of the design: that it was built for, as far as the processor's is what it should be."""
        if not self._on_a_board:
            return self._clock_mhz
        return self._clock_mhz * float(self._pynq.Clocks.fclk0_mhz) / PS_CLOCK_MHZ


def _default_device(pynq: Any, deployment: Deployment) -> Any:
    """pynq's active device, or the emulated board where QMFN_EMULATED asks for one."""
    if fabric := os.environ.get(EMULATED):
        from driver.emulated import EmulatedDevice

        return EmulatedDevice(deployment.folder, fabric)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it says the same as the error
            return pynq.Device.active_device
    except RuntimeError:
        raise DeviceError("pynq finds no device; run on the board, or on an emulated one") from None
