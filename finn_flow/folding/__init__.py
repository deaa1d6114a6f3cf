"""How parallel each layer is: legal foldings, their price, the solver, files, and the width converters."""

from finn_flow.folding.converters import apply_folding, insert_width_converters, mismatches
from finn_flow.folding.files import load_folding, save_folding
from finn_flow.folding.solver import UNLIMITED, Folding, cycles_per_frame, least_interval, solve

__all__ = [
    "UNLIMITED",
    "Folding",
    "apply_folding",
    "cycles_per_frame",
    "insert_width_converters",
    "least_interval",
    "load_folding",
    "mismatches",
    "save_folding",
    "solve",
]
