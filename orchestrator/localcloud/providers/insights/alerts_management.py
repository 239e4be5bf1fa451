"""Microsoft.AlertsManagement: the alerts that have fired.

https://learn.microsoft.com/rest/api/monitor/alertsmanagement/alerts
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from orchestrator.localcloud.alerts.room import ALERTS, Alerts
from orchestrator.localcloud.alerts.rules import refuse
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)

STATES = ("New", "Acknowledged", "Closed")
RANGES = {"1h": 3600, "1d": 86400, "7d": 7 * 86400, "30d": 30 * 86400}

# Query parameter -> property of an alert's essentials.
_FILTERS = {
    "targetresource": "targetResource",
    "targetresourcetype": "targetResourceType",
    "targetresourcegroup": "targetResourceGroup",
    "monitorservice": "monitorService",
    "monitorcondition": "monitorCondition",
    "severity": "severity",
    "alertstate": "alertState",
    "alertrule": "alertRule",
}
_BARE = ("context", "egressConfig")


class AlertsManagement(Provider):
    """Microsoft.AlertsManagement."""

    namespace: ClassVar[str] = "Microsoft.AlertsManagement"

    def __init__(self, alerts: Callable[[], Alerts]) -> None:
        self._alerts = alerts

    def types(self) -> Iterable[ResourceType]:
        """Alerts."""
        return [FiredAlerts(self._alerts)]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """The summary of a subscription."""
        at = "/subscriptions/{}/providers/Microsoft.AlertsManagement/"
        return {("GET", at + "alertsSummary"): self._summary}

    async def _summary(self, call: Call) -> Answer:
        by = [name.strip() for name in call.query.get("groupby", "severity").split(",")][:2]
        alerts = selected(self._alerts(), call)
        return {
            "id": f"{call.id.scope}/providers/Microsoft.AlertsManagement/alertsSummary/current",
            "name": "current",
            "type": "Microsoft.AlertsManagement/alertsSummary",
            "properties": {"total": len(alerts), "smartGroupsCount": 0, **_grouped(alerts, by)},
        }


def _grouped(alerts: list[JSON], by: list[str]) -> JSON:
    if not by:
        return {}
    field = _FILTERS.get(by[0].lower(), by[0])
    counts = Counter(str(a["properties"]["essentials"].get(field, "")) for a in alerts)
    values = []
    for name, count in sorted(counts.items()):
        inside = [a for a in alerts if str(a["properties"]["essentials"].get(field, "")) == name]
        values.append({"name": name, "count": count, **_grouped(inside, by[1:])})
    return {"groupedby": by[0], "values": values}


class FiredAlerts(ResourceType):
    """`Microsoft.AlertsManagement/alerts`: made by rules, not by requests."""

    type: ClassVar[str] = ALERTS
    stored: ClassVar[bool] = False

    def __init__(self, alerts: Callable[[], Alerts]) -> None:
        self._alerts = alerts

    async def get(self, call: Call) -> JSON | None:
        """One of them, by its guid."""
        found = self._alerts().store.alerts.get(call.id.name.lower())
        return None if found is None else copy.deepcopy(found)

    async def members(self, call: Call) -> Iterable[JSON]:
        """Those that the request's filters leave, newest first."""
        bare = call.query.get("includecontext", "").lower() != "true"
        found = [copy.deepcopy(alert) for alert in selected(self._alerts(), call)]
        if bare:
            for alert in found:
                for name in _BARE:
                    alert["properties"].pop(name, None)
        return found

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without what only the rules' engine needs."""
        return {name: value for name, value in resource.items() if not name.startswith("_")}

    def actions(self) -> Mapping[str, Handler]:
        """Change its state; its history, which was a POST once."""
        return {"changestate": self._change_state, "history": self._history}

    def reads(self) -> Mapping[str, Handler]:
        """Its history."""
        return {"history": self._history}

    def _one(self, call: Call) -> JSON:
        found = self._alerts().store.alerts.get(call.id.name.lower())
        if found is None:
            raise missing(call.id)
        return found

    async def _change_state(self, call: Call) -> Answer:
        alert = self._one(call)
        wanted = call.query.get("newstate", "")
        state = next((s for s in STATES if s.lower() == wanted.lower()), None)
        if state is None:
            raise refuse(f"'{wanted}' is not a state: it is {', '.join(STATES)}.", "newState")
        who = str(call.claims.get("oid") or call.claims.get("appid") or "somebody")
        self._alerts().change_state(alert, state, who)
        return await self.show(call, copy.deepcopy(alert))

    async def _history(self, call: Call) -> Answer:
        alert = self._one(call)
        return {
            "id": f"{call.id.text}/history/default",
            "name": "default",
            "type": "Microsoft.AlertsManagement/alerts/history",
            "properties": {
                "alertId": alert["id"].rpartition("/")[2],
                "modifications": copy.deepcopy(alert["_history"]),
            },
        }


def selected(alerts: Alerts, call: Call) -> list[JSON]:
    """The alerts of a request's scope that its filters leave, in its order."""
    query = call.query
    scope = (call.id.scope or "").lower().rstrip("/")
    wide = parse(scope).group is None if scope else True
    span = query.get("timerange", "1d").lower()
    if span not in RANGES:
        raise refuse(f"'{span}' is not a timeRange: it is {', '.join(RANGES)}.", "timeRange")
    since = call.arm.clock.time() - RANGES[span]
    custom = query.get("customtimerange", "")
    found = []
    for alert in alerts.store.alerts.values():
        essentials = alert["properties"]["essentials"]
        target = essentials["targetResource"].lower()
        if not wide and not (target == scope or target.startswith(f"{scope}/")):
            continue
        if not custom and _moment(essentials["lastModifiedDateTime"]) < since:
            continue
        if all(_matches(essentials, name, query[name]) for name in _FILTERS if query.get(name)):
            found.append(alert)
    order = _FILTERS.get(query.get("sortby", "").lower(), query.get("sortby", ""))
    order = order or "lastModifiedDateTime"
    found.sort(
        key=lambda a: str(a["properties"]["essentials"].get(order, "")),
        reverse=query.get("sortorder", "desc").lower() != "asc",
    )
    return found


def _matches(essentials: Mapping[str, Any], name: str, wanted: str) -> bool:
    value = str(essentials.get(_FILTERS[name], "")).lower()
    text = wanted.lower()
    if name == "alertrule":  # its id, or its name
        return value == text or value.rpartition("/")[2] == text
    return value == text


def _moment(text: str) -> float:
    return datetime.fromisoformat(text[:26] + "+00:00").timestamp()
