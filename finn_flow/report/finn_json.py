"""The report's numbers as JSON, under FINN's file names and keys where it has them: scripts read those."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from finn_flow.report.data import ReportData


def json_files(data: ReportData) -> dict[str, Any]:
    """File name -> value."""
    return {
        "estimate_layer_cycles.json": {layer.name: layer.cycles for layer in data.layers},
        "estimate_layer_resources.json": _with_total(
            {**{y.name: y.resources.report() for y in data.layers}, "FIFOs": data.fifos.report()}
        ),
        "estimate_network_performance.json": asdict(data.performance),
        "op_and_param_counts.json": _with_total({y.name: dict(y.counts) for y in data.layers if y.counts}),
        "auto_folding_config.json": {name: dict(values) for name, values in data.folding.items()},
        "fifo_sizing.json": dict(data.simulation.sizing),
        "rtlsim_performance.json": data.simulation.performance(data.board.clk_period_ns),
        "verification.json": {
            "reference": data.reference,
            "steps": [{**asdict(row), "equal": True} for row in data.verification],
            "cppsim": asdict(data.cppsim) if data.cppsim else None,
        },
        "summary.json": _summary(data),
        **_post_synthesis(data),
    }


def _post_synthesis(data: ReportData) -> dict[str, Any]:
    """Resources of the implemented device, where there is one; 18 Kbit block RAMs as in FINN's estimates."""
    if data.bitstream.utilisation is None:
        return {}
    names = {"BRAM18": "BRAM_18K"}
    used = {names.get(label, label): use["used"] for label, use in data.bitstream.utilisation.items()}
    return {"post_synth_resources.json": {"(top)": used}}


def _with_total(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The counts of all nodes, and their sum under `total`."""
    total: Counter[str] = Counter()
    for values in counts.values():
        total.update(values)
    return {**{name: dict(values) for name, values in counts.items()}, "total": dict(total)}


def _summary(data: ReportData) -> dict[str, Any]:
    return {
        "name": data.name,
        "board": asdict(data.board),
        "target_fps": data.target,
        "versions": dict(data.versions),
        "layers": len(data.layers),
        **asdict(data.performance),
        "fits": data.fits,
        "within_headroom": data.within_headroom,
        "headroom": data.headroom,
        "resources": {use.label: {"used": use.used, "offered": use.offered} for use in data.uses},
        "resource_note": data.resource_note,
        "footprint": [{**asdict(block), "bits": block.bits} for block in data.footprint],
        "weights": data.weights,
        "weight_bits": data.weight_bits,
        "verified": [row.step for row in data.verification],
        "bitstream": asdict(data.bitstream),
        "hls_layers": list(data.hls_layers),
        "seconds": dict(data.seconds),
        "not_run": dict(data.not_run),
        "faces": [face.label for face in data.faces],
        "faces_note": data.faces_note,
        "similarity": data.similarity.tolist(),
    }
