"""Microsoft.Insights: metric alerts, scheduled query rules, action groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.alerts.rules import (
    METRIC_ALERTS,
    QUERY_RULES,
    Rule,
    check_rule_name,
    read_metric_alert,
    read_query_rule,
    refuse,
)
from orchestrator.localcloud.alerts.webhooks import allowed
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    ResourceType,
)
from orchestrator.localcloud.providers.spelling import respell

ACTION_GROUPS = "Microsoft.Insights/actionGroups"

Changed = Callable[[], None]
Health = Callable[[str], list[tuple[tuple[tuple[str, str], ...], bool, float]]]
"""Key of a rule -> (dimensions, whether the condition is met, when that was found)."""


class _Rules(ResourceType, ABC):
    """What both kinds of rule have in common."""

    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False

    def __init__(self, changed: Changed) -> None:
        self._rules_changed = changed

    @abstractmethod
    def read(self, resource: JSON) -> Rule:
        """The rule that a resource describes. Raises ArmError."""

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check all that is evaluated later, and that what it refers to exists."""
        if old is None:
            check_rule_name(call.id.name, self.type)
        properties = resource["properties"]
        if "criteria" in properties:
            properties["criteria"] = respell(properties["criteria"])
        self.defaults(call, resource, properties)
        rule = self.read({**resource, "id": call.id.text, "name": call.id.name})
        for scope in rule.scopes:
            if call.arm.store.record(scope) is None and not _is_wide(scope):
                raise refuse(f"The scope '{scope}' does not exist.", "scopes")
        for group, _ in rule.actions:
            if call.arm.store.record(group) is None:
                raise refuse(f"The action group '{group}' does not exist.", "actions")
        return resource

    def defaults(self, call: Call, resource: JSON, properties: JSON) -> None:
        """Fill in what may be left out."""
        properties.setdefault("enabled", True)
        properties.setdefault("severity", 3)

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Evaluate it from now on as it is now."""
        self._rules_changed()

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Evaluate it no more."""
        self._rules_changed()


def _is_wide(scope: str) -> bool:
    return not parse(scope).is_resource


class MetricAlerts(_Rules):
    """`Microsoft.Insights/metricAlerts`."""

    type: ClassVar[str] = METRIC_ALERTS

    def __init__(self, changed: Changed, health: Health) -> None:
        super().__init__(changed)
        self._health = health

    def read(self, resource: JSON) -> Rule:
        return read_metric_alert(resource)

    def defaults(self, call: Call, resource: JSON, properties: JSON) -> None:
        super().defaults(call, resource, properties)
        properties.setdefault("evaluationFrequency", "PT1M")
        properties.setdefault("windowSize", "PT5M")
        properties.setdefault("autoMitigate", True)
        properties.setdefault("actions", [])
        properties["lastUpdatedTime"] = iso(call.arm.clock.time())

    def reads(self) -> Mapping[str, Handler]:
        """Its status, as a list and by name."""
        return {"status": self._status, "status/{}": self._status}

    async def _status(self, call: Call) -> Answer:
        found = self._health(call.id.key)
        return {
            "value": [
                {
                    "name": f"status{number}",
                    "id": f"{call.id.text}/status/status{number}",
                    "type": "Microsoft.Insights/metricAlerts/status",
                    "properties": {
                        "dimensions": dict(dimensions),
                        "status": "Unhealthy" if met else "Healthy",
                        "timestamp": iso(moment),
                    },
                }
                for number, (dimensions, met, moment) in enumerate(found)
            ]
        }


class QueryRules(_Rules):
    """`Microsoft.Insights/scheduledQueryRules`."""

    type: ClassVar[str] = QUERY_RULES

    def read(self, resource: JSON) -> Rule:
        return read_query_rule(resource)

    def defaults(self, call: Call, resource: JSON, properties: JSON) -> None:
        super().defaults(call, resource, properties)
        resource.setdefault("kind", "LogAlert")
        properties.setdefault("autoMitigate", not properties.get("muteActionsDuration"))
        properties.setdefault("createdWithApiVersion", call.query.get("api-version", ""))
        properties.setdefault("isLegacyLogAnalyticsRule", False)
        properties.setdefault("isWorkspaceAlertsStorageConfigured", False)
        properties.setdefault("checkWorkspaceAlertsStorageConfigured", False)
        for condition in (properties.get("criteria") or {}).get("allOf") or ():
            if isinstance(condition, dict):
                condition.setdefault(
                    "failingPeriods",
                    {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
                )


class ActionGroups(ResourceType):
    """`Microsoft.Insights/actionGroups`: who is told."""

    type: ClassVar[str] = ACTION_GROUPS
    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False

    RECEIVERS: ClassVar[tuple[str, ...]] = (
        "emailReceivers",
        "smsReceivers",
        "webhookReceivers",
        "eventHubReceivers",
        "itsmReceivers",
        "azureAppPushReceivers",
        "automationRunbookReceivers",
        "voiceReceivers",
        "logicAppReceivers",
        "azureFunctionReceivers",
        "armRoleReceivers",
    )

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check names and addresses."""
        properties = resource["properties"]
        short = properties.get("groupShortName")
        if not isinstance(short, str) or not 1 <= len(short) <= 12:
            raise refuse(
                "The groupShortName has 1 to 12 characters; it is what messages begin with.",
                "groupShortName",
            )
        properties.setdefault("enabled", True)
        names: set[str] = set()
        for kind in self.RECEIVERS:
            receivers = properties.setdefault(kind, [])
            if not isinstance(receivers, list) or not all(isinstance(r, dict) for r in receivers):
                raise refuse(f"The {kind} are a list of receivers.", kind)
            for receiver in receivers:
                _check_receiver(kind, receiver, names)
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Let a receiver that has unsubscribed be told again."""
        return {"subscribe": self._subscribe}

    async def _subscribe(self, call: Call) -> Answer:
        wanted = str(call.object().get("receiverName", ""))
        found: list[Any] = []

        def change(resource: JSON) -> None:
            for kind in self.RECEIVERS:
                for receiver in resource["properties"].get(kind, ()):
                    if str(receiver.get("name", "")).lower() == wanted.lower():
                        found.append(receiver)
                        receiver["status"] = "Enabled"

        await call.arm.changes.alter(call, change)
        if not found:
            raise missing(call.id.child("receivers", wanted or "?"))
        return None


def _check_receiver(kind: str, receiver: JSON, names: set[str]) -> None:
    name = str(receiver.get("name", ""))
    if not name or name.lower() in names:
        raise refuse(f"Each receiver has a name of its own; '{name}' is not one.", kind)
    names.add(name.lower())
    if kind == "webhookReceivers":
        address = str(receiver.get("serviceUri", ""))
        if not allowed(address):
            raise refuse(
                f"The serviceUri of the webhook receiver '{name}' is not an http or https address.",
                kind,
            )
        receiver.setdefault("useCommonAlertSchema", False)
        receiver.setdefault("useAadAuth", False)
    if kind in ("emailReceivers", "smsReceivers"):
        receiver.setdefault("status", "Enabled")
    if kind == "emailReceivers":
        if "@" not in str(receiver.get("emailAddress", "")):
            raise refuse(f"The e-mail receiver '{name}' has no emailAddress.", kind)
        receiver.setdefault("useCommonAlertSchema", False)
