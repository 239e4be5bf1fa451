"""Microsoft.Management: management groups, the tenant's root among them, and where the subscription
is put.

The root group has the tenant's id for a name and is there from the start; a group without a parent
lies in it, and so does the subscription until it is moved ("Management groups" REST reference,
2023-04-01). A group is made and deleted by an operation (202), which is over at once here.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from orchestrator.localcloud.arm.access import operation, visible
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.shapes import Shape, check_shape
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.providers.availability import asked_name, available, unavailable

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

GROUPS = "Microsoft.Management/managementGroups"
ROOT_NAME = "Tenant Root Group"
_NAME = re.compile(r"[-\w().]{1,90}")
_DEEPEST = 6
"""Levels below the root ("Hierarchy of management groups")."""


class ManagementGroups(Provider):
    """Microsoft.Management."""

    namespace: ClassVar[str] = "Microsoft.Management"

    def __init__(self) -> None:
        # Two moves that are allowed one by one could make a circle together.
        self._tree = asyncio.Lock()

    def types(self) -> Iterable[ResourceType]:
        """Groups, and the subscriptions in them."""
        return [Groups(self._tree), Subscriptions(self._tree)]

    def actions(self) -> Mapping[str, Handler]:
        """What there is, flat; whether a name is free."""
        return {"getEntities": _entities, "checkNameAvailability": _check_name}


def _id(name: str) -> ResourceId:
    return parse(f"/providers/{GROUPS}/{name}")


def _all(call: Call) -> dict[str, JSON]:
    """Every group by its name in small letters, the root first."""
    tenant = call.arm.tenant
    root: JSON = {
        "id": _id(tenant).text,
        "name": tenant,
        "type": GROUPS,
        "properties": {"displayName": ROOT_NAME},
    }
    found = {tenant.lower(): root}
    for record in call.arm.store.records(GROUPS):
        found[record.id.name.lower()] = record.read()
    return found


def display_name(store: ResourceStore, name: str) -> str:
    """How a group is called; its name, where there is none of it."""
    group = store.get(_id(name))
    return str(_brief(group)["displayName"]) if group else name


def _parent(tenant: str, group: JSON) -> str | None:
    """The name of a group's parent; None for the root."""
    if group["name"].lower() == tenant.lower():
        return None
    details = group["properties"].get("details") or {}
    given = (details.get("parent") or {}).get("id")
    return parse(given).name if given else tenant


def _home(call: Call) -> str:
    """The name, in small letters, of the group that the subscription is in."""
    return _home_in(call.arm.store, call.arm.tenant)


def _home_in(store: ResourceStore, tenant: str) -> str:
    for record in store.records(Subscriptions.type):
        parent = record.id.parent
        assert parent is not None
        return parent.name.lower()
    return tenant.lower()


def scopes_above(store: ResourceStore, tenant: str, scope: str) -> set[str]:
    """The ids, in small letters, of the groups that a scope lies in; that of a group with it."""
    parts = scope.lower().split("/")[1:]
    name: str | None = None
    if parts[:1] == ["subscriptions"]:
        name = _home_in(store, tenant)
    elif parts[:3] == ["providers", *GROUPS.lower().split("/")]:
        name = "".join(parts[3:4])
    found: set[str] = set()
    while name and (id := _id(name)).key not in found:
        found.add(id.key)
        group = store.get(id)
        name = _parent(tenant, group) if group else None
    # A group that has no other parent lies in the root.
    return found | {_id(tenant).key} if found else found


def _ancestors(call: Call, groups: Mapping[str, JSON], group: JSON) -> list[JSON]:
    """From the root down to the group itself."""
    chain: list[JSON] = []
    at: JSON | None = group
    while at is not None and len(chain) <= _DEEPEST + 1:
        chain.insert(0, at)
        above = _parent(call.arm.tenant, at)
        at = groups.get(above.lower()) if above is not None else None
    return chain


def _brief(group: JSON) -> JSON:
    return {
        "id": group["id"],
        "name": group["name"],
        "displayName": group["properties"].get("displayName") or group["name"],
    }


