"""The step that turns the netlist into a bitstream: Vivado for a Zynq, open tools for an ECP5."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finn_flow.artifacts import write_json
from finn_flow.bitstream import BITFILE, HARDWARE, RESULT, Bitstream, Netlist
from finn_flow.step import StepContext

MODEL = "model.onnx"
WORK = "bitstream-run"  # in the build's folder, beside the steps: what a failed run leaves to look at


def bitstream(ctx: StepContext, out: Path) -> None:
    """Netlist -> a bitstream and its reports, or a project to run by hand where there is no tool."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finn_flow import ecp5
    from finn_flow.netlist import input_stream, output_stream
    from finn_flow.simulate import read_sources
    from finn_flow.vivado.platforms import PLATFORMS

    board, interval = ctx.config.device, int(ctx.result_of("fold")["max_cycles"])
    model = ModelWrapper(str(ctx.path("fifos", MODEL)))
    netlist = Netlist(
        name=ctx.name,
        sources=(*read_sources(ctx.path("rtl")), *read_sources(ctx.path("fifos"))),
        in_bits=input_stream(model, interval).bits,
        out_bits=output_stream(model).bits,
    )
    if board.name == ecp5.BOARD:
        result = _ecp5(ctx, out, netlist)
    elif board.name in PLATFORMS:
        result = _vivado(ctx, out, netlist)
    else:
        reason = f"there is no project for {board.name}; its netlist is in rtl/ and fifos/"
        result = Bitstream("skipped", board.clock_mhz, reason=reason)
    write_json(out / RESULT, dataclasses.asdict(result))
    ctx.say(result.summary)
    ctx.result({"status": result.status})


def _vivado(ctx: StepContext, out: Path, netlist: Netlist) -> Bitstream:
    from finn_flow import vivado

    board, program, project = ctx.config.device, ctx.file("vivado"), out / "vivado"
    vivado.write_project(project, board, netlist)
    if program is None or (reason := vivado.why_not(program)):
        reason = f"{vivado.MISSING if program is None else reason}; {vivado.BY_HAND}"
        return Bitstream("skipped", board.clock_mhz, reason=reason)
    with _work_folder(out) as work:
        shutil.copytree(project, work, dirs_exist_ok=True)
        ctx.say(f"Vivado runs; its log: {work / vivado.LOG}")
        result = vivado.run_project(work, program, board, ctx.progress)
        _keep(work, out, BITFILE, HARDWARE)
        _keep(work, project, *vivado.REPORTS)
    return result


def _ecp5(ctx: StepContext, out: Path, netlist: Netlist) -> Bitstream:
    from finn_flow import ecp5

    board, project = ctx.config.device, out / "ecp5"
    ecp5.write_project(project, netlist)
    with _work_folder(out) as work:
        shutil.copytree(project, work, dirs_exist_ok=True)
        result = ecp5.run_project(work, board, ctx.progress)
        _keep(work, out, BITFILE)
        _keep(work, project, *ecp5.REPORTS)
    return result


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A new folder for a tool to run in. It goes when the block ends; if the block raises, it stays."""
    folder = out.parent / WORK
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def _keep(work: Path, folder: Path, *names: str) -> None:
    for name in names:
        shutil.copy(work / name, folder)
