"""Shapes and packing under the names of FINN's driver, for programs that were written for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.deploy import Deployment, Stream
from driver.host import check_frames, pack

Shape = tuple[int, ...]


def io_shape_dict(deployment: Deployment) -> dict[str, Any]:
    """FINN's description of the accelerator's ends: a list per port, of which there is one, for one frame."""
    ends = {"i": deployment.input, "o": deployment.output}
    shapes: dict[str, Any] = {}
    for end, stream in ends.items():
        shapes[f"{end}dt"] = [f"DataType['{stream.datatype}']"]
        shapes[f"{end}shape_normal"] = [(1, *stream.shape)]
        shapes[f"{end}shape_folded"] = [(1, stream.beats, _per_beat(stream))]
        shapes[f"{end}shape_packed"] = [(1, stream.beats, stream.bits // 8)]
    names = {"input_dma_name": [deployment.dma], "output_dma_name": [deployment.dma]}
    return {**shapes, **names, "number_of_external_weights": 0, "num_inputs": 1, "num_outputs": 1}


def _per_beat(stream: Stream) -> int:
    return stream.bits // (8 * stream.item)


class IoShapes:
    """The part of FINN's driver that is about shapes. `ind` is for its callers: there is one port an end."""

    io_shape_dict: dict[str, Any]
    batch_size: int
    _deployment: Deployment

    @property
    def num_inputs(self) -> int:
        return 1

    @property
    def num_outputs(self) -> int:
        return 1

    def idt(self, ind: int = 0) -> str:
        """Data type of the input."""
        return str(self.io_shape_dict["idt"][ind])

    def odt(self, ind: int = 0) -> str:
        """Data type of the output: the accumulators as they are computed; they arrive as int32."""
        return str(self.io_shape_dict["odt"][ind])

    def ishape_normal(self, ind: int = 0) -> Shape:
        """(batch_size, H, W, C)."""
        return self._shape("ishape_normal", ind)

    def oshape_normal(self, ind: int = 0) -> Shape:
        """(batch_size, E)."""
        return self._shape("oshape_normal", ind)

    def ishape_folded(self, ind: int = 0) -> Shape:
        """(batch_size, beats, numbers a beat)."""
        return self._shape("ishape_folded", ind)

    def oshape_folded(self, ind: int = 0) -> Shape:
        """(batch_size, beats, numbers a beat)."""
        return self._shape("oshape_folded", ind)

    def ishape_packed(self, ind: int = 0) -> Shape:
        """(batch_size, beats, bytes a beat)."""
        return self._shape("ishape_packed", ind)

    def oshape_packed(self, ind: int = 0) -> Shape:
        """(batch_size, beats, bytes a beat)."""
        return self._shape("oshape_packed", ind)

    def fold_input(self, ibuf_normal: NDArray[Any], ind: int = 0) -> NDArray[Any]:
        """A batch as it goes over the stream. Raises InputError."""
        return check_frames(ibuf_normal, self._deployment.input).reshape(-1, *self.ishape_folded(ind)[1:])

    def pack_input(self, ibuf_folded: NDArray[Any], ind: int = 0) -> NDArray[np.int8]:
        """The bytes that the DMA reads."""
        packed = np.empty((len(ibuf_folded), *self.ishape_packed(ind)[1:]), np.int8)
        pack(ibuf_folded, packed)
        return packed

    def unpack_output(self, obuf_packed: NDArray[Any], ind: int = 0) -> NDArray[np.int32]:
        """The numbers in the bytes that the DMA wrote."""
        return np.asarray(obuf_packed).view(np.int32).reshape(-1, *self.oshape_folded(ind)[1:])

    def unfold_output(self, obuf_folded: NDArray[np.int32], ind: int = 0) -> NDArray[np.int32]:
        """Accumulators (N, E)."""
        return obuf_folded.reshape(-1, *self.oshape_normal(ind)[1:])

    def _shape(self, name: str, ind: int) -> Shape:
        return (self.batch_size, *self.io_shape_dict[name][ind][1:])
