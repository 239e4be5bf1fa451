"""Microsoft.Insights: metrics of resources; alert rules and action groups.

https://learn.microsoft.com/rest/api/monitor/metrics
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.alerts.room import Alerts
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Provider, ResourceType
from orchestrator.localcloud.metrics.answer import localizable
from orchestrator.localcloud.metrics.catalogue import metrics_of, type_name
from orchestrator.localcloud.metrics.question import AGGREGATIONS, GRAINS, bad
from orchestrator.localcloud.metrics.room import Metrics
from orchestrator.localcloud.providers.insights.alert_rules import (
    ActionGroups,
    MetricAlerts,
    QueryRules,
)
from orchestrator.localcloud.providers.insights.billing_features import billing_routes

_RESOURCE = "/subscriptions/{}/resourceGroups/{}/providers/{}" + "/{}/{}"
_BELOW = "/providers/Microsoft.Insights/"


class Insights(Provider):
    """Microsoft.Insights."""

    namespace: ClassVar[str] = "Microsoft.Insights"

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Set when alert rules are evaluated.
        self.alerts: Alerts | None = None

    def types(self) -> Iterable[ResourceType]:
        """Alert rules and action groups."""
        return [
            MetricAlerts(self._rules_changed, self._health),
            QueryRules(self._rules_changed),
            ActionGroups(),
        ]

    def _rules_changed(self) -> None:
        if self.alerts is not None:
            self.alerts.rules_changed()

    def _health(self, rule: str) -> list[tuple[tuple[tuple[str, str], ...], bool, float]]:
        return [] if self.alerts is None else self.alerts.health.get(rule, [])

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """What every resource has below it, in this provider's name."""
        found: dict[tuple[str, str], Handler] = dict(billing_routes())
        for deeper in ("", "/{}/{}"):
            at = _RESOURCE + deeper + _BELOW
            found["GET", at + "metrics"] = self._read
            found["GET", at + "metricDefinitions"] = self._definitions
            found["GET", at + "metricNamespaces"] = self._namespaces
        whole = "/subscriptions/{}" + _BELOW
        found["GET", whole + "metricDefinitions"] = self._definitions_of_type
        found["GET", whole + "metrics"] = found["POST", whole + "metrics"] = self._of_subscription
        return found

    async def _of_subscription(self, call: Call) -> Answer:
        raise bad(
            "The local cloud answers for one resource, or for many named ones by "
            "/subscriptions/{id}/metrics:getBatch; not for all of a subscription.",
            "NotSupported",
        )

    async def _definitions_of_type(self, call: Call) -> Answer:
        kind = call.query.get("metricnamespace", "")
        if not metrics_of(kind):
            raise bad(f"The metric namespace '{kind}' has no metrics here.")
        return _definitions(call.id.scope or call.id.text, kind)

    async def _resource(self, call: Call) -> ResourceId:
        resource = parse(call.id.scope)
        await call.arm.require(call, resource)
        return resource

    async def _read(self, call: Call) -> Answer:
        return await self._metrics.answer(await self._resource(call), call.query)

    async def _definitions(self, call: Call) -> Answer:
        resource = await self._resource(call)
        return _definitions(resource.text, resource.type)

    async def _namespaces(self, call: Call) -> Answer:
        resource = await self._resource(call)
        kind = type_name(resource.type)
        if not kind:
            return {"value": []}
        return {
            "value": [
                {
                    "id": f"{resource.text}{_BELOW}metricNamespaces/{kind}",
                    "type": "Microsoft.Insights/metricNamespaces",
                    "name": kind.rpartition("/")[2],
                    "classification": "Platform",
                    "properties": {"metricNamespaceName": kind},
                }
            ]
        }


def _definitions(resource: str, kind: str) -> JSON:
    """The definitions of a resource type's metrics, as those of a resource."""
    return {
        "value": [
            {
                "id": f"{resource}{_BELOW}metricdefinitions/{metric.name}",
                "resourceId": resource,
                "namespace": type_name(kind),
                "category": "Basic",
                "name": localizable(metric.name, metric.title),
                "displayDescription": metric.text,
                "isDimensionRequired": False,
                "unit": metric.unit,
                "primaryAggregationType": metric.primary,
                "supportedAggregationTypes": list(AGGREGATIONS),
                "metricAvailabilities": [
                    {"timeGrain": grain, "retention": "P93D"} for grain in GRAINS.values()
                ],
                "dimensions": [localizable(name) for name in metric.dimensions],
            }
            for metric in metrics_of(kind).values()
        ]
    }
