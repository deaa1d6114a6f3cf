from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import hardware
from finn_flow.cost_model import single
from finn_flow.finn_env import prepare_finn
from finn_flow.resource_counts import Resources
from finn_flow.synthesis import yosys


def test_a_row_has_both_sides_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of a side are added up; the note says whose the first side is."""
    costs = {"finn": Resources(lut=30, ff=8), "ours": Resources(lut=20, ff=1004, dsp=1)}

    def synthesise(modules: list[yosys.Module], family: str) -> list[Resources]:
        assert family == "xcup"
        copied = [module.sources[0].parent.name == module.top for module in modules]  # as FINN's files are
        return [costs["finn" if of_finn else "ours"] for of_finn in copied]

    monkeypatch.setattr(hardware, "synthesise", synthesise)
    prepare_finn()
    fifo = hardware.Pair("FIFO", [hardware.finns(single.fifo(8, 2))] * 2, [single.fifo(8, 2)])
    add = hardware.Pair("add", [single.duplicate(1, 4)], [single.duplicate(1, 4)], "ours, twice")
    assert hardware.markdown([fifo, add]) == [
        "| layer | LUT | FF | BRAM18 | DSP | LUTs |",
        "| --- | --- | --- | --- | --- | --- |",
        "| FIFO | 60 → 20 | 16 → 1,004 | 0 → 0 | 0 → 1 | 3.0x |",
        "| add (before: ours, twice) | 20 → 20 | 1,004 → 1,004 | 0 → 0 | 1 → 1 | 1.0x |",
    ]


def test_finns_files_are_synthesised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours holds two words of 4 bits and two bits of state; FINN's counts, and monitors, as well."""
    monkeypatch.setenv("QMFN_CACHE", str(tmp_path / "cache"))
    ((before, after),) = hardware.measure(
        [hardware.Pair("FIFO", [hardware.finns(single.fifo(4, 2))], [single.fifo(4, 2)])]
    )
    assert after.ff == 2 * 4 + 2
    assert before.ff == 51


def test_every_row_names_a_layer_once() -> None:
    names = [(pair.name, pair.note) for pair in hardware.pairs()]
    assert len(set(names)) == len(names)
    assert all(pair.before and pair.after for pair in hardware.pairs())
    assert {re.split(r"[ ,]", name)[0] for name, _ in names} >= {
        "MVAU",
        "VVAU",
        "FIFO",
        "activation",
        "clamp",
    }
