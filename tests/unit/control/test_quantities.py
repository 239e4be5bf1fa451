"""Durations, sizes and moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import quantities as q

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200), ("1d", 86400), ("0.5h", 1800)],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert q.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "10 minutes", "-5m", "5m!", "1e5s", "٣m x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        q.parse_duration(text)


def test_a_duration_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        q.parse_duration("9" * 400 + "w")


@given(st.integers(min_value=0, max_value=10**9))
def test_durations_are_read_back_as_written(seconds: int) -> None:
    value = timedelta(seconds=seconds)
    assert q.parse_duration(q.short_duration(value)) == value
    assert q.parse_iso_duration(q.iso_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PT5M", timedelta(minutes=5)),
        ("P10675199DT2H48M5.4775807S", timedelta(10675199, 10085.4775807)),
        ("P1W", timedelta(7)),
        ("PT0S", timedelta()),
    ],
)
def test_iso_durations_of_the_services_are_read(text: str, value: timedelta) -> None:
    assert q.parse_iso_duration(text) == value


@pytest.mark.parametrize("text", ["P", "PT", "5M", "P1Y", ""])
def test_what_is_no_iso_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        q.parse_iso_duration(text)


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        (60, NOW - timedelta(minutes=1)),
        (timedelta(days=1), NOW - timedelta(days=1)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T10:00", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("2026-11-23T10:00:00+02:00", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        (datetime(2026, 11, 23, 10), datetime(2026, 11, 23, 10, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_or_how_long_ago(since: object, moment: datetime) -> None:
    assert q.as_moment(since, NOW) == moment  # type: ignore[arg-type]


@pytest.mark.parametrize("since", ["2 hours", "yesterday", "2026-13-01", "999999w"])
def test_what_is_no_moment_is_refused(since: str) -> None:
    with pytest.raises(ValueError):
        q.as_moment(since, NOW)


@pytest.mark.parametrize(("text", "gib"), [("0.5Gi", 0.5), ("2Gi", 2), ("512Mi", 0.5)])
def test_memory_is_in_gi(text: str, gib: float) -> None:
    assert q.parse_memory(text) == gib


@pytest.mark.parametrize("text", ["0.5GB", "512", "1 Gi", "Gi", "1Ti", "-1Gi"])
def test_other_units_of_memory_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"as in 0\.5Gi"):
        q.parse_memory(text)
