"""Alert rules as Resource Manager has them, read and checked.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-metric-overview and
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types#log-alerts
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.durations import read_duration
from orchestrator.localcloud.metrics.catalogue import Metric, metrics_of

JSON = dict[str, Any]

METRIC_ALERTS = "Microsoft.Insights/metricAlerts"
QUERY_RULES = "Microsoft.Insights/scheduledQueryRules"

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
}
AGGREGATIONS = ("Average", "Count", "Maximum", "Minimum", "Total")

# Minutes (metrics-… and log-alert documentation: evaluation frequency, window size).
METRIC_FREQUENCIES = (1, 5, 15, 30, 60)
METRIC_WINDOWS = (1, 5, 15, 30, 60, 360, 720, 1440)
QUERY_FREQUENCIES = (1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440)
QUERY_WINDOWS = (*QUERY_FREQUENCIES[:-1], 2880, 1440)

_STATIC, _DYNAMIC = "StaticThresholdCriterion", "DynamicThresholdCriterion"

METRIC_HEALTHY = 3
"""Evaluations in a row that do not meet the condition until a metric alert is resolved."""

_FORBIDDEN = {METRIC_ALERTS: "*#&+:<>?@%{}\\/", QUERY_RULES: "*<>%{}&:\\?/#"}
"""What the names of rules may not have ("Naming rules and restrictions for Azure resources")."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """`include` (or not) these values; `*` means every value, each on its own."""

    name: str
    include: bool
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is compared with a threshold.

    Attributes:
        aggregation, operator, threshold, dimensions: Of both kinds of rule.
        name: Of a metric criterion.
        metric: What it measures; None for a query.
        query: KQL; "" for a metric.
        column: The column of a query that is aggregated; "": its rows are counted.
    """

    aggregation: str
    operator: str
    threshold: float
    dimensions: tuple[Dimension, ...] = ()
    name: str = ""
    metric: Metric | None = None
    query: str = ""
    column: str = ""

    def met(self, value: float) -> bool:
        """Whether a value meets it."""
        return OPERATORS[self.operator](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule.

    Attributes:
        frequency, window, mute, span: Seconds; `span`: of a query, where it differs from `window`.
        periods, failing: Of so many windows so many must fail.
        actions: (id of an action group, properties for its webhooks).
        healthy: Evaluations in a row after which an alert is resolved.
        custom: Properties that go into every notification.
        evaluated: Whether it can be evaluated here: not what watches metrics that the local cloud
            does not measure, learns its thresholds, or tests web pages. Azure takes those rules,
            so they are kept; nothing comes of them.
    """

    id: str
    name: str
    signal: str
    description: str
    severity: int
    enabled: bool
    scopes: tuple[str, ...]
    frequency: float
    window: float
    conditions: tuple[Condition, ...]
    auto_mitigate: bool
    healthy: int
    actions: tuple[tuple[str, Mapping[str, str]], ...] = ()
    periods: int = 1
    failing: int = 1
    mute: float = 0.0
    span: float = 0.0
    custom: Mapping[str, str] | None = None
    evaluated: bool = True


def refuse(message: str, target: str = "") -> ArmError:
    """400."""
    return ArmError("BadRequest", message, target=target or None)


def check_rule_name(name: str, kind: str) -> None:
    """Raises ArmError for a name that a rule of that kind may not have."""
    forbidden = _FORBIDDEN[kind]
    wrong = any(char in forbidden or not char.isprintable() for char in name)
    if wrong or len(name) > 260 or name.endswith((".", " ")):
        raise refuse(
            f"The alert rule name '{name}' is not allowed: at most 260 characters, none of "
            f"{' '.join(forbidden)}, and no period or space at the end.",
            "name",
        )


def read_metric_alert(resource: Mapping[str, Any]) -> Rule:
    """A `metricAlerts` resource. Raises ArmError (400) for what it may not say."""
    properties = resource.get("properties") or {}
    criteria = _object(properties, "criteria")
    kind = str(criteria.get("odata.type", criteria.get("@odata.type", "")))
    web_test = kind.endswith("WebtestLocationAvailabilityCriteria")
    if not kind.endswith("MultipleMetricCriteria") and not web_test:
        raise refuse(
            f"The criteria of a metric alert are of no known kind: '{kind}'. It is "
            "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria, "
            "…MultipleResourceMultipleMetricCriteria or …WebtestLocationAvailabilityCriteria.",
            "criteria",
        )
    scopes = _scopes(properties)
    kinds = {parse(scope).type for scope in scopes}
    target = str(properties.get("targetResourceType") or "") or next(iter(kinds), "")
    listed = [] if web_test else _list(criteria, "allOf")
    conditions = [_criterion(one, target) for one in listed]
    if len({condition.name for condition in conditions}) < len(conditions):
        raise refuse("Two criteria of the alert have the same name.", "criteria.allOf")
    return Rule(
        id=str(resource["id"]),
        name=str(resource["name"]),
        signal="Metric",
        conditions=tuple(conditions),
        healthy=METRIC_HEALTHY,
        frequency=_minutes(properties, "evaluationFrequency", METRIC_FREQUENCIES, "PT1M"),
        window=_minutes(properties, "windowSize", METRIC_WINDOWS, "PT5M"),
        actions=tuple(
            (str(action.get("actionGroupId", "")), _texts(action, "webHookProperties"))
            for action in _objects(properties, "actions")
        ),
        evaluated=bool(conditions) and all(one.metric is not None for one in conditions),
        **_common(properties, scopes),
    )


def _criterion(one: Mapping[str, Any], target: str) -> Condition:
    kind = _choice(one, "criterionType", (_STATIC, _DYNAMIC)) if "criterionType" in one else _STATIC
    metric = _metric(one, target)
    dimensions = _dimensions(one)
    common: dict[str, Any] = {
        "name": str(one.get("name", "")),
        "aggregation": _choice(one, "timeAggregation", AGGREGATIONS),
        "dimensions": dimensions,
    }
    if kind == _DYNAMIC:
        _check_learned(one)
        return Condition(operator="GreaterThan", threshold=0.0, **common)
    if metric is not None:
        lacking = {d.name.lower() for d in dimensions} - {d.lower() for d in metric.dimensions}
        if lacking:
            raise refuse(f"The metric {metric.name} has no dimension {', '.join(sorted(lacking))}.")
    return Condition(
        metric=metric,
        operator=_choice(one, "operator", tuple(OPERATORS)),
        threshold=_number(one, "threshold"),
        **common,
    )


def _metric(one: Mapping[str, Any], target: str) -> Metric | None:
    """What a criterion watches; None where nothing is known of the metrics of its target."""
    name = str(one.get("metricName") or "")
    if not name:
        raise refuse("A criterion names no metricName.", "criteria.allOf")
    known = metrics_of(str(one.get("metricNamespace") or "") or target) or metrics_of(target)
    metric = known.get(name.lower())
    if metric is None and known and one.get("skipMetricValidation") is not True:
        raise refuse(
            f"Couldn't find a metric named {name} of '{target}'. Valid metrics: "
            f"{','.join(m.name for m in known.values())}",
            "criteria.allOf",
        )
    return metric


def _check_learned(one: Mapping[str, Any]) -> None:
    """A dynamic threshold: checked, and left to Azure to learn."""
    _choice(one, "operator", ("GreaterThan", "LessThan", "GreaterOrLessThan"))
    _choice(one, "alertSensitivity", ("Low", "Medium", "High"))
    periods = _optional(one, "failingPeriods")
    # Of these the SDK makes floats.
    of = _number(periods, "numberOfEvaluationPeriods")
    least = _number(periods, "minFailingPeriodsToAlert")
    if not 1 <= least <= of <= 6:
        raise refuse(
            f"failingPeriods says {least:g} of {of:g}; it is at least 1, of at most 6.",
            "criteria.allOf",
        )


def read_query_rule(resource: Mapping[str, Any]) -> Rule:
    """A `scheduledQueryRules` resource. Raises ArmError (400) for what it may not say."""
    properties = resource.get("properties") or {}
    conditions = _list(_object(properties, "criteria"), "allOf")
    if len(conditions) != 1:
        raise refuse(f"A log alert has one condition; this has {len(conditions)}.", "criteria")
    one = conditions[0]
    query = str(one.get("query", ""))
    if not query.strip():
        raise refuse("The condition has no query.", "criteria.allOf[0].query")
    column = str(one.get("metricMeasureColumn") or "")
    aggregation = _choice(one, "timeAggregation", AGGREGATIONS)
    if aggregation != "Count" and not column:
        raise refuse(
            f"An aggregation by {aggregation} needs a metricMeasureColumn; without one rows are "
            "counted.",
            "criteria.allOf[0].metricMeasureColumn",
        )
    failing = _optional(one, "failingPeriods")
    periods = _integer(failing, "numberOfEvaluationPeriods", 1)
    least = _integer(failing, "minFailingPeriodsToAlert", 1)
    if not 1 <= least <= periods <= 6:
        raise refuse(
            f"failingPeriods says {least} of {periods}; it is at least 1, of at most 6.",
            "criteria.allOf[0].failingPeriods",
        )
    frequency = _minutes(properties, "evaluationFrequency", QUERY_FREQUENCIES, "")
    window = _minutes(properties, "windowSize", QUERY_WINDOWS, "")
    mute = properties.get("muteActionsDuration")
    if mute and properties.get("autoMitigate", False):
        raise refuse(
            "muteActionsDuration is for rules that do not resolve their alerts: set autoMitigate "
            "to false.",
            "muteActionsDuration",
        )
    span = properties.get("overrideQueryTimeRange")
    actions = _optional(properties, "actions")
    groups = actions.get("actionGroups") or []
    if not isinstance(groups, list):
        raise refuse("The actionGroups are a list of ids.", "actions.actionGroups")
    return Rule(
        id=str(resource["id"]),
        name=str(resource["name"]),
        signal="Log",
        conditions=(
            Condition(
                query=query,
                column=column,
                aggregation=aggregation,
                operator=_choice(one, "operator", tuple(OPERATORS)),
                threshold=_number(one, "threshold"),
                dimensions=_dimensions(one),
            ),
        ),
        healthy=healthy_after(frequency),
        frequency=frequency,
        window=window,
        periods=periods,
        failing=least,
        mute=_duration(mute, "muteActionsDuration") if mute else 0.0,
        span=_duration(span, "overrideQueryTimeRange") if span else 0.0,
        actions=tuple((str(group), _texts(actions, "actionProperties")) for group in groups),
        custom=_texts(actions, "customProperties") or None,
        **_common(properties, _scopes(properties)),
    )


def healthy_after(frequency: float) -> int:
    """Evaluations without the condition until a log alert is resolved, by how often it is
    evaluated (alerts-overview, "stateful alerts")."""
    minutes = frequency / 60
    if minutes < 5:
        return max(1, round(10 / minutes))
    if minutes < 15:
        return 3
    return 2 if minutes < 660 else 1


def _common(properties: Mapping[str, Any], scopes: tuple[str, ...]) -> dict[str, Any]:
    severity = properties.get("severity", 3)
    if isinstance(severity, bool) or not isinstance(severity, int) or not 0 <= severity <= 4:
        raise refuse(f"A severity is 0 to 4, not {severity!r}.", "severity")
    return {
        "description": str(properties.get("description") or ""),
        "severity": severity,
        "enabled": bool(properties.get("enabled", True)),
        "scopes": scopes,
        "auto_mitigate": bool(properties.get("autoMitigate", True)),
    }


def _scopes(properties: Mapping[str, Any]) -> tuple[str, ...]:
    scopes = properties.get("scopes")
    if not isinstance(scopes, list) or not scopes:
        raise refuse("The rule names no scopes: the ids of what it watches.", "scopes")
    return tuple(str(scope) for scope in scopes)


def _dimensions(one: Mapping[str, Any]) -> tuple[Dimension, ...]:
    return tuple(
        Dimension(
            str(d.get("name", "")),
            _choice(d, "operator", ("Include", "Exclude")) == "Include",
            tuple(_strings(d, "values")) or ("*",),
        )
        for d in _objects(one, "dimensions")
    )


def _objects(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects that may be left out."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise refuse(f"The {name} are a list of objects.", name)
    return value


def _strings(parent: Mapping[str, Any], name: str) -> list[str]:
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise refuse(f"The {name} are a list of texts.", name)
    return value


def _texts(parent: Mapping[str, Any], name: str) -> dict[str, str]:
    """An object of texts that may be left out."""
    value = _optional(parent, name)
    return {str(key): str(part) for key, part in value.items()}


def _optional(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(f"The {name} are an object.", name)
    return value


def _integer(parent: Mapping[str, Any], name: str, default: int) -> int:
    value = parent.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(f"The {name} is a whole number, not {value!r}.", name)
    return value


def _duration(text: object, name: str) -> float:
    try:
        return read_duration(text, name)
    except ValueError as error:
        raise refuse(str(error), name) from None


def _minutes(
    properties: Mapping[str, Any], name: str, allowed: Sequence[int], default: str
) -> float:
    text = properties.get(name) or default
    seconds = _duration(text, name)
    if seconds / 60 not in allowed:
        raise refuse(
            f"The {name} '{text}' is not possible: it is one of "
            f"{', '.join(str(minutes) for minutes in sorted(allowed))} minutes.",
            name,
        )
    return seconds


def _choice(one: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    text = str(one.get(name, ""))
    found = next((word for word in allowed if word.lower() == text.lower()), None)
    if found is None:
        raise refuse(f"The {name} '{text}' is not one of {', '.join(allowed)}.", name)
    return found


def _number(one: Mapping[str, Any], name: str) -> float:
    value = one.get(name)
    if isinstance(value, str):
        # The service's deserializer takes a text for a number.
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse(f"The {name} is a number, not {value!r}.", name)
    return float(value)


def _object(properties: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = properties.get(name)
    if not isinstance(value, dict):
        raise refuse(f"The rule has no {name}.", name)
    return value


def _list(criteria: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = criteria.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        raise refuse(f"The criteria have no {name}.", f"criteria.{name}")
    return value
