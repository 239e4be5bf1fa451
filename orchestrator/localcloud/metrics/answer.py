"""From the history to an answer: series joined as the question asks, minutes joined to grains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.metrics.catalogue import Metric
from orchestrator.localcloud.metrics.history import Dimensions, MetricHistory, Point
from orchestrator.localcloud.metrics.question import Question

JSON = dict[str, Any]


class Series:
    """Several series of the history as one.

    Attributes:
        dimensions: By which it stays apart, with their values.
        buckets: Its data points, one for each grain; None where there is no data.
    """

    def __init__(self, dimensions: Dimensions, buckets: list[Point | None]) -> None:
        self.dimensions = dimensions
        self.buckets = buckets

    def whole(self) -> Point:
        """All of it in one."""
        point = Point()
        for bucket in self.buckets:
            if bucket is not None:
                point.merge(bucket)
        return point


class MetricReader:
    """Answers questions from a history."""

    def __init__(self, history: MetricHistory) -> None:
        self._history = history

    def series(self, question: Question, metric: Metric, resource: str) -> list[Series]:
        """The series of one metric of one resource, as the question splits and orders them."""
        split = question.split
        joined: dict[Dimensions, list[dict[int, Point]]] = {}
        # Nothing is known of what is to come.
        last = min(question.last, self._history.minute + 1)
        for key, points in self._history.points(
            resource, metric.name, question.first, last
        ).items():
            values = {name.lower(): value for name, value in key[2]}
            if split is not None and not split.keeps(values):
                continue
            apart = tuple(
                (name, values[name.lower()])
                for name in (split.names if split is not None else ())
                if name.lower() not in question.rolled
            )
            joined.setdefault(apart, []).append(points)
        if split is None and not joined:
            joined[()] = []
        found = [
            Series(apart, self._buckets(question, metric, parts, last))
            for apart, parts in sorted(joined.items())
        ]
        if split is not None:
            order, descending = question.order or (metric.primary, True)
            found.sort(key=lambda one: aggregate(one.whole(), order), reverse=descending)
            found = found[: question.top]
        return found

    def _buckets(
        self, question: Question, metric: Metric, parts: list[dict[int, Point]], last: int
    ) -> list[Point | None]:
        history = self._history
        first, grain = question.first, question.grain or max(1, question.last - question.first)
        buckets: list[Point | None] = [None] * max(0, -(-(last - first) // grain))
        for points in parts:
            for minute, until, point in _runs(points, metric, first, last):
                _spread(buckets, (minute - first), (until - first), grain, point)
        if metric.kind == "count":
            for number, bucket in enumerate(buckets):
                if bucket is None and first + (number + 1) * grain > history.since:
                    buckets[number] = Point(0, 0.0, 0.0, 0.0)
        return buckets

    def value(self, question: Question, metric: Metric, resource: str) -> JSON:
        """One metric of an answer, as it is on the wire."""
        wanted = question.aggregations or (metric.primary,)
        grain = question.grain
        series = []
        for one in self.series(question, metric, resource):
            entry: JSON = {
                "metadatavalues": [
                    {"name": localizable(name.lower()), "value": value}
                    for name, value in one.dimensions
                ]
            }
            if not question.metadata:
                entry["data"] = [
                    _data((question.first + number * grain) * 60.0, bucket, wanted)
                    for number, bucket in enumerate(one.buckets)
                ]
            series.append(entry)
        return {
            "id": f"{resource}/providers/Microsoft.Insights/metrics/{metric.name}",
            "type": "Microsoft.Insights/metrics",
            "name": localizable(metric.name, metric.title),
            "displayDescription": metric.text,
            "unit": metric.unit,
            "timeseries": series,
            "errorCode": "Success",
        }

    def answer(self, question: Question, resource: str, region: str) -> JSON:
        """The whole answer for one resource."""
        value = [self.value(question, metric, resource) for metric in question.metrics]
        points = sum(len(s.get("data", ())) for one in value for s in one["timeseries"])
        return {
            "cost": max(0, points - 1),
            "timespan": span(question),
            "interval": question.interval,
            "value": value,
            "namespace": question.kind,
            "resourceregion": region,
        }


def span(question: Question) -> str:
    """The timespan of a question, as an answer says it."""
    return f"{stamp(question.first * 60.0)}/{stamp(question.last * 60.0)}"


def stamp(moment: float) -> str:
    """Epoch seconds as metrics write times: `2026-01-01T00:00:00Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def localizable(value: str, localized: str = "") -> JSON:
    """A name with its translation (there is but one language)."""
    return {"value": value, "localizedValue": localized or value}


def _runs(
    points: dict[int, Point], metric: Metric, first: int, last: int
) -> Iterator[tuple[int, int, Point]]:
    """(from, before, what was in each of these minutes), in order."""
    minutes = sorted(points)
    for number, minute in enumerate(minutes):
        point = points[minute]
        if minute >= first and point.count:
            yield minute, minute + 1, point
        if metric.kind == "level" and point.level is not None:
            until = minutes[number + 1] if number + 1 < len(minutes) else last
            begin = max(minute + 1, first)
            if begin < until:
                yield begin, until, Point(1, point.level, point.level, point.level)


def _spread(buckets: list[Point | None], begin: int, until: int, grain: int, point: Point) -> None:
    """Put a run of minutes that are alike into the buckets that they lie in."""
    while begin < until:
        number = begin // grain
        if number >= len(buckets):
            return
        end = min(until, (number + 1) * grain)
        bucket = buckets[number]
        if bucket is None:
            bucket = buckets[number] = Point()
        times = end - begin
        bucket.count += point.count * times
        bucket.total += point.total * times
        bucket.low = min(bucket.low, point.low)
        bucket.high = max(bucket.high, point.high)
        begin = end


def aggregate(point: Point, aggregation: str) -> float:
    """A point's value by an aggregation; 0 for one without values."""
    if aggregation == "Count":
        return float(point.count)
    if aggregation == "Total":
        return point.total
    if aggregation == "Average":
        return point.total / point.count if point.count else 0.0
    value = point.high if aggregation == "Maximum" else point.low
    return value if point.count else 0.0


def _data(moment: float, bucket: Point | None, wanted: tuple[str, ...]) -> JSON:
    entry: JSON = {"timeStamp": stamp(moment)}
    if bucket is not None:
        for aggregation in wanted:
            entry[aggregation.lower()] = aggregate(bucket, aggregation)
    return entry
