from __future__ import annotations

from statistics import median

import pytest

from finn_flow.cost_model.__main__ import error_table, measurements
from finn_flow.cost_model.blind import CHOICES, NUMBER, draw
from finn_flow.cost_model.fit import Measurement, errors, fit, predict
from finn_flow.cost_model.memories import block, lut_ram, ram, rom
from finn_flow.cost_model.model import coefficients, committed
from finn_flow.cost_model.samples import SAMPLES
from finn_flow.cost_model.structure import Structure
from finn_flow.resource_counts import Resources
from finn_flow.resources import converter_resources, fifo_resources

MEDIAN, WORST = 0.10, 0.30


@pytest.mark.parametrize("op", SAMPLES)
def test_a_fit_to_the_committed_measurements_gives_the_committed_coefficients(op: str) -> None:
    assert fit(list(measurements(op, committed()["measurements"][op]))) == coefficients(op)


@pytest.mark.parametrize("op", SAMPLES)
def test_foldings_that_were_held_out_are_met(op: str) -> None:
    held_out = [m for m in measurements(op, committed()["measurements"][op]) if m.held_out]
    assert held_out
    for name, found in errors(held_out, coefficients(op)).items():
        assert not found or median(found) <= MEDIAN, name
        assert not found or max(found) <= WORST, name


def test_error_table_has_two_rows_an_op() -> None:
    rows = error_table(committed()).splitlines()
    assert [tuple(row.split(" | ")[:2]) for row in rows[2:]] == [
        (f"| {op}", kind) for op in sorted(SAMPLES) for kind in ("held out", "blind")
    ]
    assert all(row.count("|") == 9 for row in rows)


@pytest.mark.parametrize("op", SAMPLES)
def test_the_blind_foldings_are_those_of_the_seed_and_new(op: str) -> None:
    """Drawn, not chosen, and none that the model was fitted to where there are many to draw from."""
    drawn = draw(op)
    assert [tuple(row["sample"]) for row in committed()["blind"][op]] == drawn
    assert len(set(drawn)) == NUMBER
    assert not set(drawn) & set(SAMPLES[op]) or op in ("DuplicateStreams", "ElementwiseAdd")


def test_another_seed_draws_other_foldings() -> None:
    assert all(draw(op, seed=1) != draw(op, seed=2) for op in CHOICES)


def test_what_is_drawn_is_legal() -> None:
    """A layer's parallelism divides its sizes, whatever the seed."""
    drawn = draw("MVAU", seed=3, number=40)
    assert all(mw % simd == 0 and mh % pe == 0 for mw, mh, pe, simd, *_ in drawn)
    assert all(int(out[3:]) > int(left[3:]) for _, left, _, out in draw("ElementwiseAdd", seed=3, number=20))


def test_a_fifo_of_two_words_is_registers() -> None:
    """Two words of its width, an output multiplexer, and the handshakes: no memory."""
    for width in (1, 4, 27, 128):
        assert fifo_resources(width, 2, "DSP48E2") == Resources(lut=width + 4, ff=2 * width + 2)


def test_fit_recovers_a_law_and_keeps_variants_apart() -> None:
    law = {
        "lut": {"fixed": 5.0, "bits": 2.0},
        "ff": {"bits": 1.0},
        "lut/x": {"fixed": 9.0},
        "ff/x": {"bits": 3.0},
    }
    layers = [
        Structure({"fixed": 1, "bits": bits}, {"fixed": 1, "bits": bits}, Resources(dsp=bits), variant)
        for bits in (1, 5, 9, 20)
        for variant in ("", "x")
    ]
    assert fit([Measurement(layer, predict(layer, law), held_out=False) for layer in layers]) == law


def test_memories_are_counted_as_their_cells() -> None:
    assert lut_ram(16, 64, "DSP48E2").resources == Resources(lut=3 * 8)  # RAM64M8: 7 bits of 64 words
    assert lut_ram(16, 64, "DSP48E1").resources == Resources(lut=6 * 4)  # RAM64M: 3 bits
    assert lut_ram(16, 32, "DSP48E2").resources == Resources(lut=2 * 8)  # RAM32M16: 14 bits
    assert rom(4, 256).resources == Resources(lut=4 * 4)
    assert rom(4, 256).mux == 0  # MUXF7 and MUXF8
    assert rom(4, 512).mux == 4
    assert block(36, 513).resources == Resources(bram18=2)
    assert [ram(8, words, "auto", "DSP48E2").is_block for words in (300, 512)] == [
        False,
        True,
    ]  # as Yosys did


def test_a_fifo_and_a_converter_alone_cost_what_synthesis_found() -> None:
    for (width, depth), measured in {(64, 2): (68, 130), (8, 512): (53, 39), (24, 64): (90, 70)}.items():
        cost = fifo_resources(width, depth, "DSP48E2")
        assert abs(cost.lut - measured[0]) <= 0.3 * measured[0]
        assert abs(cost.ff - measured[1]) <= 0.3 * measured[1]
    assert converter_resources(16, 16) == Resources()
    assert converter_resources(52, 13).ff == 55  # 52 bits and a counter over 0..4
