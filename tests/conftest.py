"""What all tests share, so that a machine that does other things too is no reason to fail or to crawl."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in the Makefile; read when torch is first imported
os.environ.setdefault("QMFN_CACHE", str(Path(__file__).parents[1] / ".simulation_cache"))  # not the user's


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """build.py, by path: PyPI has a package of the same name."""
    spec = importlib.util.spec_from_file_location("build_py", Path(__file__).parents[1] / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def finn_on_verilator() -> Iterator[None]:
    """FINN's rtlsim on Verilator, and as it was before when a module's tests are done."""
    from finn_flow.finn_env import prepare_finn
    from verification.verilator import install

    prepare_finn()
    import finn.xsi

    before = {name: vars(finn.xsi)[name] for name in finn.xsi._LAZY_NAMES}
    install()
    yield
    vars(finn.xsi).update(before)


settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
