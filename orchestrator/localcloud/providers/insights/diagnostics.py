"""`diagnosticSettings`: where a resource's logs and metrics are sent to; on any resource.

Kept and checked. That logs of jobs reach a workspace is said by their environment here, as in
`appLogsConfiguration`; other categories have nothing behind them.
https://learn.microsoft.com/rest/api/monitor/diagnostic-settings
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, Provider, ResourceType
from orchestrator.localcloud.providers.embedded import existing
from orchestrator.localcloud.providers.insights.diagnostic_categories import SETTLED, categories

SETTINGS = "Microsoft.Insights/diagnosticSettings"
_DESTINATIONS = (
    *("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId"),
    *("marketplacePartnerId", "serviceBusRuleId"),
)
MOST = 5


class Diagnostics(Provider):
    """The part of Microsoft.Insights that keeps diagnostic settings."""

    namespace: ClassVar[str] = "Microsoft.Insights"

    def types(self) -> Iterable[ResourceType]:
        """Diagnostic settings and what can be chosen in them."""
        return [DiagnosticSettings(), Categories()]


class DiagnosticSettings(ResourceType):
    """An extension of any resource."""

    type: ClassVar[str] = SETTINGS
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """A destination that exists, and something to send there."""
        properties = resource["properties"]
        if not any(properties.get(name) for name in _DESTINATIONS):
            raise ArmError(
                "BadRequest",
                "At least one data sink needs to be specified: workspaceId, storageAccountId, "
                "eventHubAuthorizationRuleId or marketplacePartnerId.",
            )
        if workspace := properties.get("workspaceId"):
            existing(call, {"id": workspace}, "properties.workspaceId")
        chosen = [*_rules(properties, "logs"), *_rules(properties, "metrics")]
        if not chosen:
            raise ArmError("BadRequest", "At least one of 'logs' and 'metrics' must be given.")
        _check_categories(parse(call.id.scope), chosen)
        for rule in chosen:
            rule.setdefault("enabled", False)
            rule.setdefault("retentionPolicy", {"enabled": False, "days": 0})
        others = [
            item
            for item in call.arm.store.collection(parse(call.id.text.rpartition("/")[0]))
            if item["name"].lower() != call.id.name.lower()
        ]
        if old is None and len(others) >= MOST:
            raise ArmError("Conflict", f"A resource has at most {MOST} diagnostic settings.", 409)
        properties.setdefault("logs", [])
        properties.setdefault("metrics", [])
        return resource

    async def members(self, call: Call) -> Iterable[JSON]:
        """Those of this scope alone: a subscription's are not those of its resources."""
        at = call.id.scope.lower()
        found = call.arm.store.collection(call.id)
        return [item for item in found if parse(item["id"]).scope.lower() == at]


class Categories(ResourceType):
    """`diagnosticSettingsCategories`: the logs and metrics that a resource's type has."""

    type: ClassVar[str] = f"{SETTINGS}Categories"
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """One of them."""
        wanted = call.id.name.lower()
        return next((it for it in self._all(call) if it["name"].lower() == wanted), None)

    async def members(self, call: Call) -> Iterable[JSON]:
        """All of a resource."""
        return self._all(call)

    def _all(self, call: Call) -> list[JSON]:
        scope = call.id.scope
        found = categories(parse(scope).type)
        return [
            {
                "id": f"{scope}/providers/{self.type}/{name}",
                "name": name,
                "type": self.type,
                "properties": {
                    "categoryType": "Logs" if groups else "Metrics",
                    "categoryGroups": list(groups),
                },
            }
            for name, groups in found.items()
        ]


def _check_categories(scope: ResourceId, chosen: Iterable[JSON]) -> None:
    """A category must be one of the resource's type, where its list has long been the same.

    Raises:
        ArmError: 400 `BadRequest`.
    """
    if scope.type.lower() not in SETTLED:
        return
    known = categories(scope.type)
    for rule in chosen:
        name = rule.get("category")
        if name and str(name).lower() not in {it.lower() for it in known}:
            raise ArmError(
                "BadRequest",
                f"Category '{name}' is not supported. A resource of the type {scope.type} has "
                f"{', '.join(known)}.",
            )


def _rules(properties: JSON, name: str) -> list[Any]:
    given = properties.get(name, [])
    for rule in given if name == "metrics" and isinstance(given, list) else ():
        # As before the api-version 2017-05-01-preview: one setting for all metrics of a grain.
        if isinstance(rule, dict) and rule.get("timeGrain") and not rule.get("categoryGroup"):
            rule.setdefault("category", "AllMetrics")
    if not isinstance(given, list) or not all(
        isinstance(rule, dict) and (rule.get("category") or rule.get("categoryGroup"))
        for rule in given
    ):
        raise ArmError(
            "BadRequest",
            f"'properties.{name}' must be a list of objects with a category or a categoryGroup.",
            target=f"properties.{name}",
        )
    return given
