"""The files of a training in its folder: its state, from which it is resumed, and its logs."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from model.errors import UserError

STATE = "state.pt"


def save_state(state: Mapping[str, Any], folder: Path) -> None:
    """Plain values and tensors to `state.pt`: written aside and renamed."""
    aside = folder / f".{STATE}.part"
    torch.save(dict(state), aside)
    os.replace(aside, folder / STATE)


def load_state(folder: Path) -> dict[str, Any]:
    """What `save_state` wrote, read without running any code in it. Raises UserError("resume", ...)."""
    try:
        return dict(torch.load(folder / STATE, weights_only=True))
    except Exception as error:  # torch.load raises whatever a broken file leads it to
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError("resume", str(folder), f"holds no state of a training ({reason})") from None


def append(path: Path, row: dict[str, float]) -> None:
    """Add a line to a CSV file, below a header where it is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of a log that a resumed training writes again."""
    if path.exists():
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if int(line.split(",")[0]) <= step]
        path.write_text("\n".join([header, *kept, ""]), encoding="utf-8")
