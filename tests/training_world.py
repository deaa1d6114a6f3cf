"""Random faces of twelve people, a start, a float teacher and settings that train on them in seconds."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from model.checkpoint import save_checkpoint
from model.train_settings import Settings, parse_settings
from tests.networks import random_network, small_spec

PEOPLE, EACH = 12, 6


def make_world(folder: Path) -> Path:
    """Into `folder`; the last of the people is in LFW."""
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        (folder / f"faces/p{person:02d}").mkdir(parents=True)
        face = random.integers(0, 256, (32, 32, 3))
        for number in range(EACH):
            noisy = np.clip(face + random.normal(0, 30, face.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"faces/p{person:02d}/{number}.png")
    (folder / "exclude.txt").write_text("# in LFW\nfaces/p11\nfaces/nobody\n")
    teacher, start = (random_network(small_spec(bits), seed=1).float() for bits in (32, 4))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in start.parameters():
            parameter *= 1 + 0.2 * torch.randn_like(parameter)
    save_checkpoint(start, folder / "start.safetensors", "Drawn from seed 1.")
    save_checkpoint(teacher, folder / "teacher.safetensors", "The teacher.")
    return folder


def values(world: Path, **changes: Any) -> dict[str, Any]:
    """The JSON object of a distillation of 24 steps; a change to None leaves a key out."""
    given: dict[str, Any] = {
        "start": str(world / "start.safetensors"),
        "faces": [str(world / "faces")],
        "exclude": str(world / "exclude.txt"),
        "cache": str(world / "cache"),
        "distillation": {"teachers": [str(world / "teacher.safetensors")]},
        "steps": 24,
        "batch": 8,
        "lr": 0.01,
        "warmup": 2,
        "every": 8,
        "held_out": 12,
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def settings(world: Path, **changes: Any) -> Settings:
    return parse_settings(values(world, **changes))


def losses(run: Path) -> list[str]:
    """The column of losses in a run's log, as text."""
    return [line.split(",")[1] for line in (run / "train.csv").read_text().splitlines()[1:]]


def pickled_bin(images: Sequence[bytes], same: Sequence[bool]) -> bytes:
    """What an insightface .bin holds, opcode by opcode: two images a pair."""
    faces = b"".join(b"B" + struct.pack("<I", len(image)) + image for image in images)  # BINBYTES
    flags = b"".join(b"\x88" if value else b"\x89" for value in same)
    return b"\x80\x03](" + faces + b"e](" + flags + b"e\x86."


def write_bin(world: Path) -> Path:
    """Twenty pairs of the people in `world/faces`, every other one of one person."""
    files = []
    for pair in range(20):
        person, other = pair // 2, pair // 2 + pair % 2
        files += [world / f"faces/p{person:02d}/0.png", world / f"faces/p{other:02d}/{1 + pair % 5}.png"]
    path = world / "pairs.bin"
    path.write_bytes(pickled_bin([file.read_bytes() for file in files], [p % 2 == 0 for p in range(20)]))
    return path
