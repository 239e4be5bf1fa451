"""`diagnosticSettings`: where a resource's logs and metrics are sent to; on any resource.

Kept and checked. That logs of jobs reach a workspace is said by their environment here, as in
`appLogsConfiguration`; other categories have nothing behind them.
https://learn.microsoft.com/rest/api/monitor/diagnostic-settings
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import JSON, Call, Provider, ResourceType
from orchestrator.localcloud.providers.embedded import existing

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
        """Diagnostic settings."""
        return [DiagnosticSettings()]


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


def _rules(properties: JSON, name: str) -> list[Any]:
    given = properties.get(name, [])
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
