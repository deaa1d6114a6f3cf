"""insightface's files: training sets as `.rec` with `.idx` beside it, and verification sets as `.bin`.

A `.rec` is a sequence of records of MXNet's RecordIO: magic number, kind and length (two uint32), data padded
to 4 bytes. Data in which the magic number occurs is cut there into several records (kind 1 the first, 2 those
between, 3 the last). The data begins with a header (flag uint32, label float32, two uint64 ids); a flag above
0 is the number of float32 labels that follow; the rest is the image file. `.idx` has a line `key offset` for
each record. Record 0 holds no image if its flag is above 0: its first label is then the first key that is no
image either.

A `.bin` is a pickle of (image files, whether each pair is of one person). A pickle can run any code, so it is
read by an unpickler that looks up no class and no function: all that it can make are lists, tuples, numbers
and strings, and everything but lists, tuples, bytes and bools is refused then.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard, TypeVar

from model.errors import UserError

T = TypeVar("T")

MAGIC = 0xCED7230A
LENGTH_BITS = 29
HEADER = struct.Struct("<IfQQ")
MAX_RECORD = 100_000_000  # bytes; an image is some kB
MAX_BIN = 2_000_000_000  # bytes of a verification set; the usual ones have 100 MB
ENDS = {0, 3}  # kinds of record that end its data


class Records:
    """A `.rec` file. Raises UserError("images", ...) if it or its `.idx` is none."""

    def __init__(self, path: Path) -> None:
        self.path, self.offsets = path, _read_index(path)
        self.file = path.open("rb")

    def people(self) -> dict[str, str]:
        """The key of each image, with the number of its person."""
        first, *_ = sorted(self.offsets)
        labels, _image = self._labels(self._data(first))
        last = labels[0] if first == 0 and len(labels) > 1 else float("inf")
        keys = [key for key in sorted(self.offsets) if key < last and (key > 0 or len(labels) == 1)]
        return {str(key): str(int(self._labels(self._data(key, head=True))[0][0])) for key in keys}

    def image(self, key: str) -> bytes:
        """The image file of a key. Raises ValueError if the record is broken."""
        return self._labels(self._data(int(key)))[1]

    def close(self) -> None:
        self.file.close()

    def _data(self, key: int, *, head: bool = False) -> bytes:
        """Of one record; with `head`, at least the header and the first label."""
        self.file.seek(self.offsets[key])
        parts = [_read_record(self.file, head=head)]
        while not head and parts[-1][0] not in ENDS:
            parts.append(_read_record(self.file))
        return struct.pack("<I", MAGIC).join(data for _, data in parts)

    @staticmethod
    def _labels(data: bytes) -> tuple[tuple[float, ...], bytes]:
        if len(data) < HEADER.size:
            raise ValueError("a record without header")
        flag, label, _, _ = HEADER.unpack_from(data)
        start = HEADER.size + 4 * flag
        if not flag:
            return (label,), data[start:]
        if len(data) < HEADER.size + 4:
            raise ValueError("a record without its labels")
        return struct.unpack_from(f"<{min(flag, 2)}f", data, HEADER.size), data[start:]


def _read_index(path: Path) -> dict[int, int]:
    index = path.with_suffix(".idx")
    try:
        pairs = [line.split() for line in index.read_text(encoding="ascii").splitlines()]
        offsets = {int(key): int(offset) for key, offset in pairs}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError("images", str(path), f"its {index.name} is no index ({reason})") from None
    size = path.stat().st_size
    if not offsets or min(offsets) < 0 or any(not 0 <= offset < size for offset in offsets.values()):
        raise UserError("images", str(path), f"its {index.name} names no record, or one outside of the file")
    return offsets


def _read_record(file: BinaryIO, *, head: bool = False) -> tuple[int, bytes]:
    """Kind and data, or the first bytes of the data, of the record at the file's position."""
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("the file ends before a record")
    magic, kind_length = struct.unpack("<II", start)
    kind, length = kind_length >> LENGTH_BITS, kind_length & ((1 << LENGTH_BITS) - 1)
    if magic != MAGIC or length > MAX_RECORD:
        raise ValueError("no record at the place that the index names")
    wanted = min(length, HEADER.size + 8) if head else length
    data = file.read(wanted)
    if len(data) < wanted:
        raise ValueError("the file ends within a record")
    if not head:
        file.read(-length % 4)
    return kind, data


class _Plain(pickle.Unpickler):
    """Looks up nothing, so that nothing can be called."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside")


def read_bin(path: Path) -> tuple[list[bytes], list[bool]]:
    """The image files of a `.bin`, two a pair in their order, and whether each pair is of one person.

    Raises UserError("images", ...) for anything but lists or tuples of bytes and of bools.
    """
    try:
        if path.stat().st_size > MAX_BIN:
            raise UserError("images", str(path), f"more than {MAX_BIN:,} bytes")
        with path.open("rb") as file:
            value = _Plain(file, encoding="bytes").load()
    except UserError:
        raise
    except Exception as error:  # a broken pickle raises whatever its bytes lead to
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError("images", str(path), f"is no .bin of faces ({reason})") from None
    images, same = value if isinstance(value, list | tuple) and len(value) == 2 else (None, None)
    if not (_all(images, bytes) and _all(same, bool)):
        raise UserError("images", str(path), "is no .bin of faces (not a list of images and one of bools)")
    if len(images) != 2 * len(same) or not same:
        rule = f"has {len(images)} images for {len(same)} pairs"
        raise UserError("images", str(path), rule)
    return list(images), list(same)


def _all(values: Any, kind: type[T]) -> TypeGuard[Sequence[T]]:
    return isinstance(values, list | tuple) and all(type(value) is kind for value in values)


class Bin:
    """The images of a `.bin` as a source: named by their number, of nobody in particular."""

    def __init__(self, path: Path) -> None:
        self.images = read_bin(path)[0]

    def people(self) -> Mapping[str, None]:
        return {str(number): None for number in range(len(self.images))}

    def image(self, key: str) -> bytes:
        return self.images[int(key)]

    def close(self) -> None:
        """Nothing is open."""
