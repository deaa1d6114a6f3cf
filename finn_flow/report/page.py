"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import jinja2

from finn_flow.report.data import Layer, ReportData, ResourceUse
from finn_flow.resources import RESOURCE_LABELS

TEMPLATE = "report.html.j2"
FLOAT_BITS = 32
SHOWN_FIFOS = 20


def render(data: ReportData, pictures: Mapping[str, bytes]) -> str:
    """The page. pictures: PNG by file name, which go into the page itself."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": _grouped, "percent": _percent, "use": _use, "fold": _fold}
    inlined = {name: base64.b64encode(png).decode() for name, png in pictures.items()}
    return environment.get_template(TEMPLATE).render(
        data=data,
        headlines=_headlines(data),
        pictures=inlined,
        float_bits=FLOAT_BITS,
        shown_fifos=SHOWN_FIFOS,
        estimated={label: getattr(data.total, name) for name, label in RESOURCE_LABELS.items()},
    )


def _headlines(data: ReportData) -> list[tuple[str, str, str]]:
    """(what, number, remark) of what a reader wants to know first."""
    performance, mhz = data.performance, 1e3 / data.board.clk_period_ns
    fps, slowest = performance.estimated_throughput_fps, f"{data.bottleneck.name} in {data.bottleneck.block}"
    lines = [
        ("Throughput", f"{_grouped(fps)} fps", f"estimated; {_target(data)}"),
        (
            "Latency",
            f"{performance.estimated_latency_ns / 1e6:.3g} ms",
            "estimated: all layers on the longest path, as if none overlapped",
        ),
        (
            "Initiation interval",
            f"{performance.max_cycles:,} cycles",
            f"from frame to frame at {mhz:.4g} MHz; bottleneck: {slowest}",
        ),
        ("Simulated in RTL", *_simulated(data)),
        (f"Fits {data.board.name}", "yes" if data.fits else "no", _fit(data)),
    ]
    if data.weights:
        share = _percent(data.weight_bits / (FLOAT_BITS * data.weights))
        size = f"{data.weight_bits / 1e6:.3g} Mbit"
        lines.append(("Weights", size, f"{data.weights:,} weights; {share} of 32-bit ones"))
    return [*lines, ("Verified", *_verified(data))]


def _target(data: ReportData) -> str:
    if data.target is None:
        return "folding as given"
    if data.target == "max":
        return "target: as fast as fits"
    met = data.performance.estimated_throughput_fps >= data.target
    return f"target: {_grouped(data.target)} fps, {'met' if met else 'missed'}"


def _fit(data: ReportData) -> str:
    within, allowed = "within" if data.within_headroom else "beyond", f"{100 * data.headroom:g} %"
    return f"most used: {data.scarcest.label}, {_use(data.scarcest)}; {within} the {allowed} allowed"


def _simulated(data: ReportData) -> tuple[str, str]:
    run = data.simulation
    compared = f"{_plural(run.frames, 'frame')}, {_plural(run.streams, 'stream')} equal"
    return (
        f"{_grouped(run.fps(data.board.clk_period_ns))} fps",
        f"a frame every {run.interval_cycles:,} cycles, the first after {run.latency_cycles:,}; {compared}",
    )


def _verified(data: ReportData) -> tuple[str, str]:
    not_run = f"; not run: {', '.join(data.not_run)}" if data.not_run else ""
    if not data.verification:
        return "nothing", f"no graph was compared with a reference{not_run}"
    frames = min(row.frames for row in data.verification)
    elements = sum(row.elements for row in data.verification)
    return _plural(frames, "frame"), f"{elements:,} integers compared, all equal{not_run}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _grouped(number: float) -> str:
    """1234.5 as 1,234 and 12.34 as 12.3."""
    return f"{number:,.0f}" if isinstance(number, int) or abs(number) >= 100 else f"{number:,.1f}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _use(use: ResourceUse) -> str:
    return "the board has none" if use.share is None else _percent(use.share)


def _fold(layer: Layer, key: str) -> str:
    return str(layer.folding.get(key, ""))
