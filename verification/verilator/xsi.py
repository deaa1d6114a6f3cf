"""Verilator in the place of Vivado's simulator: FINN's rtlsim runs unchanged after `install()`.

FINN's passes and execution functions call the names that `finn.xsi` binds lazily to its bridge to Vivado.
Here are functions of those names and signatures (finn_xsi/adapter.py) on top of `Simulation`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from verification.verilator.build import Design, build
from verification.verilator.patches import patched
from verification.verilator.simulation import Simulation

RESET_CYCLES = 16  # as finn_xsi


def install() -> None:
    """Bind `finn.xsi`. Call before FINN's passes run; harmless if called again."""
    import finn.xsi

    bound: dict[str, Any] = {
        "SimEngine": Simulation,
        "compile_sim_obj": compile_sim_obj,
        "load_sim_obj": load_sim_obj,
        "reset_rtlsim": reset_rtlsim,
        "close_rtlsim": close_rtlsim,
        "rtlsim_multi_io": rtlsim_multi_io,
        "locate_glbl": lambda: None,
        "get_simkernel_so": lambda: "",
    }
    for name, function in bound.items():
        setattr(finn.xsi, name, function)


def compile_sim_obj(
    top_module_name: str,
    source_list: Sequence[str],
    sim_out_dir: Path,
    debug: bool = False,
    behav: bool = False,
    fifosim: bool = False,
) -> tuple[Path, Path]:
    """Build the design; (sim_out_dir, path of the library in it). debug: allow a trace.

    The path has FINN's form, xsim.dir/TOP/xsimk.so, which it takes apart again. Memory files are where their
    source is, and are read when the design is opened. Raises VerificationError as `build` does.
    """
    folder = Path(sim_out_dir)
    unique = dict.fromkeys(Path(source) for source in source_list)
    memories = {parent: str(i) for i, parent in enumerate(dict.fromkeys(path.parent for path in unique))}
    for parent, link in memories.items():
        (folder / link).symlink_to(parent.resolve())
    local = [_localised(path, folder, memories[path.parent]) for path in unique]
    sources = sorted(local, key=lambda path: "_pkg" not in path.name)
    defines = ("FINN_SIMULATION",) if behav else ()
    library = build(Design(top_module_name, tuple(sources), debug, defines))
    relative = Path("xsim.dir", top_module_name, "xsimk.so")
    (folder / relative).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(library, folder / relative)
    return folder, relative


def _localised(source: Path, folder: Path, memories: str) -> Path:
    """`source`, or a copy of it in `folder`: patched, with memory files by their path from there.

    FINN writes them absolute, in folders of random names, and nothing would ever be found in the cache.
    memories: link in `folder` to the folder of the source.
    """
    original = source.read_text()
    text = patched(source, original)
    for written in ("./", f"{source.parent.resolve()}/", f"{source.parent}/"):
        text = text.replace(f'"{written}', f'"{memories}/')
    if text == original:
        return source
    copy = folder / source.name
    copy.write_text(text)
    return copy


def load_sim_obj(
    sim_out_dir: Path,
    out_so_relative_path: Path,
    tracefile: str | None = None,
    simkernel_so: str | None = None,
) -> Simulation:
    """Open a built design. tracefile: relative to sim_out_dir; FST, whatever its suffix."""
    folder = Path(sim_out_dir)
    trace = folder / Path(tracefile).with_suffix(".fst") if tracefile else None
    return Simulation(folder / out_so_relative_path, folder, trace)


def reset_rtlsim(sim: Simulation, *_: Any, **__: Any) -> None:
    sim.reset(RESET_CYCLES)


def close_rtlsim(sim: Simulation) -> None:
    sim.close()


def rtlsim_multi_io(
    sim: Simulation,
    io_dict: dict[str, dict[str, list[int]]],
    num_out_values: int | Mapping[str, int],
    sname: str = "_V_V",
    liveness_threshold: int = 10000,
    liveness_estimate: float | None = None,
) -> int:
    """Feed all inputs, collect all outputs into io_dict; clock cycles that it took.

    Raises StalledError (a VerificationError) if no beat moves for liveness_threshold cycles.
    """
    for name, words in io_dict["inputs"].items():
        port = sim.ports[name + sname]
        raw = b"".join(int(word).to_bytes(port.bytes, "little") for word in words)
        sim.push(port.name, np.frombuffer(raw, np.uint8).reshape(-1, port.bytes))
    outputs = io_dict["outputs"]
    if not isinstance(num_out_values, Mapping):
        num_out_values = dict.fromkeys(outputs, num_out_values)
    expected = {name + sname: int(num_out_values[name]) for name in outputs}
    start = sim.cycle
    sim.run(expected, 2**62, liveness_threshold)
    for name in outputs:
        beats, _ = sim.read(name + sname)
        outputs[name] = [int.from_bytes(beat.tobytes(), "little") for beat in beats]
    return sim.cycle - start
