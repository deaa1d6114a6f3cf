from __future__ import annotations

import struct
from pathlib import Path

import pytest

from model import event_log as module
from model.event_log import crc32c, log_scalars, open_log


def test_a_file_is_what_tensorboard_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These bytes were read by tensorboard 2.20's EventFileLoader: (300, loss 0.5, auc 2.0)."""
    monkeypatch.setattr(module.time, "time", lambda: 1.5)
    path = open_log(tmp_path, 300)
    log_scalars(path, 300, {"loss": 0.5, "auc": 2.0})
    assert path.name == "events.out.tfevents.0000000300"
    assert path.read_bytes().hex() == EXPECTED


EXPECTED = (
    "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
    "2700000000000000bbe1b14609000000000000f83f10ac02"
    "2a190a0b0a046c6f7373150000003f0a0a0a036175631500000040dd7a4c7b"
)


def test_records_follow_each_other(tmp_path: Path) -> None:
    path = open_log(tmp_path, 0)
    for step in range(3):
        log_scalars(path, step, {"loss": float(step)})
    data, lengths = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        (check,) = struct.unpack("<I", data[8:12])
        crc = crc32c(data[:8])
        assert check == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        lengths.append(length)
        data = data[length + 16 :]
    assert len(lengths) == 4
