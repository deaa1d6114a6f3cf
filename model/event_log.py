"""Scalars in TensorBoard's file format, without TensorBoard.

A file is a sequence of records: length (uint64), its checksum, the data, its checksum. The data is a protocol
buffer `Event` of TensorFlow (event.proto, summary.proto), written here by hand: a time and a file version, or
a time, a step and (tag, value) pairs. A checksum is a CRC-32C, rotated and offset ("masked").
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
MASK = 0xA282EAD8


def open_log(folder: Path, step: int) -> Path:
    """A new log that begins after `step`; TensorBoard reads the files of a folder in the order of names."""
    path = folder / f"events.out.tfevents.{step:010d}"
    path.write_bytes(record(_time() + _field(3, b"brain.Event:2")))
    return path


def log_scalars(path: Path, step: int, values: Mapping[str, float]) -> None:
    """Append the values of a step."""
    summary = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in values.items()
    )
    with path.open("ab") as file:
        file.write(record(_time() + b"\x10" + varint(step) + _field(5, summary)))


def record(data: bytes) -> bytes:
    """One record of the file."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _time() -> bytes:
    return b"\x09" + struct.pack("<d", time.time())


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """CRC-32C.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _table() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        yield value


TABLE = tuple(_table())
