"""Measures and fits the cost model.

    python -m finn_flow.cost_model [--ops MVAU VVAU]   synthesise what is not in the cache, and fit
    python -m finn_flow.cost_model --fit               fit to the committed measurements
    python -m finn_flow.cost_model --check             print the errors of the committed coefficients
    python -m finn_flow.cost_model --blind             synthesise the foldings that `blind.py` draws

After a change of finn_flow/rtl the first is to be run: only what the change touches is synthesised.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from finn_flow.boards import DspBlock
from finn_flow.console import Console
from finn_flow.cost_model.blind import draw
from finn_flow.cost_model.fit import Measurement, errors, fit
from finn_flow.cost_model.model import DATA, committed
from finn_flow.cost_model.samples import BUILDERS, HELD_OUT_EVERY, SAMPLES
from finn_flow.cost_model.structure import structure
from finn_flow.resource_counts import RESOURCE_LABELS, Resources
from finn_flow.resources import layer_attributes
from finn_flow.synthesis.yosys import FAMILIES, TooLarge, layer_module, synthesise

DSP_BLOCK: DspBlock = "DSP48E2"  # of the family that is measured


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m finn_flow.cost_model", description="The cost model.")
    parser.add_argument("--ops", nargs="+", choices=list(SAMPLES), default=list(SAMPLES), help="only these")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--fit", action="store_true", help="fit to the committed measurements")
    what.add_argument("--check", action="store_true", help="print errors alone")
    what.add_argument("--blind", action="store_true", help="measure foldings that are drawn at random")
    options = parser.parse_args(arguments)
    empty: dict[str, Any] = {"yosys": "", "measurements": {}, "coefficients": {}}
    data = committed() if DATA.is_file() else empty
    for op in options.ops if not options.check else ():
        if options.blind:
            data.setdefault("blind", {})[op] = measure(op, draw(op))
        else:
            if not options.fit:
                data["measurements"][op] = measure(op, SAMPLES[op])
            data["coefficients"][op] = fit(list(measurements(op, data["measurements"][op])))
        write(data)
    print(error_table(data))


def measure(op: str, samples: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Synthesise samples of an op: arguments and resources of each."""
    with tempfile.TemporaryDirectory() as folder:
        modules = []
        for i, sample in enumerate(samples):
            model = BUILDERS[op](*sample)
            model.graph.node[0].name = f"{op}_{i}"
            modules.append(layer_module(model, model.graph.node[0], Path(folder)))
        outcomes = synthesise(modules, FAMILIES[DSP_BLOCK], Console().progress)
    rows = []
    for sample, outcome in zip(samples, outcomes, strict=True):
        if isinstance(outcome, TooLarge):
            raise SystemExit(f"{op} {sample}: {outcome.reason}; take a smaller sample")
        rows.append({"sample": list(sample), "resources": list(outcome.counts)})
    return rows


def measurements(op: str, rows: list[dict[str, Any]]) -> Iterator[Measurement]:
    """What `fit` takes, of the rows of data.json; every third is held out."""
    for i, row in enumerate(rows):
        model = BUILDERS[op](*row["sample"])
        attributes = layer_attributes(model, model.graph.node[0])
        layer = structure(op, attributes, DSP_BLOCK)
        yield Measurement(layer, Resources(*row["resources"]), i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1)


def write(data: dict[str, Any]) -> None:
    """data.json, a measurement a line."""
    data["yosys"] = metadata.version("pyosys")
    lines = [f'{{"yosys": {json.dumps(data["yosys"])},', '"coefficients": {']
    ops = sorted(data["coefficients"])
    lines += [f"{json.dumps(op)}: {json.dumps(data['coefficients'][op])}," for op in ops]
    lines[-1] = lines[-1].rstrip(",") + "},"
    sets = [name for name in ("measurements", "blind") if name in data]
    for name in sets:
        lines.append(f"{json.dumps(name)}: {{")
        for op in sorted(data[name]):
            rows = ",\n  ".join(json.dumps(row) for row in data[name][op])
            lines.append(f"{json.dumps(op)}: [\n  {rows}],")
        lines[-1] = lines[-1].rstrip(",") + ("}}" if name == sets[-1] else "},")
    DATA.write_text("\n".join(lines) + "\n")


def error_table(data: dict[str, Any]) -> str:
    """Markdown: by op and resource the median and worst relative error, held out and blind."""
    rows = ["| op | set | foldings | " + " | ".join(RESOURCE_LABELS.values()) + " |"]
    rows.append("| --- " * (3 + len(RESOURCE_LABELS)) + "|")
    for op in sorted(data["coefficients"]):
        every = list(measurements(op, data["measurements"][op]))
        sets = {"held out": [m for m in every if m.held_out]}
        if op in data.get("blind", {}):
            sets["blind"] = list(measurements(op, data["blind"][op]))
        for name, chosen in sets.items():
            found = errors(chosen, data["coefficients"][op])
            cells = [f"{median(e):.1%} / {max(e):.1%}" if e else "–" for e in found.values()]
            rows.append(f"| {op} | {name} | {len(chosen)} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
