"""The accelerator on a Lattice ECP5, by open tools: the proof that it places, routes and meets a clock."""

from finn_flow.ecp5.project import BOARD, write_project
from finn_flow.ecp5.run import REPORTS, run_project

__all__ = ["BOARD", "REPORTS", "run_project", "write_project"]