def _children(call: Call, groups: Mapping[str, JSON], name: str, *, deep: bool) -> list[JSON]:
    found: list[JSON] = []
    for item in groups.values():
        above = _parent(call.arm.tenant, item)
        if above is not None and above.lower() == name:
            child = {"type": GROUPS, **_brief(item)}
            if deep:
                child["children"] = _children(call, groups, item["name"].lower(), deep=True)
            found.append(child)
    if _home(call) == name:
        found.append(_subscription(call, "/subscriptions"))
    return found


def _levels(call: Call, groups: Mapping[str, JSON], name: str) -> int:
    """How many levels of groups lie below one."""
    at, levels = {name}, -1
    seen: set[str] = set()
    while at:
        levels += 1
        seen |= at
        at = {
            key
            for key, item in groups.items()
            if key not in seen and (_parent(call.arm.tenant, item) or "").lower() in at
        }
    return levels


def _subscription(call: Call, kind: str) -> JSON:
    own = call.arm.subscription
    name = {"name": own, "displayName": "Local cloud"}
    return {"type": kind, "id": f"/subscriptions/{own}", **name}


class Groups(ResourceType):
    """A management group. `tree`: held by whoever changes what lies where."""

    type: ClassVar[str] = GROUPS
    shape: ClassVar[Shape] = {
        "properties": {"displayName": str, "details": {"parent": {"id": str}}}
    }
    provisioning: ClassVar[bool] = False

    def __init__(self, tree: asyncio.Lock) -> None:
        self._tree = tree

    def always_there(self, arm: ResourceManager, id: ResourceId) -> bool:
        """The root."""
        return id.name.lower() == arm.tenant.lower()

    async def get(self, call: Call) -> JSON | None:
        """One, the root included."""
        return _all(call).get(call.id.name.lower())

    async def members(self, call: Call) -> Iterable[JSON]:
        """All of the tenant that the caller may read."""
        return [
            item | {"properties": {"displayName": _brief(item)["displayName"]}, "brief": True}
            for item in _all(call).values()
            if visible(call.arm.access, call, item["id"])
        ]

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its place in the hierarchy; `$expand=children` asks for what is in it."""
        groups = _all(call)
        properties = resource["properties"]
        shown: JSON = {
            "tenantId": call.arm.tenant,
            "displayName": _brief(resource)["displayName"],
        }
        if not resource.pop("brief", False):
            shown["details"] = self._details(call, groups, resource, properties)
            wanted = {word.strip().lower() for word in call.query.get("$expand", "").split(",")}
            if "children" in wanted:
                deep = call.query.get("$recurse", "").lower() == "true"
                name = resource["name"].lower()
                shown["children"] = _children(call, groups, name, deep=deep)
        resource.pop("systemData", None)
        return resource | {"properties": shown}

    def _details(
        self, call: Call, groups: Mapping[str, JSON], resource: JSON, properties: JSON
    ) -> JSON:
        chain = _ancestors(call, groups, resource)
        details = properties.get("details") or {}
        system = resource.get("systemData") or {}
        shown = {
            "version": details.get("version", 1),
            "updatedTime": system.get("lastModifiedAt", "1970-01-01T00:00:00.0000000Z"),
            "updatedBy": system.get("lastModifiedBy", ""),
            "path": [
                {"name": it["name"], "displayName": _brief(it)["displayName"]} for it in chain
            ],
            "managementGroupAncestors": [it["name"] for it in reversed(chain[:-1])],
            "managementGroupAncestorsChain": [
                {"name": it["name"], "displayName": _brief(it)["displayName"]}
                for it in reversed(chain[:-1])
            ],
        }
        if len(chain) > 1:
            shown["parent"] = _brief(chain[-2])
        return shown

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its name and its parent."""
        name = call.id.name
        if not _NAME.fullmatch(name):
            raise ArmError(
                "InvalidGroupId",
                f"The management group id '{name}' is not valid: 1 to 90 letters, digits and "
                "'-', '_', '(', ')', '.' are.",
            )
        given = resource["properties"]
        before = (old or {}).get("properties", {})
        properties: JSON = {"displayName": given.get("displayName") or before.get("displayName")}
        properties["displayName"] = properties["displayName"] or name
        parent = ((given.get("details") or {}).get("parent") or {}).get("id")
        above = str(parent or ((before.get("details") or {}).get("parent") or {}).get("id") or "")
        version = (before.get("details") or {}).get("version", 0) + 1
        properties["details"] = {"version": version}
        if above:
            properties["details"]["parent"] = {"id": above}
        if name.lower() != call.arm.tenant.lower():
            self._check_parent(call, name, above or _id(call.arm.tenant).text)
        for key in ("displayName", "parentGroupId", "location", "tags"):
            resource.pop(key, None)
        resource["properties"] = properties
        return resource

    def _check_parent(self, call: Call, name: str, parent: str) -> None:
        groups = _all(call)
        found = groups.get(parse(parent).name.lower())
        if found is None:
            raise ArmError(
                "NotFound", f"The parent management group '{parent}' was not found.", 404
            )
        chain = [it["name"].lower() for it in _ancestors(call, groups, found)]
        if name.lower() in chain:
            raise ArmError("BadRequest", f"The management group '{name}' cannot lie below itself.")
        if len(chain) + _levels(call, groups, name.lower()) > _DEEPEST:
            raise ArmError(
                "BadRequest",
                f"A hierarchy of management groups has at most {_DEEPEST} levels below the root.",
            )

    def methods(self) -> Mapping[str, Handler]:
        """PUT and DELETE are operations; a PATCH has a body of its own."""
        return {"PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}

    async def _put(self, call: Call) -> Answer:
        async with self._tree:
            reply = await call.arm.changes.put(call)
        if reply.body["properties"]["details"]["version"] > 1:
            return reply
        operation = call.arm.operations.finished(call.id, result=reply.body)
        await call.arm.store.write(operations=[operation])
        headers = call.arm.operations.location(call, call.id, operation)
        headers |= call.arm.operations.async_operation(call, call.id, operation)
        return Reply(reply.body, 202, reply.headers | headers)

    async def _patch(self, call: Call) -> Answer:
        body = call.object()
        check_shape(body, {"displayName": str, "parentGroupId": str})
        properties: JSON = {}
        if body.get("displayName"):
            properties["displayName"] = body["displayName"]
        if body.get("parentGroupId"):
            properties["details"] = {"parent": {"id": body["parentGroupId"]}}
        call.body = {"properties": properties}
        async with self._tree:
            return await call.arm.changes.patch(call)

    async def _delete(self, call: Call) -> Answer:
        async with self._tree:
            reply = await self._deleted(call)
        if reply.status == 204:
            return reply
        operation = call.arm.operations.finished(call.id)
        await call.arm.store.write(operations=[operation])
        return Reply(None, 202, call.arm.operations.location(call, call.id, operation))

    async def _deleted(self, call: Call) -> Reply:
        groups = _all(call)
        name = call.id.name.lower()
        if name == call.arm.tenant.lower():
            raise ArmError("BadRequest", "The tenant's root management group cannot be deleted.")
        if name in groups and _children(call, groups, name, deep=False):
            raise ArmError(
                "BadRequest",
                f"The management group '{call.id.name}' has children and cannot be deleted: move "
                "or delete them first.",
            )
        return await call.arm.changes.delete(call)

    def reads(self) -> Mapping[str, Handler]:
        """All that is below it."""
        return {"descendants": self._descendants}

    async def _descendants(self, call: Call) -> Answer:
        groups = _all(call)
        found: list[JSON] = []

        def walk(name: str) -> None:
            for child in _children(call, groups, name, deep=False):
                group = child["type"] == GROUPS
                found.append(
                    {
                        "id": child["id"],
                        "name": child["name"],
                        "type": GROUPS if group else f"{GROUPS}/subscriptions",
                        "properties": {
                            "displayName": child["displayName"],
                            "parent": {"id": groups[name]["id"]},
                        },
                    }
                )
                if group:
                    walk(child["name"].lower())

        walk(call.id.name.lower())
        return found


class Subscriptions(ResourceType):
    """The subscription in a group; it is in one at a time. `tree`: as that of `Groups`."""

    type: ClassVar[str] = f"{GROUPS}/subscriptions"
    stored: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False

    def __init__(self, tree: asyncio.Lock) -> None:
        self._tree = tree

    async def get(self, call: Call) -> JSON | None:
        """It, where it is."""
        own = call.id.name.lower() == call.arm.subscription.lower()
        parent = call.id.parent
        if not own or parent is None or parent.name.lower() != _home(call):
            return None
        return self._shown(call, parent)

    async def members(self, call: Call) -> Iterable[JSON]:
        """What is in a group."""
        parent = call.id.parent
        return [self._shown(call, parent)] if parent and parent.name.lower() == _home(call) else []

    def _shown(self, call: Call, parent: ResourceId) -> JSON:
        own = call.arm.subscription
        return {
            "id": parent.child("subscriptions", own).text,
            "name": own,
            "type": self.type,
            "properties": {
                "tenant": call.arm.tenant,
                "displayName": "Local cloud",
                "parent": {"id": parent.text},
                "state": "Active",
            },
        }

    def methods(self) -> Mapping[str, Handler]:
        """PUT moves it here, DELETE back to the root."""
        return {"PUT": self._put, "DELETE": self._delete}

    async def _put(self, call: Call) -> Answer:
        if call.id.name.lower() != call.arm.subscription.lower():
            raise ArmError(
                "SubscriptionNotFound",
                f"The subscription '{call.id.name}' could not be found.",
                404,
            )
        parent = call.id.parent
        assert parent is not None
        async with self._tree:
            if parent.name.lower() not in _all(call):  # deleted meanwhile
                raise missing(parent)
            shown = self._shown(call, parent)
            known = [record.id for record in call.arm.store.records(self.type)]
            gone = [id for id in known if id.key != call.id.key]
            put = [(call.id, shown, secrets.token_hex(8))]
            await call.arm.store.write(put=put, delete=gone)
        return shown

    async def _delete(self, call: Call) -> Answer:
        async with self._tree:
            if await self.get(call) is None:
                return Reply(None, 204)
            gone = [record.id for record in call.arm.store.records(self.type)]
            await call.arm.store.write(delete=gone)
        return Reply(None, 200)


async def _entities(call: Call) -> Answer:
    """Groups and subscriptions, flat, as far as the caller may see them."""
    groups = _all(call)
    home = groups.get(_home(call), groups[call.arm.tenant.lower()])
    found = [_entity(call, groups, item, GROUPS, item) for item in groups.values()]
    own = _subscription(call, "/subscriptions")
    plain = {"id": own["id"], "name": own["name"]}
    plain["properties"] = {"displayName": own["displayName"]}
    found.append(_entity(call, groups, plain, "/subscriptions", home))
    return [item for item in found if item["properties"]["permissions"] != "noaccess"]


def _permission(call: Call, id: str | None) -> str:
    """The most that the caller may do: `noaccess`, `view`, `edit` or `delete`."""
    access = call.arm.access
    if access is None or id is None:
        return "delete" if access is None else "noaccess"
    if not visible(access, call, id):
        return "noaccess"
    who = str(call.claims.get("oid", ""))
    for method, word in (("DELETE", "delete"), ("PUT", "edit")):
        action, _ = operation(method, parse(id))
        if access.allows(who, action, id):
            return word
    return "view"


def _entity(call: Call, groups: Mapping[str, JSON], item: JSON, kind: str, group: JSON) -> JSON:
    chain = _ancestors(call, groups, group)
    above = chain[:-1] if kind == GROUPS else chain
    below = _children(call, groups, item["name"].lower(), deep=True) if kind == GROUPS else []
    return {
        "id": item["id"],
        "name": item["name"],
        "type": kind,
        "properties": {
            "tenantId": call.arm.tenant,
            "displayName": _brief(item)["displayName"],
            "parent": {"id": above[-1]["id"] if above else None},
            "permissions": _permission(call, item["id"]),
            "inheritedPermissions": _permission(call, above[-1]["id"] if above else item["id"]),
            "numberOfDescendants": _count(below),
            "numberOfChildren": len(below),
            "numberOfChildGroups": sum(child["type"] == GROUPS for child in below),
            "parentDisplayNameChain": [_brief(it)["displayName"] for it in above],
            "parentNameChain": [it["name"] for it in above],
        },
    }


def _count(below: Iterable[JSON]) -> int:
    return sum(1 + _count(child.get("children", ())) for child in below)


async def _check_name(call: Call) -> Answer:
    name = asked_name(call)
    if not _NAME.fullmatch(name):
        message = "1 to 90 letters, digits and '-', '_', '(', ')', '.' make a name."
        return unavailable("Invalid", message)
    if name.lower() in _all(call):
        return unavailable("AlreadyExists", "The group with the specified name already exists")
    return available()
