"""Build an accelerator: `python build.py --config hw_configs/tiny.json` (`--help` for the rest)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build.py",
        description="Build a face recognition accelerator from a configuration. A step that is done and "
        "whose inputs are unchanged is skipped.",
        epilog="Exit code: 0 done, 2 bad input (one line says what to correct), 130 interrupted, 1 a bug.",
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--output-dir", type=Path, metavar="DIR", help="where the outputs go (default: the configuration's)")
    add("--images", type=Path, metavar="DIR", help="faces for the report (default: free ones)")
    add("--to", dest="to_step", metavar="STEP", help="stop after this step")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--from", dest="from_step", metavar="STEP", help="run this step and those after it again"
    )
    again.add_argument("--force", action="store_true", help="run every step again")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--explore",
        action="store_true",
        help="instead of building, find the foldings that are worth having on the board (DIR/explore)",
    )
    what.add_argument(
        "--list", action="store_true", help="show the steps, what they write and which are done; run nothing"
    )
    add("--debug", action="store_true", help="show the traceback of a failure")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run, and return the exit code."""
    options = _parser().parse_args(arguments)
    # torch's threads spin while they wait for each other: ten times slower where the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from finn_flow.command import run  # after parsing, so that --help is quick

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
