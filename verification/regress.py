"""The regression of the simulated accelerator: the same integers, rates and FIFO depths as before.

    python -m verification.regress --config hw_configs/tiny.json            # builds up to rtlsim and compares
    python -m verification.regress --config hw_configs/tiny.json --update   # what is now is right

A baseline is verification/baselines/<name of the configuration>.json. Exit code: 0 all the same, 1 something
differs, 2 bad input or a build that failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verification.errors import VerificationError

ROOT = Path(__file__).parents[1]
BASELINES = Path(__file__).parent / "baselines"
SAME, DIFFERS, BAD_INPUT = 0, 1, 2  # exit codes
NUMBERS = ("frames", "accumulators_sha256", "interval_cycles", "latency_cycles")
DEPTHS = "fifo_depths"

Quantities = dict[str, Any]


def measure(build: Path) -> Quantities:
    """What is compared, from a finished build.

    Raises VerificationError if the build has no rtlsim step, or one of an older version.
    """
    try:
        run = json.loads((build / "rtlsim" / "rtlsim.json").read_text())
        sizing = json.loads((build / "fifos" / "fifo_sizing.json").read_text())
        return {**{name: run[name] for name in NUMBERS}, DEPTHS: sizing[DEPTHS]}
    except (OSError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise VerificationError(f"{build}: no build up to rtlsim ({reason}); run build.py first") from None


def compare(expected: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, str]:
    """A verdict by quantity: `same`, or how it differs.

    >>> compare({"interval_cycles": 9216}, {"interval_cycles": 9300})
    {'interval_cycles': 'differs: expected 9216, got 9300'}
    >>> compare({"fifo_depths": {"a": 2, "b": 2}}, {"fifo_depths": {"a": 32}})
    {'fifo_depths': 'differs in 2 of 2, a: expected 2, got 32'}
    """
    return {name: _verdict(expected.get(name), got.get(name)) for name in dict.fromkeys([*expected, *got])}


def _verdict(expected: Any, got: Any) -> str:
    if expected == got:
        return "same"
    if not (isinstance(expected, dict) and isinstance(got, dict)):
        return f"differs: expected {expected}, got {got}"
    names = list(dict.fromkeys([*expected, *got]))
    wrong = [name for name in names if expected.get(name) != got.get(name)]
    first = wrong[0]
    return (
        f"differs in {len(wrong)} of {len(names)}, {first}: expected {expected.get(first)}, "
        f"got {got.get(first)}"
    )


def run_build(config: Path) -> Path:
    """Build a configuration up to the step rtlsim; the folder of the outputs.

    Raises VerificationError if the build fails, which has said why.
    """
    command = [sys.executable, str(ROOT / "build.py"), "--config", str(config), "--to", "rtlsim"]
    folder = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            folder = line.rstrip("\n")
    if process.returncode != 0:
        raise VerificationError(f"the build of {config} failed with exit code {process.returncode}")
    return Path(folder.removeprefix("Outputs are in "))


def regress(config: Path, build: Path | None, update: bool) -> int:
    """Compare (or, by `update`, note down) what a build shows. Prints a line a quantity; the exit code."""
    baseline = BASELINES / f"{config.stem}.json"
    if not config.is_file():
        raise VerificationError(f"{config}: no such configuration")
    if not update and not baseline.is_file():
        known = ", ".join(sorted(path.stem for path in BASELINES.glob("*.json")))
        raise VerificationError(
            f"{config.stem} has no baseline (there are: {known}); make it with --update once it is right"
        )
    got = measure(build or run_build(config))
    if update:
        baseline.write_text(json.dumps(got, indent=1) + "\n")
        print(f"Written to {baseline}")
        return SAME
    verdicts = compare(json.loads(baseline.read_text()), got)
    for name, verdict in verdicts.items():
        print(f"{name}: {verdict}")
    return SAME if set(verdicts.values()) == {"same"} else DIFFERS


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="verification.regress",
        description="Compare a simulated accelerator with its baseline: integers, II, latency, FIFO depths.",
        epilog="Exit code: 0 all the same, 1 something differs, 2 bad input or a build that failed.",
    )
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="the configuration, see hw_configs/")
    add("--build", type=Path, metavar="DIR", help="a finished build of it, made without --images")
    add("--update", action="store_true", help="make the baseline of what the build shows")
    options = parser.parse_args(arguments)
    try:
        return regress(options.config, options.build, options.update)
    except VerificationError as error:
        print("error:", error, file=sys.stderr)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
