"""The activity log over the wire: Microsoft.Insights/eventtypes/management/values.

https://learn.microsoft.com/rest/api/monitor/activity-logs/list
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.access import visible
from orchestrator.localcloud.arm.activity import events, for_filter
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.filters import compile_filter
from orchestrator.localcloud.arm.paging import page
from orchestrator.localcloud.arm.provider import Answer, Call, Handler, Provider

_VALUES = "/providers/Microsoft.Insights/eventtypes/management/values"


class ActivityLog(Provider):
    """The part of Microsoft.Insights that tells what was changed."""

    namespace: ClassVar[str] = "Microsoft.Insights"

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """The log of the subscription, of the tenant; the categories there are."""
        return {
            ("GET", "/subscriptions/{}" + _VALUES): self._values,
            ("GET", _VALUES): self._values,
            ("GET", "/providers/Microsoft.Insights/eventcategories"): self._categories,
        }

    async def _values(self, call: Call) -> Answer:
        """Newest first; `$filter` and `$select` as Azure has them."""
        items = events(call.arm.store, call.arm.clock.time())
        text = call.query.get("$filter", "")
        if call.id.subscription and "eventtimestamp" not in text.lower():
            raise ArmError(
                "BadRequest",
                "The $filter must say from when on: eventTimestamp ge '2026-01-01T00:00:00Z'.",
            )
        keep = compile_filter(text) if text else None
        chosen = [
            event
            for event in items
            if (keep is None or keep(for_filter(event)))
            and visible(call.arm.access, call, event["resourceId"])
        ]
        if names := call.query.get("$select"):
            wanted = {name.strip().lower() for name in names.split(",")} | {"id"}
            chosen = [
                {key: value for key, value in event.items() if key.lower() in wanted}
                for event in chosen
            ]
        query = {name: value for name, value in call.query.items() if name != "$top"}
        return page(chosen, link=f"{call.base}{call.id.text}", query=query)

    async def _categories(self, call: Call) -> Answer:
        names = ("Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy")
        return {"value": [{"value": name, "localizedValue": name} for name in names]}
