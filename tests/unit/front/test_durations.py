"""Durations of Azure's REST APIs, as .NET reads and writes a TimeSpan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.durations import LONGEST, LONGEST_TEXT, read_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("PT1M", 60, "PT1M"),
        ("PT60S", 60, "PT1M"),
        ("PT0S", 0, "PT0S"),
        ("P14D", 1209600, "P14D"),
        ("P1DT2H3M4.5S", 93784.5, "P1DT2H3M4.5S"),
        ("PT0.0000001S", 1e-7, "PT0.0000001S"),
        ("-PT5S", -5, "PT0S"),
        (LONGEST_TEXT, LONGEST, LONGEST_TEXT),
        ("P99999999D", LONGEST, LONGEST_TEXT),
    ],
)
def test_durations_are_read_and_written_as_dotnet_does(
    text: str, seconds: float, written: str
) -> None:
    assert read_duration(text, "lockDuration") == seconds
    assert write_duration(seconds) == written


NO_DURATIONS: list[object] = ["", "P", "PT", "P1DT", "PT5", "5M", "P1Y", "P1W", "PT1M1H", "PT1.S"]
NO_DURATIONS += ["pt5m", " PT5M", "PT\u0663M", "P" + "9" * 70 + "D", 300, None]


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_refused_by_name(text: object) -> None:
    with pytest.raises(ValueError, match="of the property 'lockDuration' is no ISO 8601 duration"):
        read_duration(text, "lockDuration")


@given(st.integers(0, 10**14).map(lambda ticks: ticks / 10_000_000))
def test_a_duration_survives_being_written(seconds: float) -> None:
    assert read_duration(write_duration(seconds), "x") == pytest.approx(seconds, abs=1e-6)
