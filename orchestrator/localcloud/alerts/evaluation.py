"""Whether the condition of a rule is met at a moment, for each combination of dimensions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.alerts.rules import Condition, Rule
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.tables import Scope
from orchestrator.localcloud.metrics.answer import aggregate
from orchestrator.localcloud.metrics.question import Question, Split
from orchestrator.localcloud.metrics.room import Metrics

Dimensions = tuple[tuple[str, str], ...]
ScopeOf = Callable[[tuple[str, ...]], Scope]
"""Resource ids -> the rows that a log query about them sees."""

MOST_COMBINATIONS = 1000


@dataclass(slots=True)
class Finding:
    """One combination of dimensions of one resource at one evaluation.

    Attributes:
        target: The resource that it is about.
        dimensions: Their names and values.
        met: Whether the condition is met.
        values: Of each condition.
    """

    target: str
    dimensions: Dimensions
    met: bool
    values: list[tuple[Condition, float]] = field(default_factory=list)


def evaluate_metrics(rule: Rule, metrics: Metrics, now: float) -> list[Finding]:
    """The findings of a metric alert; what has no data has none.

    All its criteria must be met. One without dimensions counts for every combination.
    """
    last = int(now // 60)
    first = last - int(rule.window // 60)
    findings = []
    for target in rule.scopes:
        tables = [_series(c, metrics, target, first, last) for c in rule.conditions]
        apart = {key for table in tables for key in table if key}
        for key in sorted(apart or {()}):
            values = []
            for condition, table in zip(rule.conditions, tables, strict=True):
                value = table.get(key, table.get(()))
                if value is None and condition.metric is not None:
                    # What has never happened has no series; it has happened no times.
                    value = 0.0 if condition.metric.kind == "count" else None
                if value is not None:
                    values.append((condition, value))
            if len(values) == len(rule.conditions):
                met = all(condition.met(value) for condition, value in values)
                findings.append(Finding(target, key, met, values))
    return findings[:MOST_COMBINATIONS]


def _series(
    condition: Condition, metrics: Metrics, target: str, first: int, last: int
) -> dict[Dimensions, float]:
    metric = condition.metric
    assert metric is not None
    split = None
    if condition.dimensions:
        split = Split(
            tuple(
                (d.name.lower(), "eq" if d.include else "ne", tuple(v.lower() for v in d.values))
                for d in condition.dimensions
            ),
            tuple(d.name for d in condition.dimensions),
        )
    question = Question(
        kind=parse(target).type,
        metrics=(metric,),
        first=first,
        last=last,
        grain=0,
        aggregations=(condition.aggregation,),
        split=split,
        top=MOST_COMBINATIONS,
    )
    found = {}
    for series in metrics.series(question, metric, target):
        whole = series.whole()
        if whole.count or metric.kind == "count":
            found[series.dimensions] = aggregate(whole, condition.aggregation)
    return found


async def evaluate_query(
    rule: Rule, engine: QueryEngine, scope_of: ScopeOf, now: float
) -> list[Finding]:
    """The findings of a log alert, over its last periods.

    Raises:
        QueryError: The query cannot be run.
    """
    condition = rule.conditions[0]
    scope = scope_of(rule.scopes)
    failed: dict[Dimensions, int] = {}
    newest: dict[Dimensions, float] = {}
    for period in range(rule.periods):
        end = now - period * rule.window
        start = end - (rule.span or rule.window)
        result = await engine.execute(
            condition.query, timespan=f"{_iso(start)}/{_iso(end)}", scope=scope
        )
        table = json.loads(result.json())["tables"][-1]
        for key, value in _values(condition, table).items():
            newest.setdefault(key, value)
            failed[key] = failed.get(key, 0) + condition.met(value)
    return [
        Finding(rule.scopes[0], key, failed[key] >= rule.failing, [(condition, value)])
        for key, value in list(newest.items())[:MOST_COMBINATIONS]
    ]


def _values(condition: Condition, table: Mapping[str, Any]) -> dict[Dimensions, float]:
    """The measure of each combination of dimensions in a query's answer."""
    names = {str(column["name"]).lower(): n for n, column in enumerate(table["columns"])}
    places = [(d, names.get(d.name.lower())) for d in condition.dimensions]
    groups: dict[Dimensions, list[Any]] = {} if condition.dimensions else {(): []}
    measured = names.get(condition.column.lower()) if condition.column else None
    for row in table["rows"]:
        key = []
        for dimension, place in places:
            value = "" if place is None else str(row[place])
            listed = "*" in dimension.values or value in dimension.values
            if listed != dimension.include:
                break
            key.append((dimension.name, value))
        else:
            groups.setdefault(tuple(key), []).append(1 if measured is None else row[measured])
    found = {}
    for group, values in groups.items():
        value_of = _measure(values, condition.aggregation)
        if value_of is not None:
            found[group] = value_of
    return found


def _measure(values: list[Any], aggregation: str) -> float | None:
    if aggregation == "Count":
        return float(sum(value is not None for value in values))
    numbers = []
    for value in values:
        try:
            numbers.append(float(value))
        except (TypeError, ValueError):
            continue
    if not numbers:
        return None
    if aggregation == "Total":
        return sum(numbers)
    if aggregation == "Average":
        return sum(numbers) / len(numbers)
    return max(numbers) if aggregation == "Maximum" else min(numbers)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
