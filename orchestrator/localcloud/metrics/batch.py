"""The metrics data plane: one question about many resources.

`POST /subscriptions/{s}/metrics:getBatch` at a region's metrics endpoint, as
azure-monitor-querymetrics and the other SDKs' metrics clients use it.
https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.metrics.question import bad
from orchestrator.localcloud.metrics.room import Metrics

PATH = "/subscriptions/{subscription}/{verb:(?i:metrics(:|%3A)getBatch)}"
MOST = 50
"""Resources in one batch."""

Authorize = Callable[[web.Request], object]


class MetricsBatch:
    """The handler.

    Args:
        metrics: Answers.
        store: Knows the resources.
        subscription: This local cloud's.
        authorize: Checks a request's token.
    """

    def __init__(
        self, metrics: Metrics, store: ResourceStore, subscription: str, authorize: Authorize
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._subscription = subscription
        self._authorize = authorize

    def add_routes(self, app: web.Application) -> None:
        """Add it to the server's HTTPS application, before Resource Manager's routes."""
        app.router.add_post(PATH, self._batch)

    async def _batch(self, request: web.Request) -> web.Response:
        self._authorize(request)
        query = {name.lower(): value for name, value in request.query.items()}
        if "filter" in query and "$filter" not in query:
            query["$filter"] = query.pop("filter")
        namespace = query.get("metricnamespace", "")
        if not namespace or not query.get("metricnames", ""):
            raise bad("A batch names its metricnamespace and its metricnames.")
        values = []
        for resource in self._resources(await _ids(request), request.match_info["subscription"]):
            if resource.type.lower() != namespace.lower():
                raise bad(f"'{resource.text}' has no metric namespace '{namespace}'.")
            answer = await self._metrics.answer(resource, query)
            start, _, end = answer["timespan"].partition("/")
            values.append(
                {
                    "starttime": start,
                    "endtime": end,
                    "interval": answer["interval"],
                    "namespace": answer["namespace"],
                    "resourceregion": answer["resourceregion"],
                    "resourceid": resource.text,
                    "value": answer["value"],
                }
            )
        return web.json_response({"values": values})

    def _resources(self, ids: list[str], subscription: str) -> list[ResourceId]:
        found = []
        for text in ids:
            resource = parse(text)
            if (resource.subscription or "").lower() != subscription.lower():
                raise bad(f"'{text}' is not in the subscription {subscription}.")
            if self._store.record(resource) is None:
                raise missing(resource)
            found.append(resource)
        return found


async def _ids(request: web.Request) -> list[str]:
    try:
        body: Any = json.loads(await request.read())
        ids = body["resourceids"]
    except (ValueError, KeyError, TypeError):
        raise ArmError(
            "BadRequest", 'The body of a batch is {"resourceids": ["/subscriptions/…", …]}.'
        ) from None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or not ids:
        raise bad("'resourceids' is a list of resource ids.")
    if len(ids) > MOST:
        raise bad(f"A batch has {len(ids)} resources; {MOST} are allowed.")
    return ids
