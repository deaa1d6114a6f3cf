"""What the emulated board says where the documents leave undefined what the real one does."""

from __future__ import annotations


class EmulationError(RuntimeError):
    """The host did what the documents forbid, or the fabric is broken. A board would hang, or worse."""
