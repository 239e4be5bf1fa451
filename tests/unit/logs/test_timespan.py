"""The forms in which clients say which time a query is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.timespan import Timespan, parse_timespan

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def _micros(*parts: int) -> int:
    return (datetime(*parts, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_timespan_bounds_nothing(text: str | None) -> None:
    assert parse_timespan(text, NOW) == Timespan(None, None)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("PT1H", 1), ("PT3600.0S", 1), ("P1D", 24), ("P1DT2H", 26), ("P2W", 336), ("PT90M", 1.5),
     ("pt1h", 1), ("PT0.5H", 0.5)],
)  # fmt: skip
def test_a_duration_reaches_back_from_now_and_is_open_ahead(text: str, hours: float) -> None:
    start = _micros(2026, 11, 23, 12) - round(hours * 3_600_000_000)
    assert parse_timespan(text, NOW) == Timespan(start, None)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:00:00Z/2026-11-23T11:30:00Z",
        "2026-11-23T10:00:00.000Z/PT5400.0S",
        "PT1H30M/2026-11-23T11:30:00Z",
        "2026-11-23T11:00:00+01:00/2026-11-23T12:30:00+01:00",
        "2026-11-23T10:00:00.0000000Z/2026-11-23T11:30:00.0000000Z",
        "2026-11-23T10:00:00/2026-11-23T11:30:00",
    ],
)
def test_an_interval_has_both_bounds(text: str) -> None:
    assert parse_timespan(text, NOW) == Timespan(
        _micros(2026, 11, 23, 10), _micros(2026, 11, 23, 11, 30)
    )


@pytest.mark.parametrize(
    "text",
    ["1h", "P", "PT", "yesterday", "2026-11-23", "a/b", "PT1H/PT1H", "P1D/", "/P1D", "P1D/P1D/P1D",
     "2026-11-23T10:00:00Z/1h", "P99999999999Y", "P1D/0001-01-01T00:00:00Z"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(QueryError) as refusal:
        parse_timespan(text, NOW)
    assert refusal.value.status == 400
    assert refusal.value.error["code"] == "BadArgumentError"
    assert text in str(refusal.value)
    assert "PT1H" in str(refusal.value)


def test_an_interval_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(QueryError, match="ends before it starts"):
        parse_timespan("2026-11-24T00:00:00Z/2026-11-23T00:00:00Z", NOW)
