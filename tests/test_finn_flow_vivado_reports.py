from __future__ import annotations

import pytest

from finn_flow.vivado.reports import ReportError, Timing, parse_timing, parse_utilisation
from tests.vivado_samples import SEVEN_SERIES, ULTRASCALE, timing


def test_utilisation_of_a_7_series_part() -> None:
    assert parse_utilisation(SEVEN_SERIES) == {
        "LUT": {"used": 41210, "offered": 53200},
        "FF": {"used": 50333, "offered": 106400},
        "BRAM18": {"used": 121, "offered": 280},
        "DSP": {"used": 198, "offered": 220},
    }


def test_utilisation_of_an_ultrascale_part() -> None:
    assert parse_utilisation(ULTRASCALE) == {
        "LUT": {"used": 90001, "offered": 230400},
        "FF": {"used": 120002, "offered": 460800},
        "BRAM18": {"used": 202, "offered": 624},
        "URAM": {"used": 4, "offered": 96},
        "DSP": {"used": 573, "offered": 1728},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no row Slice LUTs or CLB LUTs in the utilisation report"),
        (ULTRASCALE.replace("DSPs", "DSP??"), "no row DSPs in the utilisation report"),
    ],
)
def test_utilisation_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ReportError) as error:
        parse_utilisation(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (timing(), Timing(0.312, 0.014)),
        (timing(wns="-1.250", whs="-0.003", wpws="-0.100"), Timing(-1.25, -0.1)),
        (timing(whs="NA"), Timing(0.312, 2.225)),
    ],
)
def test_timing(text: str, expected: Timing) -> None:
    assert parse_timing(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no Design Timing Summary in the timing report"),
        (timing().replace("973", ""), "no Design Timing Summary in the timing report"),
        (timing(wns="NA"), "no path has a constraint in the timing report"),
    ],
)
def test_timing_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ReportError) as error:
        parse_timing(text)
    assert str(error.value) == message
