"""Alert rules as they are sent: read, or refused in a sentence, whatever they say."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.alerts.rules import (
    METRIC_ALERTS,
    QUERY_RULES,
    check_rule_name,
    healthy_after,
    read_metric_alert,
    read_query_rule,
)
from orchestrator.localcloud.alerts.webhooks import allowed
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.insights.alert_rules import ActionGroups

BUS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ServiceBus/namespaces/bus"

METRIC: dict[str, Any] = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/metricAlerts/a",
    "name": "a",
    "properties": {
        "description": "x",
        "severity": 1,
        "enabled": True,
        "scopes": [BUS],
        "evaluationFrequency": "PT1M",
        "windowSize": "PT5M",
        "criteria": {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [
                {
                    "criterionType": "StaticThresholdCriterion",
                    "name": "c",
                    "metricName": "ActiveMessages",
                    "metricNamespace": "Microsoft.ServiceBus/namespaces",
                    "operator": "GreaterThan",
                    "threshold": 5,
                    "timeAggregation": "Maximum",
                    "dimensions": [
                        {"name": "EntityName", "operator": "Include", "values": ["results"]}
                    ],
                }
            ],
        },
        "autoMitigate": True,
        "actions": [{"actionGroupId": "/g", "webHookProperties": {"a": "b"}}],
    },
}
QUERY: dict[str, Any] = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/scheduledQueryRules/q",
    "name": "q",
    "properties": {
        "severity": 2,
        "enabled": True,
        "scopes": ["/w"],
        "evaluationFrequency": "PT5M",
        "windowSize": "PT5M",
        "overrideQueryTimeRange": "P2D",
        "criteria": {
            "allOf": [
                {
                    "query": "T",
                    "timeAggregation": "Average",
                    "metricMeasureColumn": "x",
                    "operator": "LessThan",
                    "threshold": 0.5,
                    "dimensions": [{"name": "d", "operator": "Exclude", "values": ["v"]}],
                    "failingPeriods": {
                        "numberOfEvaluationPeriods": 3,
                        "minFailingPeriodsToAlert": 2,
                    },
                }
            ]
        },
        "autoMitigate": False,
        "muteActionsDuration": "PT1H",
        "actions": {"actionGroups": ["/g"], "customProperties": {"a": "b"}},
    },
}
GROUP: dict[str, Any] = {
    "id": "/g",
    "name": "g",
    "properties": {
        "groupShortName": "g",
        "enabled": True,
        "webhookReceivers": [{"name": "w", "serviceUri": "https://x/y"}],
        "emailReceivers": [{"name": "e", "emailAddress": "a@b"}],
        "smsReceivers": [{"name": "s", "countryCode": "1", "phoneNumber": "2"}],
    },
}


def test_what_a_rule_says() -> None:
    metric = read_metric_alert(METRIC)
    assert (metric.severity, metric.window, metric.frequency) == (1, 300, 60)
    assert metric.conditions[0].met(6)
    assert not metric.conditions[0].met(5)
    assert metric.actions == (("/g", {"a": "b"}),)
    query = read_query_rule(QUERY)
    assert (query.periods, query.failing, query.mute, query.span) == (3, 2, 3600, 172800)
    assert not query.auto_mitigate


def _with(**criterion: Any) -> dict[str, Any]:
    """The metric alert with another criterion; what is None goes."""
    made = copy.deepcopy(METRIC)
    one = made["properties"]["criteria"]["allOf"][0]
    one |= criterion
    for name in [name for name, value in one.items() if value is None]:
        del one[name]
    return made


LEARNED = {
    "criterionType": "DynamicThresholdCriterion",
    "alertSensitivity": "medium",
    "failingPeriods": {"numberOfEvaluationPeriods": 4.0, "minFailingPeriodsToAlert": 2.0},
    "threshold": None,
}


def test_what_cannot_be_evaluated_here_is_taken_and_left_alone() -> None:
    assert read_metric_alert(METRIC).evaluated
    assert not read_metric_alert(_with(**LEARNED)).evaluated
    elsewhere = _with(metricNamespace=None, metricName="Transactions", dimensions=[])
    elsewhere["properties"]["scopes"] = [BUS.replace("ServiceBus/namespaces", "Storage/accounts")]
    assert not read_metric_alert(elsewhere).evaluated
    assert not read_metric_alert(_with(metricName="Own", skipMetricValidation=True)).evaluated
    pages = copy.deepcopy(METRIC)
    kind = "Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria"
    pages["properties"]["criteria"] = {"odata.type": kind, "webTestId": "/w", "componentId": "/c"}
    assert not read_metric_alert(pages).evaluated


@pytest.mark.parametrize(
    "criterion",
    [
        {"metricName": "Activemessage"},
        {"metricName": ""},
        {**LEARNED, "alertSensitivity": "Extreme"},
        {**LEARNED, "failingPeriods": {"numberOfEvaluationPeriods": 1}},
        {"criterionType": "Other"},
    ],
)
def test_what_azure_would_not_take_either_is_refused(criterion: dict[str, Any]) -> None:
    with pytest.raises(ArmError):
        read_metric_alert(_with(**criterion))


def test_a_duration_that_is_none_is_refused_in_the_words_of_alerts() -> None:
    made = copy.deepcopy(METRIC)
    made["properties"]["windowSize"] = "5 minutes"
    with pytest.raises(ArmError, match=r"^BadRequest: The value '5 minutes' of the") as refused:
        read_metric_alert(made)
    assert refused.value.target == "windowSize"


@pytest.mark.parametrize(
    ("minutes", "evaluations"), [(1, 10), (5, 3), (10, 3), (15, 2), (60, 2), (660, 1), (1440, 1)]
)
def test_how_long_it_takes_until_a_log_alert_is_resolved(minutes: int, evaluations: int) -> None:
    assert healthy_after(minutes * 60) == evaluations


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            found += places(part, (*path, key))
    return found


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(body)
    at: Any = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**18) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.sampled_from(["metric", "query", "group"]), st.randoms(), anything)
@settings(max_examples=150)
async def test_anything_is_read_or_refused(kind: str, chance: random.Random, value: Any) -> None:
    body = {"metric": METRIC, "query": QUERY, "group": GROUP}[kind]
    path = chance.choice([p for p in places(body["properties"], ("properties",)) if len(p) > 1])
    sent = changed(body, path, value)
    refused: ArmError | None = None
    try:
        if kind == "metric":
            read_metric_alert(sent)
        elif kind == "query":
            read_query_rule(sent)
        else:
            await ActionGroups().prepare(None, sent, None)  # type: ignore[arg-type]
    except ArmError as error:
        refused = error
    assert refused is None or (refused.status == 400 and refused.message)


@pytest.mark.parametrize("address", ["ftp://x", "http://", "javascript:1", "", "http://[", "x"])
def test_a_webhook_is_http(address: str) -> None:
    assert not allowed(address)


@pytest.mark.parametrize(
    ("name", "metric", "query"),
    [
        ("lab | processors are busy", True, True),
        ("a+b@c", False, True),
        ("a/b", False, False),
        ("ends.", False, False),
        ("x" * 261, False, False),
    ],
)
def test_what_a_rule_may_be_called(name: str, metric: bool, query: bool) -> None:
    for kind, wanted in ((METRIC_ALERTS, metric), (QUERY_RULES, query)):
        found = True
        try:
            check_rule_name(name, kind)
        except ArmError:
            found = False
        assert found == wanted
