"""Subscriptions, tenants, resource groups and what Resource Manager itself says about them.

The resource-group operations follow Microsoft.Resources 2021-04-01 and later: PUT 201 or 200,
HEAD 204 or 404, DELETE 202 with `Location`, with all it contains.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from orchestrator.localcloud.arm.access import visible
from orchestrator.localcloud.arm.changes import DELETING, READ_ONLY, check_tags
from orchestrator.localcloud.arm.content import merge, strip_nulls
from orchestrator.localcloud.arm.errors import ArmError, group_not_found
from orchestrator.localcloud.arm.filters import compile_filter
from orchestrator.localcloud.arm.ids import ResourceId, group_id, parse
from orchestrator.localcloud.arm.paging import page
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.providers.catalogue import LOCATIONS
from orchestrator.localcloud.providers.moves import move, validate_move
from orchestrator.localcloud.providers.registrations import (
    check_registered,
    provider,
    providers,
    register,
    resource_types,
    unregister,
)
from orchestrator.localcloud.providers.reserved_names import check_resource_name
from orchestrator.localcloud.providers.tag_names import tag_name_routes
from orchestrator.localcloud.providers.tags import Tags, subscription_tags

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_GROUP_NAME = re.compile(r"[-\w._()]{1,90}")
_DELETE_GROUP = "delete resource group"
_GROUP = "/subscriptions/{}/resourceGroups/{}"


class Resources(Provider):
    """Microsoft.Resources, without deployments (they have a house of their own)."""

    namespace: ClassVar[str] = "Microsoft.Resources"

    def types(self) -> Iterable[ResourceType]:
        """Tags."""
        return [Tags()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Everything that lies outside the pattern of resource ids."""
        return {
            ("GET", "/subscriptions"): self._subscriptions,
            ("GET", "/subscriptions/{}"): self._subscription,
            ("GET", "/tenants"): self._tenants,
            ("GET", "/subscriptions/{}/locations"): self._locations,
            ("GET", "/providers"): providers,
            ("GET", "/providers/{}"): provider,
            ("GET", "/subscriptions/{}/providers"): providers,
            ("GET", "/subscriptions/{}/providers/{}"): provider,
            ("GET", "/subscriptions/{}/providers/{}/resourceTypes"): resource_types,
            ("POST", "/subscriptions/{}/providers/{}/register"): register,
            ("POST", "/subscriptions/{}/providers/{}/unregister"): unregister,
            ("GET", "/subscriptions/{}/resources"): self._list,
            ("GET", f"{_GROUP}/resources"): self._list,
            **tag_name_routes(),
            ("POST", f"{_GROUP}/moveResources"): move,
            ("POST", f"{_GROUP}/validateMoveResources"): validate_move,
            ("GET", "/subscriptions/{}/resourceGroups"): self._groups,
            ("GET", _GROUP): self._get_group,
            ("PUT", _GROUP): self._put_group,
            ("PATCH", _GROUP): self._patch_group,
            ("DELETE", _GROUP): self._delete_group,
        }

    def actions(self) -> Mapping[str, Handler]:
        """`checkResourceName`."""
        return {"checkResourceName": check_resource_name}

    def admit(self, call: Call) -> None:
        """Refuse what the subscription is not registered for."""
        check_registered(call)

    async def resume(self, arm: ResourceManager) -> None:
        """Go on deleting the resource groups whose deletion a server's end has interrupted."""
        for record in arm.operations.unfinished(_DELETE_GROUP):
            group = parse(record["resource"])
            call = Call("DELETE", group, arm)
            arm.operations.resume(record, partial(arm.changes.empty_group, call, group))

    # ---------------------------------------------- subscriptions and tenants ----

    def _own_subscription(self, call: Call) -> JSON:
        tags = subscription_tags(call.arm.store, call.arm.subscription)
        return ({"tags": tags} if tags else {}) | {
            "id": f"/subscriptions/{call.arm.subscription}",
            "subscriptionId": call.arm.subscription,
            "tenantId": call.arm.tenant,
            "displayName": "Local cloud",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    async def _subscriptions(self, call: Call) -> Answer:
        own = self._own_subscription(call)
        return [own] if visible(call.arm.access, call, own["id"]) else []

    async def _subscription(self, call: Call) -> Answer:
        return self._own_subscription(call)

    async def _tenants(self, call: Call) -> Answer:
        tenant = call.arm.tenant
        return [
            {
                "id": f"/tenants/{tenant}",
                "tenantId": tenant,
                "displayName": "Local cloud",
                "countryCode": "",
                "defaultDomain": "localhost",
                "domains": ["localhost"],
                "tenantCategory": "Home",
            }
        ]

    async def _locations(self, call: Call) -> Answer:
        base = f"/subscriptions/{call.arm.subscription}/locations"
        return [
            {
                "id": f"{base}/{name}",
                "name": name,
                "type": "Region",
                "displayName": display,
                "regionalDisplayName": display,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
            for name, display in LOCATIONS.items()
        ]

    # ------------------------------------------------------------- resources ----

    async def _list(self, call: Call) -> Answer:
        if call.id.group is not None:
            _group(call)
            scope = group_id(call.arm.subscription, call.id.group)
        else:
            scope = ResourceId(f"/subscriptions/{call.arm.subscription}")
        prefix = scope.key + "/"
        found = []
        for record in call.arm.store.all():
            id = record.id
            # Top-level tracked resources only, as Azure's list has it.
            if len(id.names) != 1 or id.group is None or not record.id.key.startswith(prefix):
                continue
            if parse(id.scope).is_resource or _is_own(id):
                continue
            if not visible(call.arm.access, call, id.text):
                continue
            resource = record.read()
            found.append(
                {
                    name: resource[name]
                    for name in (
                        *("id", "name", "type", "location", "tags", "kind", "sku", "plan"),
                        *("identity", "managedBy"),
                    )
                    if name in resource
                }
                | _expanded(resource, call.query.get("$expand", ""))
            )
        return await _filtered(call, found, _RESOURCE_NAMES)

    # ------------------------------------------------------- resource groups ----

    async def _groups(self, call: Call) -> Answer:
        groups = [
            group
            for group in call.arm.store.of_type("Microsoft.Resources/resourceGroups")
            if visible(call.arm.access, call, group["id"])
        ]
        return await _filtered(call, groups, _GROUP_NAMES)

    async def _get_group(self, call: Call) -> Answer:
        group = _group(call)
        return Reply(None, 204) if call.method == "HEAD" else group

    async def _put_group(self, call: Call) -> Answer:
        body = strip_nulls(call.object())
        async with call.arm.changes.turn(call.id):
            return await self._keep(call, body, call.arm.store.get(call.id))

    async def _patch_group(self, call: Call) -> Answer:
        async with call.arm.changes.turn(call.id):
            old = _group(call)
            given = call.object()
            body = merge(old, given)
            if given.get("tags") is not None:
                # What is not given stays as it is; tags that are given are all there are then.
                body["tags"] = strip_nulls(given["tags"])
            return await self._keep(call, body, old)

    async def _keep(self, call: Call, body: JSON, old: JSON | None) -> Reply:
        name = str(call.id.group)
        if old is None and (not _GROUP_NAME.fullmatch(name) or name.endswith(".")):
            raise ArmError(
                "InvalidResourceGroup",
                f"The provided resource group name '{name}' has these invalid characters or this "
                "length: only letters, digits, '_', '-', '.', '(' and ')' are allowed, at most 90, "
                "and it cannot end with '.'.",
            )
        if old is not None and old["properties"]["provisioningState"] == DELETING:
            raise ArmError(
                "ResourceGroupBeingDeleted",
                f"The resource group '{name}' is in deprovisioning state and cannot perform this "
                "operation.",
                409,
            )
        location = body.get("location", old["location"] if old else None)
        if not isinstance(location, str) or not location.strip():
            raise ArmError(
                "LocationRequired", "The location property is required for this definition."
            )
        location = location.replace(" ", "").lower()
        if old is not None and old["location"] != location:
            raise ArmError(
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists "
                f"in location '{old['location']}'.",
                409,
            )
        if old is None:
            call.arm.require_region(location, "resource group")
        check_tags(body.get("tags", {}))
        id = parse(old["id"]) if old else group_id(call.arm.subscription, name)
        group: JSON = {
            "id": id.text,
            "name": id.group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
        }
        for key, value in body.items():
            if key not in READ_ONLY and key not in ("location", "properties"):
                group[key] = value
        group["properties"] = {"provisioningState": "Succeeded"}
        await call.arm.store.write(put=[(id, group, secrets.token_hex(8))])
        return Reply(group, 200 if old else 201)

    async def _delete_group(self, call: Call) -> Answer:
        arm = call.arm
        async with arm.changes.turn(call.id):
            group = _group(call)
            id = parse(group["id"])
            for record in arm.operations.unfinished(_DELETE_GROUP):
                if parse(record["resource"]).key == id.key:
                    return Reply(None, 202, arm.operations.location(call, id, record))
            group["properties"]["provisioningState"] = DELETING
            await arm.store.write(put=[(id, group, secrets.token_hex(8))])
            inner = replace(call, id=id)
        record = await arm.operations.start(
            id, _DELETE_GROUP, partial(arm.changes.empty_group, inner, id)
        )
        return Reply(None, 202, arm.operations.location(call, id, record))


def _is_own(id: ResourceId) -> bool:
    """Deployments lie in a group, but are none of its resources."""
    return (id.namespace or "").lower() == "microsoft.resources"


def _group(call: Call) -> JSON:
    group = call.arm.store.get(group_id(call.arm.subscription, str(call.id.group)))
    if group is None:
        raise group_not_found(str(call.id.group))
    return group


def _expanded(resource: JSON, wanted: str) -> JSON:
    """`$expand=createdTime,changedTime,provisioningState` of the list of resources."""
    names = {name.strip().lower() for name in wanted.split(",")}
    system = resource.get("systemData", {})
    found = {}
    if "createdtime" in names and "createdAt" in system:
        found["createdTime"] = system["createdAt"]
    if "changedtime" in names and "lastModifiedAt" in system:
        found["changedTime"] = system["lastModifiedAt"]
    if "provisioningstate" in names:
        state = resource.get("properties", {}).get("provisioningState", "Succeeded")
        found["provisioningState"] = state
    return found


# What the lists can be filtered by ("Resources - List" and "Resource Groups - List" of the Resource
# Manager REST reference).
_GROUP_NAMES = ("tagname", "tagvalue", "name", "location")
_RESOURCE_NAMES = (
    *("resourcetype", "name", "resourcegroup", "location", "tagname", "tagvalue"),
    *("identity", "identity/principalid", "plan", "plan/publisher", "plan/product", "plan/name"),
    *("plan/version", "plan/promotioncode", "createdtime", "changedtime", "provisioningstate"),
)
_LOCATION = re.compile(r"(\blocation\s+(?:eq|ne)\s+)'([^']*)'", re.IGNORECASE)


async def _filtered(call: Call, items: list[JSON], names: Collection[str]) -> Reply:
    """A list of Resource Manager's own, by its `$filter`.

    `tagName` and `tagValue` are those of one tag: a resource is in the list when one of its tags
    makes the filter true. A region may be written as it is displayed.
    """
    text = call.query.get("$filter", "")
    if not text.strip():
        return await call.arm.answer(call, items)
    text = _LOCATION.sub(lambda m: f"{m[1]}'{m[2].replace(' ', '')}'", text)
    keep = compile_filter(text, names)

    def kept(item: JSON) -> bool:
        tags = item.get("tags") or {None: None}
        return any(
            keep(item if name is None else item | {"tagName": name, "tagValue": value})
            for name, value in tags.items()
        )

    chosen = [item for item in items if kept(item)]
    # The filter has done its work; the link to the next page keeps it.
    body = page(chosen, link=f"{call.base}{call.id.text}", query=call.query, top_is_page=True)
    return Reply(body)
