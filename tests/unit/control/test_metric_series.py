"""Series of metrics: sparklines, amounts, frames."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput
from orchestrator.metrics.series import BLOCKS, MetricSeries, MetricTable, amount, sparkline
from orchestrator.metrics.verbs import _grain

START = datetime(2026, 1, 1, tzinfo=UTC)


def series(*values: float | None, **more: str) -> MetricSeries:
    return MetricSeries(
        **{"metric": "Executions", "of": "sender", "unit": "Count", "aggregation": "Total", **more},
        points=tuple((START + timedelta(minutes=n), v) for n, v in enumerate(values)),
    )


def test_a_sparkline_shows_height_and_gaps() -> None:
    assert sparkline([0, 1, 2, 4, 7]) == "▁▂▃▅█"
    assert sparkline([None, 0, None, 5]) == " ▁ █"
    # High up is drawn high up, and a little is not nothing.
    assert sparkline([5, 5, 5]) == "███"
    assert sparkline([0, 0, 0]) == "▁▁▁"
    assert sparkline([0, 1, 1000]) == "▁▂█"
    assert sparkline([None, None]) == sparkline([]) == sparkline([1], 0) == ""


def test_a_short_peak_survives_where_there_is_no_room() -> None:
    values = [0.0] * 1000
    values[777] = 9
    assert sparkline(values, 20).count("█") == 1


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=200), st.integers(1, 60))
def test_any_sparkline_fits(values: list[float | None], width: int) -> None:
    shown = sparkline(values, width)
    assert len(shown) <= width
    assert set(shown) <= {*BLOCKS, " "}


def test_a_sum_is_told_only_where_it_means_something() -> None:
    assert series(1, None, 2).total == 3
    assert series(1, None, 2, aggregation="Maximum").total is None
    assert series(None, None).last is None
    assert series(1, 4, None).last == 4


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536, "Bytes", "1.5 KiB"),
        (2.5e8, "NanoCores", "0.25 cores"),
        (0.5, "Cores", "0.5 cores"),
        (1200, "Count", "1,200"),
        (0.3333, "Count", "0.333"),
        (None, "Bytes", ""),
    ],
)
def test_amounts(value: float | None, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_a_frame_has_typed_columns() -> None:
    frame = MetricTable([series(1, None, split="Failed")]).to_pandas()
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert str(frame["metric"].dtype) == str(frame["split"].dtype) == "category"
    assert frame["value"].tolist()[0] == 1
    assert frame["value"].isna().tolist() == [False, True]


def test_an_interval_gives_at_most_ninety_points() -> None:
    for hours in (1, 6, 24, 24 * 7, 24 * 93):
        length = timedelta(hours=hours)
        assert length / _grain(None, length) <= 90 + 4
    assert _grain("1h", timedelta(days=1)) == timedelta(hours=1)
    with pytest.raises(BadInput, match="2m"):
        _grain("2m", timedelta(days=1))
