"""What `build.py` does with its arguments; and how every command turns a failure into one line."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from finn_flow.artifacts import PACKAGES, build_folder
from model.errors import UserError
from verification.errors import VerificationError

if TYPE_CHECKING:
    from finn_flow.pipeline import Pipeline

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit codes
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
DISK_FULL = os.strerror(errno.ENOSPC)  # libraries in other languages pass it on as text only


def run(options: Namespace) -> int:
    """Run the command, print `error: ...` to standard error if it fails, and return the exit code.

    options: config, from_step, to_step, force, explore, list, images, output_dir, debug, as `build.py` parses
    them.
    """
    return exit_code(lambda: _run(options), debug=options.debug)


def exit_code(
    command: Callable[[], None], failures: tuple[type[BaseException], ...] = (), debug: bool = False
) -> int:
    """That of a command: 0, or that of its failure, which is told in a line on standard error.

    failures: what is no bad input but the answer no. debug: print the traceback, too.
    """
    try:
        command()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        message, code = describe(error)
        print("error:", message.replace("\n", " "), file=sys.stderr)
        return FAILED if isinstance(error, failures) else code


def describe(error: BaseException) -> tuple[str, int]:
    """What to tell the user about `error`, and the exit code."""
    step = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    match error:
        case KeyboardInterrupt():
            return f"interrupted{step}; finished steps are kept, the next run goes on from there", INTERRUPTED
        case UserError() | VerificationError():
            return str(error), BAD_INPUT
        case ModuleNotFoundError() if (error.name or "").partition(".")[0] not in PACKAGES:
            return f"{error}; install the requirements and run with that Python (README)", BAD_INPUT
        case OSError() if error.errno in DISK_ERRORS:
            return f"{error.strerror}{step}; make room and run again, finished steps are kept", BAD_INPUT
        case PermissionError():
            return f"{error.filename}: {error.strerror}{step}", BAD_INPUT
        case _ if DISK_FULL in str(error):
            return f"{DISK_FULL}{step}; make room and run again, finished steps are kept", BAD_INPUT
    return f"{type(error).__name__}: {error}{step}; this is a bug: --debug shows where", FAILED


def _run(options: Namespace) -> None:
    # Here, so that a tool that is not installed is a failure like any other.
    from finn_flow.config import load_config
    from finn_flow.console import Console
    from finn_flow.pipeline import Pipeline
    from finn_flow.steps import STEPS

    console = Console()
    config = load_config(options.config)
    folder = options.output_dir or config.build_folder
    pipeline = Pipeline(STEPS, config, folder, console, options.images)
    if options.list:
        for line in _table(pipeline):
            console.say(line)
    elif options.explore:
        _explore(pipeline, options)
    else:
        pipeline.build(options.from_step, options.to_step, options.force)
        console.say(f"Outputs are in {folder}")


def _explore(pipeline: Pipeline, options: Namespace) -> None:
    """Build what exploring reads, then explore."""
    from finn_flow.explore import explore

    if options.to_step is not None:
        raise UserError("--to", options.to_step, "excludes --explore, which builds up to lower; leave it out")
    pipeline.build(options.from_step, "lower", options.force)
    folder, board = pipeline.folder / "explore", pipeline.config.device
    with build_folder(pipeline.folder):
        graph = pipeline.folder / "lower" / "model.onnx"
        front = explore(graph, board, pipeline.config.headroom, folder, pipeline.console)
    if not front:
        rule = f"nothing fits within {pipeline.config.headroom:.0%} of it; take a larger board or fewer bits"
        raise UserError("board", board.name, rule)
    pipeline.console.say(f"{len(front)} foldings, up to {front[0].fps:,.0f} fps, are in {folder}")


def _table(pipeline: Pipeline) -> Iterator[str]:
    """One line per step: name, state, seconds of its last run, what it writes, and why it is stale."""
    states = pipeline.states()
    width = max(len(state.step.name) for state in states)
    for state in states:
        seconds = "" if state.seconds is None else f"{state.seconds:.1f} s"
        why = f"  ({state.why})" if state.state == "stale" else ""
        files = ", ".join(state.step.writes)
        yield f"{state.step.name:<{width}}  {state.state:<7}  {seconds:>8}  {files}{why}"
