"""Alerts of the settings as Azure Monitor's resources, and what differs between two of them.

`failed` and `no-success` are scheduled query rules over the system log; `dead-letters`, `depth` and
`stalled` are metric alerts of the namespace. Azure has no metric for how long a message has waited:
`stalled` is what can be measured of it, messages that wait for all of the time while none is
completed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from orchestrator.errors import Problem, SettingsError
from orchestrator.quantities import iso_duration, short_duration
from orchestrator.queries import kql
from orchestrator.results import FieldChange
from orchestrator.settings import ActionGroupSpec, AlertSpec, Settings

QUERY_RULE = "Microsoft.Insights/scheduledQueryRules"
METRIC_ALERT = "Microsoft.Insights/metricAlerts"
ACTION_GROUP = "Microsoft.Insights/actionGroups"

FAILURES = ("BackoffLimitExceeded", "DeadlineExceeded", "Failed")
"""Reasons of the system log with which an execution has failed (see `logs.system_log`)."""

NAMESPACES = "Microsoft.ServiceBus/namespaces"
_HIDDEN = "(hidden)"


def kind_of(alert: AlertSpec) -> str:
    """The resource type of an alert's rule."""
    return QUERY_RULE if alert.when in ("failed", "no-success") else METRIC_ALERT


def within(alert: AlertSpec) -> timedelta:
    """How much of the past is looked at."""
    return alert.within or timedelta(minutes=5)


def every(alert: AlertSpec) -> timedelta:
    """How often it is looked at: every minute for metrics, five for logs, never less than that is
    looked at; of a long time seldom enough."""
    if alert.every is not None:
        return alert.every
    if kind_of(alert) == METRIC_ALERT:
        return min(within(alert), timedelta(minutes=1))
    return min(within(alert), timedelta(minutes=15 if within(alert) > timedelta(hours=1) else 5))


def sentence(alert: AlertSpec) -> str:
    """What an alert is about, in a few words."""
    span = short_duration(within(alert))
    return {
        "failed": f"an execution of {alert.job} has failed",
        "no-success": f"no execution of {alert.job} has succeeded for {span}",
        "dead-letters": f"more than {alert.above or 0} dead letters are in {alert.queue}",
        "depth": f"more than {alert.above} messages wait in {alert.queue}",
        "stalled": f"messages wait in {alert.queue} and none was completed for {span}",
    }[alert.when]


def query_rule(
    alert: AlertSpec, *, location: str, workspace: str, groups: list[str], tags: dict[str, str]
) -> dict[str, Any]:
    """The scheduled query rule of an alert about a job."""
    job = kql.text(str(alert.job))
    if alert.when == "failed":
        reasons = ", ".join(kql.text(reason) for reason in FAILURES)
        query = f"{kql.SYSTEM}\n| where JobName_s == {job} and Reason_s in ({reasons})"
        operator, threshold = "GreaterThan", 0
    else:
        query = f"{kql.SYSTEM}\n| where JobName_s == {job} and Reason_s == 'Completed'"
        operator, threshold = "LessThan", 1
    return {
        "location": location,
        "kind": "LogAlert",
        "tags": tags,
        "properties": {
            "displayName": None,
            "description": alert.description or _said(alert),
            "severity": alert.severity,
            "enabled": alert.enabled,
            "scopes": [workspace],
            "evaluationFrequency": iso_duration(every(alert)),
            "windowSize": iso_duration(within(alert)),
            "criteria": {
                "allOf": [
                    {
                        "query": query,
                        "timeAggregation": "Count",
                        "dimensions": [],
                        "operator": operator,
                        "threshold": threshold,
                        "failingPeriods": {
                            "numberOfEvaluationPeriods": 1,
                            "minFailingPeriodsToAlert": 1,
                        },
                    }
                ]
            },
            "autoMitigate": alert.resolve,
            # The tables come into being with the first line that a job writes.
            "skipQueryValidation": True,
            "actions": {"actionGroups": groups},
        },
    }


def metric_alert(
    alert: AlertSpec, *, namespace: str, groups: list[str], tags: dict[str, str]
) -> dict[str, Any]:
    """The metric alert of an alert about a queue."""
    tests: dict[str, list[tuple[str, str, str, int | None]]] = {
        "dead-letters": [("dead-letters", "DeadletteredMessages", "Maximum", alert.above or 0)],
        "depth": [("depth", "ActiveMessages", "Average", alert.above or 0)],
        "stalled": [
            ("waiting", "ActiveMessages", "Minimum", 0),
            ("completed", "CompleteMessage", "Total", None),
        ],
    }
    criteria = tests[alert.when]
    return {
        "location": "global",
        "tags": tags,
        "properties": {
            "description": alert.description or _said(alert),
            "severity": alert.severity,
            "enabled": alert.enabled,
            "scopes": [namespace],
            "evaluationFrequency": iso_duration(every(alert)),
            "windowSize": iso_duration(within(alert)),
            "criteria": {
                "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                "allOf": [
                    {
                        "criterionType": "StaticThresholdCriterion",
                        "name": name,
                        "metricName": metric,
                        "metricNamespace": NAMESPACES,
                        "dimensions": [
                            {"name": "EntityName", "operator": "Include", "values": [alert.queue]}
                        ],
                        "operator": "LessThanOrEqual" if threshold is None else "GreaterThan",
                        "threshold": threshold or 0,
                        "timeAggregation": aggregation,
                    }
                    for name, metric, aggregation, threshold in criteria
                ],
            },
            "autoMitigate": alert.resolve,
            "actions": [{"actionGroupId": group} for group in groups],
        },
    }


