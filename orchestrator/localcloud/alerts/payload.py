"""What an action group's webhook is sent: the common alert schema, and the older one of metrics.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema and
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-metric-near-real-time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.localcloud.alerts.evaluation import Finding
from orchestrator.localcloud.alerts.rules import Condition, Rule
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.durations import write_duration

JSON = dict[str, Any]
SERVICES = {"Metric": "Platform", "Log": "Log Alerts V2"}


def context(rule: Rule, finding: Finding, now: float, properties: Mapping[str, str]) -> JSON:
    """`alertContext`: the condition as it was."""
    metric = rule.signal == "Metric"
    condition: JSON = {
        "windowSize": write_duration(rule.window),
        "allOf": [_condition(rule, one, value, finding) for one, value in finding.values],
        "windowStartTime": iso(now - rule.window),
        "windowEndTime": iso(now),
    }
    if metric:
        condition["staticThresholdFailingPeriods"] = {
            "numberOfEvaluationPeriods": 0,
            "minFailingPeriodsToAlert": 0,
        }
    return {
        "properties": dict(properties) or None,
        "conditionType": "SingleResourceMultipleMetricCriteria" if metric else "LogQueryCriteria",
        "condition": condition,
    }


def _condition(rule: Rule, one: Condition, value: float, finding: Finding) -> JSON:
    shown: JSON = {
        "operator": one.operator,
        "threshold": f"{one.threshold:g}",
        "timeAggregation": one.aggregation,
        "dimensions": [{"name": name, "value": text} for name, text in finding.dimensions],
        "metricValue": value,
    }
    if one.metric is not None:
        return {
            "metricName": one.metric.name,
            "metricNamespace": parse(finding.target).type,
            **shown,
            "webTestName": None,
        }
    return {
        "searchQuery": one.query,
        "metricMeasureColumn": one.column or None,
        "targetResourceTypes": f"['{parse(finding.target).type}']",
        **shown,
        "failingPeriods": {
            "numberOfEvaluationPeriods": rule.periods,
            "minFailingPeriodsToAlert": rule.failing,
        },
    }


def common(alert: Mapping[str, Any], rule: Rule, details: JSON) -> JSON:
    """The common alert schema."""
    essentials = alert["properties"]["essentials"]
    target = essentials["targetResource"]
    shown = {
        "alertId": alert["id"],
        "alertRule": rule.name,
        "severity": essentials["severity"],
        "signalType": rule.signal,
        "monitorCondition": essentials["monitorCondition"],
        "monitoringService": SERVICES[rule.signal],
        "alertTargetIDs": [target.lower()],
        "configurationItems": [essentials["targetResourceName"]],
        "originAlertId": alert["id"].rpartition("/")[2],
        "firedDateTime": essentials["startDateTime"],
        "description": rule.description,
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
        "alertRuleId": rule.id,
    }
    if essentials["monitorCondition"] == "Resolved":
        shown["resolvedDateTime"] = essentials["monitorConditionResolvedDateTime"]
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": shown,
            "alertContext": details,
            "customProperties": dict(rule.custom) if rule.custom else None,
        },
    }


def of_metric(alert: Mapping[str, Any], rule: Rule, details: JSON, now: float) -> JSON:
    """What a webhook of a metric alert is sent when it does not ask for the common schema."""
    essentials = alert["properties"]["essentials"]
    target = parse(essentials["targetResource"])
    fired = essentials["monitorCondition"] == "Fired"
    return {
        "schemaId": "AzureMonitorMetricAlert",
        "data": {
            "version": "2.0",
            "properties": details["properties"],
            "status": "Activated" if fired else "Deactivated",
            "context": {
                "timestamp": iso(now),
                "id": rule.id,
                "name": rule.name,
                "description": rule.description,
                "conditionType": details["conditionType"],
                "severity": str(rule.severity),
                "condition": details["condition"],
                "subscriptionId": target.subscription or "",
                "resourceGroupName": target.group or "",
                "resourceName": target.name,
                "resourceType": target.type,
                "resourceId": target.text,
            },
        },
    }
