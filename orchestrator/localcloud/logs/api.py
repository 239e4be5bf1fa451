"""The Log Analytics query API over HTTP.

`/v1/workspaces/{id}/query`, `/v1/{resource id}/query` (POST and GET) and `/v1/$batch`, as
azure-monitor-query, `az rest` and `curl` use them.
https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from orchestrator.localcloud.logs.errors import (
    QueryError,
    invalid_property,
    path_not_found,
    semantic_error,
    workspace_not_found,
)
from orchestrator.localcloud.logs.query import DEFAULT_TIMEOUT, QueryEngine
from orchestrator.localcloud.logs.stream import Authorize
from orchestrator.localcloud.logs.tables import Scope

MAX_BATCH = 100
"""Queries in one batch."""

_WORKSPACE = "/v1/{kind:(?i:workspaces)}/{workspace}/{verb:(?i:query)}"
_RESOURCE = "/v1/{slashes:/*}{resource:(?i:subscriptions)/.+}/{verb:(?i:query)}"
_BATCH = "/v1/{verb:(?i:\\$batch)}"

_WORKSPACE_ID = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.operationalinsights"
    r"/workspaces/[^/]+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Workspace:
    """A Log Analytics workspace.

    Attributes:
        customer_id: Its id in queries, a GUID.
        resource_id: Its id in Resource Manager.
    """

    customer_id: str
    resource_id: str

    @property
    def name(self) -> str:
        return self.resource_id.rstrip("/").rpartition("/")[2]


Workspaces = Callable[[], Iterable[Workspace]]
"""Gives all workspaces there are now."""


@dataclass(frozen=True)
class _Preferences:
    """What the `Prefer` header asks for."""

    timeout: float = DEFAULT_TIMEOUT
    statistics: bool = False
    render: bool = False


Permit = Callable[[Any, Scope], None]
"""(what `authorize` gave, the rows that are asked for)"""


class LogsApi:
    """The handlers.

    Args:
        engine: Runs the queries.
        workspaces: Which workspaces exist.
        authorize: Checks a request's token; what it gives is handed to `permit`.
        permit: Refuses (QueryError) what its holder may not read; everybody may when left out.
    """

    def __init__(
        self,
        engine: QueryEngine,
        workspaces: Workspaces,
        authorize: Authorize,
        permit: Permit = lambda claims, scope: None,
    ) -> None:
        self._engine = engine
        self._workspaces = workspaces
        self._authorize = authorize
        self._permit = permit

    def add_routes(self, app: web.Application) -> None:
        """Add them to the server's HTTPS application, before Resource Manager's routes."""
        for path in (_WORKSPACE, _RESOURCE):
            app.router.add_post(path, self._query)
            app.router.add_get(path, self._query, allow_head=False)
        app.router.add_post(_BATCH, self._batch)

    # Handlers

    async def _query(self, request: web.Request) -> web.Response:
        claims = self._authorize(request)
        try:
            body = _from_url(request) if request.method == "GET" else await _body(request)
            status, answer = await self._answer(
                body,
                request.headers.getall("Prefer", []),
                workspace=request.match_info.get("workspace"),
                resource=request.match_info.get("resource"),
                claims=claims,
            )
        except QueryError as error:
            status, answer = error.status, _json(error.body())
        return _response(status, answer)

    async def _batch(self, request: web.Request) -> web.Response:
        claims = self._authorize(request)
        try:
            body = await _body(request)
            items = body.get("requests")
            if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
                raise invalid_property("requests", "The batch has no list of 'requests'")
            if len(items) > MAX_BATCH:
                raise invalid_property(
                    "requests", f"The batch has {len(items)} queries; {MAX_BATCH} are allowed"
                )
        except QueryError as error:
            return _response(error.status, _json(error.body()))
        answers = await asyncio.gather(*(self._item(item, claims) for item in items))
        return _response(200, b'{"responses":[' + b",".join(answers) + b"]}")

    async def _item(self, item: Mapping[str, Any], claims: Any) -> bytes:
        try:
            if str(item.get("path", "/query")).strip("/").lower() != "query":
                raise path_not_found(str(item.get("path")))
            if not isinstance(item.get("workspace"), str):
                raise invalid_property("workspace", "A query of the batch names no 'workspace'")
            body = item.get("body")
            headers = item.get("headers")
            prefer = [
                str(value)
                for name, value in (headers.items() if isinstance(headers, dict) else ())
                if name.lower() == "prefer"
            ]
            status, answer = await self._answer(
                body if isinstance(body, dict) else {},
                prefer,
                workspace=item["workspace"],
                claims=claims,
            )
        except QueryError as error:
            status, answer = error.status, _json(error.body())
        head = _json({"id": item.get("id"), "status": status, "headers": {}})
        return head[:-1] + b',"body":' + answer + b"}"

    async def _answer(
        self,
        body: Mapping[str, Any],
        prefer: Iterable[str],
        *,
        workspace: str | None = None,
        resource: str | None = None,
        claims: Any = None,
    ) -> tuple[int, bytes]:
        query, timespan = body.get("query"), body.get("timespan")
        if not isinstance(query, str):
            raise invalid_property("query", "The request has no 'query'")
        if timespan is not None and not isinstance(timespan, str):
            raise invalid_property("timespan", "'timespan' is not a string")
        more = body.get("workspaces") or []
        if not isinstance(more, list) or not all(isinstance(name, str) for name in more):
            raise invalid_property("workspaces", "'workspaces' is not a list of strings")
        if workspace is not None:
            scope = self._workspace_scope([workspace, *more])
        else:
            scope = self._resource_scope(f"/{resource}", more)
        self._permit(claims, scope)
        preferences = _preferences(prefer)
        result = await self._engine.execute(
            query,
            timespan=timespan,
            scope=scope,
            timeout=preferences.timeout,
            reach=partial(self._reach, claims),
        )
        return 200, result.json(statistics=preferences.statistics, render=preferences.render)

    # Scopes

    def _reach(self, claims: Any, kind: str, name: str) -> Scope:
        """Whose rows `workspace("name")`, `resource("id")` or `app("name")` means in a query.

        Raises:
            QueryError: 400; it names nothing here, or several. Or what `permit` raises.
        """
        what = f"'{kind}' operator: Failed to resolve {kind} expression named '{name}'"
        if kind == "app":
            raise semantic_error("SEM0100", f"{what}; there is no Application Insights here")
        if kind == "resource":
            if not name.lower().startswith("/subscriptions/"):
                raise semantic_error(
                    "SEM0100", f"{what}; a resource is named by its id, /subscriptions/…"
                )
            scope = self._resource_scope(name, [])
        else:
            named = [one for one in self._workspaces() if one.name.lower() == name.lower()]
            if len(named) > 1:
                raise semantic_error(
                    "SEM0100",
                    f"{what}: {len(named)} workspaces have this name; use the id of one of them",
                )
            try:
                scope = self._workspace_scope([name])
            except QueryError:
                raise semantic_error("SEM0100", what) from None
        self._permit(claims, scope)
        return scope

    def _workspace_scope(self, names: Iterable[str]) -> Scope:
        known: dict[str, str] = {}
        for found in self._workspaces():
            customer = found.customer_id.lower()
            known.setdefault(found.name.lower(), customer)
            known[customer] = known[found.resource_id.rstrip("/").lower()] = customer
        ids = []
        for name in names:
            customer_id = known.get(name.rstrip("/").lower())
            if customer_id is None:
                raise workspace_not_found(name)
            ids.append(customer_id)
        return Scope(workspaces=tuple(dict.fromkeys(ids)))

    def _resource_scope(self, resource: str, more: Iterable[str]) -> Scope:
        """A workspace's own id means its rows; any other id, the rows of what lies below it."""
        if _WORKSPACE_ID.fullmatch(resource.rstrip("/")):
            return self._workspace_scope([resource, *more])
        return Scope(resources=(re.sub("//+", "/", resource).rstrip("/").lower(),))


def _from_url(request: web.Request) -> dict[str, Any]:
    query = request.query
    body: dict[str, Any] = {name: query[name] for name in ("query", "timespan") if name in query}
    if query.get("workspaces"):
        body["workspaces"] = query["workspaces"].split(",")
    return body


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, UnicodeDecodeError):
        raise invalid_property("body", "The request body is not JSON") from None
    if not isinstance(body, dict):
        raise invalid_property("body", "The request body is not a JSON object")
    return body


def _preferences(headers: Iterable[str]) -> _Preferences:
    """Unknown preferences are ignored, as RFC 7240 asks."""
    given = {}
    for part in ",".join(headers).replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        given[name.strip().lower()] = value.strip().strip('"').lower()
    timeout = DEFAULT_TIMEOUT
    try:
        timeout = max(float(given["wait"]), 0.001)
    except (KeyError, ValueError):
        pass
    return _Preferences(
        timeout,
        statistics=given.get("include-statistics") == "true",
        render=given.get("include-render") == "true",
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _response(status: int, body: bytes) -> web.Response:
    response = web.Response(
        status=status, body=body, content_type="application/json", charset="utf-8"
    )
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response
