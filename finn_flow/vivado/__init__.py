"""The accelerator on a Zynq: a Vivado project, the run of it, and what its reports say."""

from finn_flow.vivado.project import write_project
from finn_flow.vivado.run import BY_HAND, LOG, MISSING, REPORTS, run_project, why_not

__all__ = ["BY_HAND", "LOG", "MISSING", "REPORTS", "run_project", "why_not", "write_project"]