def _said(alert: AlertSpec) -> str:
    text = sentence(alert)
    return f"{text[:1].upper()}{text[1:]}."


def action_group(
    name: str, group: ActionGroupSpec, tags: dict[str, str], settings: Settings
) -> dict[str, Any]:
    """The action group, its webhooks' addresses read from the environment where it says so.

    Raises SettingsError for a variable that is not set.
    """
    webhooks = []
    for number, hook in enumerate(group.webhooks, 1):
        address = hook.url
        if hook.url_env is not None:
            address = os.environ.get(hook.url_env, "")
            where = f"action_groups.{name}.webhooks[{number - 1}].url_env"
            if not address.lower().startswith(("http://", "https://")):
                state = "is not set" if not address else "holds no http or https address"
                problem = Problem(where, f"the environment variable {hook.url_env} {state}.")
                raise SettingsError(
                    f"{settings.path}: {problem}",
                    f"Set it: export {hook.url_env}=https://…",
                    path=settings.path,
                    problems=[problem],
                )
        webhooks.append(
            {
                "name": f"webhook-{number}",
                "serviceUri": address,
                "useCommonAlertSchema": hook.common_schema,
            }
        )
    return {
        "location": "Global",
        "tags": tags,
        "properties": {
            "groupShortName": group.short_name or name[:12].rstrip("-."),
            "enabled": True,
            "webhookReceivers": webhooks,
            "emailReceivers": [
                {"name": f"email-{n}", "emailAddress": address, "useCommonAlertSchema": True}
                for n, address in enumerate(group.emails, 1)
            ],
            "smsReceivers": [
                {"name": f"sms-{n}", "countryCode": code, "phoneNumber": number}
                for n, (code, number) in enumerate(map(_phone, group.sms), 1)
            ],
        },
    }


def _phone(text: str) -> tuple[str, str]:
    code, _, number = text.removeprefix("+").replace("-", " ").partition(" ")
    return code, number


# ------------------------------------------------------------------------------- what differs


def differences(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """What of a live resource is not as it should be; what the settings say nothing of counts not.

    An address of a webhook may hold a secret and is never shown.
    """
    found = list(_compare(live.get("properties") or {}, wanted["properties"], ""))
    tags, mine = live.get("tags") or {}, wanted["tags"]
    found += [
        FieldChange(path=f"tags.{name}", old=tags.get(name), new=value)
        for name, value in mine.items()
        if tags.get(name) != value
    ]
    return tuple(found)


def _compare(live: Any, wanted: Any, path: str) -> Iterator[FieldChange]:
    if wanted is None:
        return
    if isinstance(wanted, dict):
        live = live if isinstance(live, dict) else {}
        for name, value in wanted.items():
            if name != "skipQueryValidation":  # an order, not a property
                yield from _compare(live.get(name), value, f"{path}.{name}" if path else name)
        return
    if isinstance(wanted, list):
        live = list(live) if isinstance(live, list | tuple) else []
        if len(live) == len(wanted):
            for number, (one, other) in enumerate(zip(live, wanted, strict=True)):
                yield from _compare(one, other, f"{path}[{number}]")
        else:
            yield FieldChange(path=path, old=_short(live), new=_short(wanted))
        return
    if _same(live, wanted, path):
        return
    if path.endswith("serviceUri"):
        yield FieldChange(path=path, old=live and _HIDDEN, new=_HIDDEN)
    else:
        yield FieldChange(path=path, old=live, new=wanted)


def _same(live: Any, wanted: Any, path: str) -> bool:
    if isinstance(live, timedelta):
        live = iso_duration(live)
    if isinstance(wanted, bool) or isinstance(live, bool):
        return live is wanted
    if isinstance(wanted, int | float) and isinstance(live, int | float):
        return float(live) == float(wanted)
    text, other = str(live or ""), str(wanted or "")
    # Ids, and the service's own words, have no case.
    return (
        text == other
        if path.endswith(("query", "description", "Uri"))
        else (text.lower() == other.lower())
    )


def _short(values: list[Any]) -> str:
    names = [str(v.get("name", "")) if isinstance(v, dict) else str(v) for v in values]
    return ", ".join(name.rpartition("/")[2] for name in names) or "(none)"
