"""The accelerator as a class: faces in, embeddings out. Its methods have the names of FINN's driver.

with FaceAccelerator("deploy", batch_size=32) as accelerator:
    embeddings = accelerator.embed(faces)        # uint8 (N, 112, 112, 3) RGB -> float32 (N, 128)
    cosines = embeddings @ embeddings.T
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.board import Board
from driver.deploy import Deployment, open_deployment
from driver.dma import Dma
from driver.errors import ClosedError, DeviceError, InputError
from driver.host import as_array, check_frames, embeddings, pack, unpack
from driver.shapes import IoShapes, io_shape_dict
from driver.throughput import throughput_test

LOG = logging.getLogger(__name__)
SLOWER = 10.0  # a batch that takes this many times its estimate hangs ...
AT_LEAST_S = 1.0  # ... but a busy operating system may take as long as this
RETRIES = 1  # of a batch, after the device was brought back to a known state


class FaceAccelerator(IoShapes):
    """An accelerator on its device, programmed and ready.

    bitfile_or_deploy_dir: the deploy folder of a build, or its bitfile; all its files are checked by their
    SHA-256 before the device is programmed. device: a `pynq.Device`, None for the active one. batch_size:
    the most frames that go to the device at a time. timeout_s: after which a batch counts as hung; None: ten
    times what it should take, and a second at least.

    Raises DeployError (folder), DeviceError (device), InputError (arguments). Threads may share one object:
    calls wait for each other.
    """

    def __init__(
        self,
        bitfile_or_deploy_dir: Path | str,
        device: Any = None,
        batch_size: int = 16,
        timeout_s: float | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._closed, self._stale = False, False
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._deployment = open_deployment(bitfile_or_deploy_dir)
        self.io_shape_dict = io_shape_dict(self._deployment)
        self.recoveries = 0  # how often the device had to be brought back
        if timeout_s is not None and not timeout_s > 0:
            raise InputError("timeout_s", timeout_s, "give seconds, more than 0")
        _check_batch_size(batch_size)
        self._board = Board(self._deployment, device)
        self._dma = Dma(self._board.dma)
        self.timeout_s = self._board.timeout_s if timeout_s is None else timeout_s
        self._allocate(batch_size)

    @property
    def deployment(self) -> Deployment:
        """What the deploy folder says."""
        return self._deployment

    @property
    def device(self) -> Any:
        """The `pynq.Device` that it runs on; its `name` says whether it is a board."""
        return self._board.device

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`."""
        return self._board.overlay

    @property
    def fclk_mhz(self) -> float:
        """The clock of the design."""
        return self._board.clock_mhz()

    @property
    def batch_size(self) -> int:
        """The most frames that go to the device at a time. Setting it makes new buffers."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        with self._ready():
            _check_batch_size(value)
            self._allocate(value)

    def execute(self, batch: Any) -> NDArray[np.int32]:
        """Accumulators (N, E) of uint8 pixels (N, H, W, C), or of int8 pixels minus 128; any N.

        A batch that fails is sent once more after the device was brought back to a known state. Raises
        InputError, DeviceError, ClosedError; after the first two the accelerator can be used again.
        """
        with self._ready():
            frames = check_frames(batch, self._deployment.input)
            out = np.empty((len(frames), self._deployment.output.count), np.int32)
            done, failures = 0, 0
            while done < len(frames):
                try:
                    for filled in self._stream(frames, out, done):
                        done, failures = filled, 0
                except DeviceError as error:
                    failures += 1
                    LOG.warning("%s; frame %d of %d, try %d", error, done, len(frames), failures)
                    if failures > RETRIES:
                        raise
                    self._recover()
            return out

    def embed(self, images: Any) -> NDArray[np.float32]:
        """L2-normalised embeddings (N, E) of uint8 RGB faces (N, H, W, 3), or (E,) of one face (H, W, 3)."""
        faces = as_array(images, "images")
        if faces.dtype != np.uint8:
            raise InputError("images", str(faces.dtype), "give uint8 RGB pixels")
        single = faces.ndim == len(self._deployment.input.shape)
        frames = check_frames(faces[None] if single else faces, self._deployment.input, "images")
        result = embeddings(self.execute(frames), self._deployment)
        return result[0] if single else result

    def throughput_test(self) -> dict[str, float]:
        """FINN's measurements on one full batch of zeros; `driver.throughput` says which."""
        with self._ready():
            return throughput_test(self)

    def execute_on_buffers(self, batch_size: int | None = None) -> None:
        """Run `batch_size` frames (all) that are in the first input buffer, and wait for the result."""
        with self._ready():
            frames = self.batch_size if batch_size is None else batch_size
            if not 1 <= frames <= self.batch_size:
                raise InputError(
                    "batch_size", batch_size, f"give 1 to {self.batch_size}, as the buffers hold"
                )
            part = _Part(0, 0, frames)
            self._stale = True
            self._receive(part)
            self._send(part)
            self._dma.finish_send(self._deadline(part))
            self._dma.finish_receive(self._bytes_out(part), self._deadline(part))
            self._stale = False

    def copy_input_data_to_device(self, data: NDArray[np.int8], ind: int = 0) -> None:
        """Put packed frames into the first input buffer."""
        with self._ready():
            np.copyto(np.asarray(self._inputs[ind])[: len(data)], data.reshape(len(data), -1))
            self._inputs[ind].flush()

    def copy_output_data_from_device(self, data: NDArray[Any], ind: int = 0) -> None:
        """Take packed frames from the first output buffer."""
        with self._ready():
            self._outputs[ind].invalidate()
            np.copyto(data, np.asarray(self._outputs[ind])[: len(data)].view(data.dtype).reshape(data.shape))

    def close(self) -> None:
        """Give the buffers back. A second call does nothing; any other raises ClosedError."""
        with self._lock:
            if not self._closed:
                self._free()
                self._closed = True

    def __enter__(self) -> FaceAccelerator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # What follows is called with the lock held.

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Hold the accelerator, in a known state. Raises ClosedError, DeviceError."""
        with self._lock:
            if self._closed:
                raise ClosedError("the accelerator is closed; open it again")
            if not self._board.is_loaded():
                raise ClosedError("another overlay was loaded on this device; open the accelerator again")
            if self._stale:
                self._recover()
            yield

    def _stream(self, frames: NDArray[Any], out: NDArray[np.int32], start: int) -> Iterator[int]:
        """Run frames[start:], batch by batch; yields up to where `out` is filled.

        While a batch is inside the accelerator, the next is packed, and sent as soon as the input DMA is
        free, so that it follows on the heels of the first, whose last outputs are still to come.
        """
        size = self._batch_size
        firsts = range(start, len(frames), size)
        parts = [
            _Part(number % 2, first, min(first + size, len(frames))) for number, first in enumerate(firsts)
        ]
        self._stale = True
        for part, before in zip([*parts, None], [None, *parts], strict=True):
            if part:
                pack(frames[part.first : part.last], self._inputs[part.slot])
            if before:
                self._dma.finish_send(self._deadline(before))
            if part:
                self._send(part)
            if before:
                self._dma.finish_receive(self._bytes_out(before), self._deadline(before))
            if part:
                self._receive(part)
            if before:
                unpack(self._outputs[before.slot], out[before.first : before.last])
                yield before.last
        self._stale = False

    def _send(self, part: _Part) -> None:
        self._dma.send(self._inputs[part.slot], part.frames * self._deployment.input.frame_bytes)

    def _receive(self, part: _Part) -> None:
        self._dma.receive(self._outputs[part.slot], self._bytes_out(part))

    def _bytes_out(self, part: _Part) -> int:
        return part.frames * self._deployment.output.frame_bytes

    def _deadline(self, part: _Part) -> float:
        """When it counts as hung, counted from now, by time.monotonic()."""
        if self.timeout_s is not None:
            return time.monotonic() + self.timeout_s
        expected = self._deployment.latency_s + part.frames / self._deployment.fps
        return time.monotonic() + max(SLOWER * expected, AT_LEAST_S)

    def _recover(self) -> None:
        """Reset the DMA, then program again, which empties the accelerator: it may hold half a frame."""
        self._stale = True
        self._dma.reset()
        self._board.program()
        self._dma.start()
        self.recoveries += 1
        self._stale = False

    def _allocate(self, batch_size: int) -> None:
        """Two buffers an end, of `batch_size` frames. The old ones stay if the new ones cannot be had."""
        ends = (self._deployment.input, np.int8), (self._deployment.output, np.int32)
        most = self._dma.most_bytes // max(stream.frame_bytes for stream, _ in ends)
        if batch_size > most:
            raise InputError(
                "batch_size", batch_size, f"give at most {most}; the DMA's transfers hold no more"
            )
        buffers: list[list[Any]] = [[], []]
        try:
            for end, (stream, dtype) in zip(buffers, ends, strict=True):
                for _ in range(2):
                    end.append(self._board.allocate((batch_size, stream.count), dtype))
        except (MemoryError, RuntimeError, OSError) as error:
            for buffer in (*buffers[0], *buffers[1]):
                self._board.free(buffer)
            raise DeviceError(
                f"no memory for batches of {batch_size} frames ({error}); take smaller ones"
            ) from None
        self._free()
        (self._inputs, self._outputs), self._batch_size = buffers, batch_size

    def _free(self) -> None:
        """Give the buffers back; not before the DMA has let go of them."""
        if self._stale and self._board.is_loaded():
            self._dma.reset()
        for buffer in (*self._inputs, *self._outputs):
            self._board.free(buffer)
        self._inputs, self._outputs = [], []


@dataclass(frozen=True)
class _Part:
    """Frames first..last - 1 of a call, in the buffers `slot`."""

    slot: int
    first: int
    last: int

    @property
    def frames(self) -> int:
        return self.last - self.first


def _check_batch_size(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError("batch_size", value, "give a whole number from 1 on")
