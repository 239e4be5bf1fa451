"""What a question for metrics gives back: series of points as table, frame, sparkline, plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.records import Column, Kind, Records, jsonable, show
from orchestrator.results import Record

if TYPE_CHECKING:
    import os

    import pandas as pd

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = " "


class MetricPoint(Record, frozen=True, kw_only=True):
    """One value of one metric.

    `time`: when its interval begins, UTC. `value`: in the metric's unit; None: there is no data.
    `split`: the value of the dimension that the series is split by, "" when it is not.
    """

    time: datetime
    metric: str
    split: str = ""
    value: float | None = None


class MetricSeries(Record, frozen=True, kw_only=True):
    """One metric of one job or queue over time.

    `metric`, `unit`, `aggregation`: Azure Monitor's words (Executions, Count, Total).
    `of`: the job's or queue's name. `split`: by what the series stays apart from others of the same
    metric (Failed). `interval`: between two points. `points`: (time, value or None), oldest first.
    """

    metric: str
    of: str
    unit: str
    aggregation: str
    split: str = ""
    interval: timedelta = timedelta(minutes=1)
    points: tuple[tuple[datetime, float | None], ...] = ()

    @property
    def values(self) -> list[float]:
        """The values that there are."""
        return [value for _, value in self.points if value is not None]

    @property
    def last(self) -> float | None:
        """The newest value; None when there is no data at all."""
        return next((value for _, value in reversed(self.points) if value is not None), None)

    @property
    def low(self) -> float | None:
        return min(self.values, default=None)

    @property
    def high(self) -> float | None:
        return max(self.values, default=None)

    @property
    def total(self) -> float | None:
        """The sum of the values, where a sum means something: of totals and counts."""
        if self.aggregation not in ("Total", "Count") or not self.values:
            return None
        return sum(self.values)

    @property
    def name(self) -> str:
        """The metric, and by what it is split."""
        return f"{self.metric} {self.split}" if self.split else self.metric

    def sparkline(self, width: int = 40) -> str:
        """The series as a line of block characters, at most `width`; gaps where no data is."""
        return sparkline([value for _, value in self.points], width)

    def as_json(self) -> dict[str, Any]:
        fields = super().as_json()
        fields["interval"] = self.interval.total_seconds()
        fields["points"] = [{"time": jsonable(time), "value": v} for time, v in self.points]
        return fields


def sparkline(values: Sequence[float | None], width: int = 40) -> str:
    """Values as block characters; the highest of neighbours where there are more than `width`.

    The lowest block is 0, or the smallest value where that is below: a line that stands still high
    up is not drawn as if it were empty.
    """
    if width < 1 or not values:
        return ""
    if len(values) > width:
        size = len(values) / width
        pieces = [values[int(n * size) : max(int(n * size) + 1, int((n + 1) * size))]
                  for n in range(width)]  # fmt: skip
        values = [max((v for v in piece if v is not None), default=None) for piece in pieces]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    bottom = min(0.0, *known)
    reach = max(known) - bottom

    def block(value: float | None) -> str:
        if value is None:
            return GAP
        if reach <= 0:
            return BLOCKS[0]
        # Whatever is above nothing is seen.
        height = (value - bottom) / reach * (len(BLOCKS) - 1)
        return BLOCKS[max(1 if value > bottom else 0, round(height))]

    return "".join(block(value) for value in values).rstrip()


def amount(value: float | None, unit: str) -> str:
    """A value as people read it, by its unit: `1.5 MiB`, `0.25 cores`, `1,200`."""
    if value is None:
        return ""
    if unit == "Bytes":
        return show(value, "bytes")
    if unit == "NanoCores":
        return f"{value / 1e9:.3g} cores"
    if unit == "Cores":
        return f"{value:g} cores"
    return f"{round(value):,}" if float(value).is_integer() else f"{value:,.3g}"


def _whole(value: float) -> float:
    """A whole number as an int, which is how people write it."""
    return int(value) if float(value).is_integer() else value


def _amount_of(attribute: str) -> Any:
    return lambda series: amount(getattr(series, attribute), series.unit)


class MetricPoints(Records[MetricPoint]):
    """Every data point on its own, oldest first."""

    noun = "data points"
    columns = (
        Column("time", "time", "time"),
        Column("metric", "metric"),
        Column("split", "split"),
        Column("value", "value", "number"),
    )


class MetricTable(Records[MetricSeries]):
    """Series of metrics: one row each in a table.

    `points`: every value on its own. `to_pandas()`: the same as a frame: time (UTC), metric, split
    (categories), value, unit. `plot()`: drawn over time. `silence`: a sentence about what has no
    data, and why; "" when everything has some.
    """

    noun = "metrics"
    columns = (
        Column("metric", "metric"),
        Column("split", "split"),
        Column("aggregation", "aggregation"),
        Column("last", "last", "number", _amount_of("last")),
        Column("low", "lowest", "number", _amount_of("low")),
        Column("high", "highest", "number", _amount_of("high")),
        Column("total", "sum", "number", _amount_of("total")),
        Column("trend", "trend", "text", lambda series: series.sparkline()),
    )

    def __init__(self, items: Iterable[MetricSeries] = (), *, silence: str = "") -> None:
        super().__init__(items)
        self.silence = silence

    @property
    def silent(self) -> bool:
        """Whether there is no value at all."""
        return not any(series.values for series in self)

    @property
    def points(self) -> MetricPoints:
        """Every value on its own, oldest first; what has no data is left out."""
        found = [
            MetricPoint(time=time, metric=series.metric, split=series.split, value=_whole(value))
            for series in self
            for time, value in series.points
            if value is not None
        ]
        return MetricPoints(sorted(found, key=lambda point: point.time))

    def to_pandas(self) -> pd.DataFrame:
        """One row per value: time, metric, split, value, unit. Needs pandas."""
        from orchestrator.records import frame

        columns: list[tuple[str, Kind]] = [
            ("time", "time"),
            ("of", "status"),
            ("metric", "status"),
            ("split", "status"),
            ("value", "number"),
            ("unit", "status"),
        ]
        rows = [
            (time, s.of, s.metric, s.split, None if value is None else float(value), s.unit)
            for s in self
            for time, value in s.points
        ]
        return frame(columns, rows)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the series over time, one panel per metric; the matplotlib figure.

        `path`: also write it there (.png, .svg, .pdf). Needs matplotlib
        (`pip install "aca-orchestrator[notebook]"`). Raises OrchestratorError without it, BadInput
        for a kind of file that there is not, and when there is nothing to draw.
        """
        from orchestrator.metrics.plot import draw

        return draw(self, path)
