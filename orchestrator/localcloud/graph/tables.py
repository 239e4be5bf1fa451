"""The tables of Azure Resource Graph, made of what the Resource Manager shows a caller.

Columns and what stands in them: "Azure Resource Graph table and resource type reference". Types and
names of resource groups are in small letters there; an id keeps its case.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from orchestrator.localcloud.arm.access import visible
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import JSON, Call

TEXTS = (
    *("id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId"),
    "managedBy",
)
OBJECTS = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
COLUMNS = (*TEXTS, *OBJECTS)
"""All tables have these; those of `OBJECTS` hold JSON (`dynamic`)."""

_SUBSCRIPTION = "microsoft.resources/subscriptions"
_AUTHORIZATION = "Microsoft.Authorization"


async def _resources(call: Call) -> AsyncIterator[JSON]:
    """Resources in groups, and those in them that have a place of their own."""
    store = call.arm.store
    for record in store.all():
        id = record.id
        if (
            id.group is None
            or parse(id.scope).is_resource
            or not visible(call.arm.access, call, id.text)
        ):
            continue
        kind = call.arm.kind(id)
        resource = record.read()
        if len(id.names) > 1 and "location" not in resource:
            continue
        if (id.namespace or "").lower() in ("", "microsoft.authorization") or (
            # A group's template specs are among its resources, its deployments are not.
            id.type.lower().startswith("microsoft.resources/deployment")
        ):
            continue
        yield await kind.show(_get(call, id.text), resource)


async def _containers(call: Call) -> AsyncIterator[JSON]:
    """Management groups, the subscription, its resource groups."""
    arm = call.arm
    own = f"/subscriptions/{arm.subscription}"
    async for item in _members(call, "/providers/Microsoft.Management/managementGroups"):
        yield item
    if not visible(arm.access, call, own):
        return
    found = (await arm.dispatch(_get(call, own))).body
    yield {
        "id": found["id"],
        "name": found["displayName"],
        "type": _SUBSCRIPTION,
        "tags": found.get("tags"),
        "properties": {
            name: found[name]
            for name in ("state", "subscriptionPolicies", "authorizationSource", "managedByTenants")
        },
    }
    for group in arm.store.of_type("Microsoft.Resources/resourceGroups"):
        if visible(arm.access, call, group["id"]):
            yield group | {"type": f"{_SUBSCRIPTION}/resourcegroups"}


async def _authorization(call: Call) -> AsyncIterator[JSON]:
    """Role assignments and definitions."""
    arm = call.arm
    for record in arm.store.records(f"{_AUTHORIZATION}/roleAssignments"):
        if visible(arm.access, call, record.id.text):
            yield await arm.kind(record.id).show(_get(call, record.id.text), record.read())
    roles = f"/subscriptions/{arm.subscription}/providers/{_AUTHORIZATION}/roleDefinitions"
    async for role in _members(call, roles):
        yield role


async def _members(call: Call, path: str) -> AsyncIterator[JSON]:
    """What a collection shows that the caller may see, each as it is shown alone."""
    collection = _get(call, path)
    kind = call.arm.kind(collection.id)
    for item in await kind.members(collection):
        one = _get(call, item["id"])
        if visible(call.arm.access, call, one.id.text):
            found = await kind.get(one)
            if found is not None:
                yield await kind.show(one, found)


def _get(call: Call, path: str) -> Call:
    return replace(call, method="GET", id=parse(path), body=None, query={})


TABLES: dict[str, Callable[[Call], AsyncIterator[JSON]]] = {
    "resources": _resources,
    "resourcecontainers": _containers,
    "authorizationresources": _authorization,
}
"""Name in small letters (a query may write it in any) -> what is in it, for a caller."""


async def rows(call: Call, table: str) -> list[JSON]:
    """The rows of a table that a caller may see, ordered by id.

    Args:
        call: Of the caller.
        table: One of `TABLES`.
    """
    found = [_row(call, item) async for item in TABLES[table](call)]
    return sorted(found, key=lambda row: str(row["id"]).lower())


def _row(call: Call, item: JSON) -> JSON:
    id = parse(item["id"])
    texts: dict[str, Any] = {
        "id": item["id"],
        "name": item.get("name", id.name),
        "type": str(item["type"]).lower(),
        "tenantId": call.arm.tenant,
        "kind": item.get("kind"),
        "location": item.get("location"),
        "resourceGroup": (id.group or "").lower(),
        "subscriptionId": id.subscription,
        "managedBy": item.get("managedBy"),
    }
    row: JSON = {name: str(value or "") for name, value in texts.items()}
    row |= {name: item[name] for name in OBJECTS if item.get(name) is not None}
    return row


Rows = Callable[[str], Awaitable[list[JSON]]]
"""Gives the rows of a table."""
