"""A `pynq.Device` without a board: memory, an AXI DMA that behaves as the real one, an emulated accelerator.

pynq's own Overlay, allocate, MMIO and DMA classes run on it unchanged, and so does what was written for them.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
from pynq import Clocks
from pynq.buffer import PynqBuffer
from pynq.pl_server.device import Device
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from driver.emulated.dma import VLNV, EmulatedDma
from driver.emulated.errors import EmulationError
from driver.emulated.fabric import Fabric
from driver.emulated.integers import IntegerFabric
from driver.emulated.memory import Memory
from driver.emulated.processor import ARCHITECTURES, BOOT_VALUES
from driver.emulated.verilated import VerilatedFabric
from driver.errors import DeployError, InputError

FOLDER, SETTINGS = "emulation", "emulation.json"
RTL, INTEGERS = "rtl", "integers"
WORD = 4


class EmulatedDevice(Device):
    """The board that a deploy folder was built for, emulated.

    fabric: "rtl", the generated Verilog cycle for cycle, or "integers", the integer executor, which is much
    faster; both give the same integers. Or any `Fabric`. name and repr say which it is.

    Raises DeployError if the folder has nothing to emulate, InputError for another fabric.
    """

    def __init__(self, deploy_dir: Path | str, fabric: str | Fabric = RTL) -> None:
        self._folder = Path(deploy_dir).resolve() / FOLDER
        self._settings = _read_settings(self._folder)
        self._fabric = self._make_fabric(fabric) if isinstance(fabric, str) else fabric
        self.emulated_bitfile = self._folder / str(self._settings["bitfile"])
        self.name = f"emulated {self._settings['board']} ({self._fabric.name})"
        super().__init__(self.name)
        self.capabilities = {"REGISTER_RW": True}
        self.memory = Memory()
        self._dmas: dict[range, EmulatedDma] = {}
        self._registers: dict[int, int] = {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return (
            f"<EmulatedDevice: {self._settings['board']}, {self._fabric.name} of {self._settings['build']!r}>"
        )

    @property
    def fabric(self) -> Fabric:
        """What stands for the programmable logic."""
        return self._fabric

    @property
    def dma(self) -> EmulatedDma:
        """The DMA of the overlay that is loaded. Raises EmulationError without one."""
        if not self._dmas:
            raise EmulationError("no overlay is loaded")
        return next(iter(self._dmas.values()))

    def close(self) -> None:
        """End the simulation or the worker. Buffers stay as they are."""
        with self._lock:
            self._fabric.close()

    # What follows is pynq's interface of a device.

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """The .hwh beside a bitfile, read by pynq's own parser, as on a board."""
        path = Path(bitfile_name).with_suffix(".hwh")
        if not path.is_file():
            raise RuntimeError("Unable to find metadata for bitstream")  # pynq's words for it
        parser = RuntimeMetadataParser(Metadata(input=str(path)))
        self.arch = ARCHITECTURES[parser.family_ps]
        self._registers = dict(BOOT_VALUES[self.arch])
        if getattr(Clocks, "_real_instance", None) is not None:
            del Clocks._real_instance  # pynq keeps the first device's clocks for every other
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Program: the fabric and the DMAs of the .hwh start anew. Buffers stay, as they do on a board."""
        with self._lock:
            self._fabric.program()
            before = self._dmas
            self._dmas = {
                range(ip["phys_addr"], ip["phys_addr"] + ip["addr_range"]): EmulatedDma(
                    self.memory, self._fabric, ip["parameters"]
                )
                for ip in parser.ip_dict.values()
                if ip["type"] == VLNV
            }
            for addresses, dma in self._dmas.items():
                if addresses in before:
                    dma.take_faults(before[addresses])
        self.post_download(bitstream, parser, self.name)

    def allocate(self, shape: Any, dtype: Any, **options: Any) -> PynqBuffer:
        """A buffer in the emulated DRAM, not coherent: flush and invalidate are needed."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with self._lock:
            block = self.memory.allocate(size)
        buffer = PynqBuffer(
            shape, dtype, buffer=block.cached, device=self, device_address=block.address, bo=block
        )
        buffer.memory, buffer.pointer, buffer.return_to = self, block, self.memory
        buffer.freed = True  # to pynq: what `return_to` gets back, it does not unmap
        return buffer

    def flush(self, bo: Any, offset: int, virtual_address: int, size: int) -> None:
        with self._lock:
            self.memory.flush(bo, offset, size)

    def invalidate(self, bo: Any, offset: int, virtual_address: int, size: int) -> None:
        with self._lock:
            self.memory.invalidate(bo, offset, size)

    def read_registers(self, address: int, length: int) -> bytes:
        with self._lock:
            words = [self._read(address + at) for at in range(0, length, WORD)]
        return b"".join(word.to_bytes(WORD, "little") for word in words)

    def write_registers(self, address: int, data: Any) -> None:
        raw = bytes(data)
        with self._lock:
            for at in range(0, len(raw), WORD):
                self._write(address + at, int.from_bytes(raw[at : at + WORD], "little"))

    def _read(self, address: int) -> int:
        for addresses, dma in self._dmas.items():
            if address in addresses:
                return dma.read(address - addresses.start)
        return self._registers[self._known(address)]

    def _write(self, address: int, value: int) -> None:
        for addresses, dma in self._dmas.items():
            if address in addresses:
                dma.write(address - addresses.start, value)
                return
        self._registers[self._known(address)] = value

    def _known(self, address: int) -> int:
        if address not in self._registers:
            raise EmulationError(f"no register at {address:#x}; a board ends the program with a bus error")
        return address

    def _make_fabric(self, name: str) -> Fabric:
        if name == RTL:
            library = self._folder / str(self._settings["library"])
            return VerilatedFabric(library, int(self._settings["quiet_cycles"]))
        if name == INTEGERS:
            worker = self._settings["worker"]
            return IntegerFabric(worker["command"], self._folder, worker["environment"])
        raise InputError("fabric", name, f"give {RTL!r} or {INTEGERS!r}")


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        rule = "package the build again on the machine that shall emulate it"
        raise DeployError(f"{path}: cannot be read ({error}); {rule}") from None
    assert isinstance(settings, dict)
    return settings
