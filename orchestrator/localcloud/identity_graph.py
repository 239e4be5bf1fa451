"""Microsoft Graph, as far as clients of Resource Manager call it.

`az role assignment create --assignee`, `az containerapp job create --registry-identity` and
`az ad … show` look a principal up before they do anything. Read-only: who there is follows from the
resources. https://learn.microsoft.com/graph/api/overview
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.filters import compile_filter
from orchestrator.localcloud.arm.http import authenticate
from orchestrator.localcloud.identity import ARM_AUDIENCES, GRAPH_AUDIENCES, Identity
from orchestrator.localcloud.identity_directory import (
    APPLICATION,
    DOMAIN,
    SERVICE_PRINCIPAL,
    USER,
    Directory,
    Object,
)

_ANY = re.compile(r"(\w+)/any\(\s*(\w+)\s*:\s*\2\s+eq\s+('(?:[^']|'')*')\s*\)", re.IGNORECASE)
_COLLECTIONS = {
    "users": USER,
    "serviceprincipals": SERVICE_PRINCIPAL,
    "applications": APPLICATION,
    "groups": "#microsoft.graph.group",
    "directoryobjects": "",
}
_BY_APP_ID = re.compile(r"(\w+)\(appId='([^']*)'\)", re.IGNORECASE)
MAX_IDS = 1000


class Graph:
    """Answers below `/v1.0/` (and `/beta/`) of the HTTPS port."""

    def __init__(self, identity: Identity, directory: Directory) -> None:
        self._identity = identity
        self._directory = directory

    def add_routes(self, app: web.Application) -> None:
        """Put Graph on `app`."""
        for version in ("v1.0", "beta"):
            app.router.add_route("*", f"/{version}/{{path:.*}}", self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            authenticate(self._identity, request, (*GRAPH_AUDIENCES, *ARM_AUDIENCES))
            return web.json_response(await self._answer(request))
        except ArmError as error:
            return web.json_response(
                {"error": {"code": error.code, "message": error.message, "innerError": {}}},
                status=error.status,
                headers=error.headers,
            )

    async def _answer(self, request: web.Request) -> Any:
        parts = [part for part in request.match_info["path"].split("/") if part]
        words = [part.lower() for part in parts]
        if request.method == "POST" and words[-1:] == ["getbyids"]:
            return await self._by_ids(request)
        if request.method == "POST" and words[-1:] in (["getmembergroups"], ["getmemberobjects"]):
            return {"value": []}
        if request.method != "GET":
            raise ArmError(
                "Authorization_RequestDenied",
                "The local cloud's directory follows from its resources; it cannot be changed "
                "through Microsoft Graph.",
                403,
            )
        if words == ["me"]:
            return _bare(self._directory.me())
        if words == ["organization"]:
            return {"value": [self._organization()]}
        if words and (named := _BY_APP_ID.fullmatch(parts[0])):
            parts, words = [named[1]], [named[1].lower()]
            return self._one(words[0], lambda it: it.get("appId") == named[2], named[2])
        kind = _COLLECTIONS.get(words[0]) if words else None
        if kind is None or len(parts) > 3:
            raise ArmError(
                "BadRequest",
                f"Resource not found for the segment '{parts[0] if parts else ''}'.",
                400,
            )
        if len(parts) == 1:
            return self._list(request, kind)
        wanted = words[1]
        found = self._one(
            words[0],
            lambda it: (
                it["id"].lower() == wanted or str(it.get("userPrincipalName")).lower() == wanted
            ),
            parts[1],
        )
        if len(parts) == 3:
            # memberOf, owners, appRoleAssignments: there are none.
            return {"value": []}
        return found

    def _organization(self) -> Object:
        return {
            "id": self._identity.tenant,
            "displayName": "Local cloud",
            "verifiedDomains": [{"name": DOMAIN, "isDefault": True, "isInitial": True}],
        }

    def _list(self, request: web.Request, kind: str) -> Object:
        items = [it for it in self._directory.objects() if it["@odata.type"] == kind or not kind]
        if text := request.query.get("$filter"):
            items = [it for it in items if _matches(text)(it)]
        top = request.query.get("$top", "")
        if top.isdigit():
            items = items[: int(top)]
        return {"value": [_bare(it) for it in items]}

    def _one(self, collection: str, test: Callable[[Object], bool], name: str) -> Object:
        kind = _COLLECTIONS.get(collection)
        for item in self._directory.objects():
            if (not kind or item["@odata.type"] == kind) and test(item):
                return item if not kind else _bare(item)
        raise ArmError(
            "Request_ResourceNotFound",
            f"Resource '{name[:100]}' does not exist or one of its queried reference-property "
            "objects are not present.",
            404,
        )

    async def _by_ids(self, request: web.Request) -> Object:
        try:
            body = await request.json()
            wanted = [str(item).lower() for item in body["ids"]]
        except (ValueError, KeyError, TypeError):
            raise ArmError(
                "Request_BadRequest", "'ids' must be a list of object ids.", 400
            ) from None
        if len(wanted) > MAX_IDS:
            raise ArmError("Request_BadRequest", f"At most {MAX_IDS} ids can be asked for.", 400)
        kinds = {f"#microsoft.graph.{name}".lower() for name in body.get("types") or ()}
        kinds.discard("#microsoft.graph.directoryobject")
        return {
            "value": [
                item
                for item in self._directory.objects()
                if item["id"].lower() in wanted
                and (not kinds or item["@odata.type"].lower() in kinds)
            ]
        }


def _matches(text: str) -> Callable[[Object], bool]:
    """A `$filter`, with the one form of `any` that clients use."""
    return compile_filter(_ANY.sub(r"has(\1, \3)", text))


def _bare(item: Object) -> Object:
    return {key: value for key, value in item.items() if key != "@odata.type"}
