"""The report of a build: a page to look at, its pictures, and the same numbers as JSON under FINN's names.

It is given plain data and knows neither FINN nor ONNX graphs: whoever holds the graph fills `ReportData`.
"""

from __future__ import annotations

from finn_flow.report.data import (
    CppSimulation,
    Edge,
    Face,
    Footprint,
    Layer,
    Performance,
    ReportData,
    Verification,
)
from finn_flow.report.simulation import Bypass, Fifo, Simulation
from finn_flow.report.write import PAGE, write_report

__all__ = [
    "PAGE",
    "Bypass",
    "CppSimulation",
    "Edge",
    "Face",
    "Fifo",
    "Footprint",
    "Layer",
    "Performance",
    "ReportData",
    "Simulation",
    "Verification",
    "write_report",
]
