"""The other end of private endpoints: `privateEndpointConnections` and `privateLinkResources`.

A connection is one thing seen from two sides. The endpoint has it in its lists, and that is where
it is kept; the resource it leads to shows it under its own id, and may approve, reject or remove
it ("Manage private endpoint connections").
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Reply, ResourceType
from orchestrator.localcloud.arm.shapes import check_shape
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import stable_guid

ENDPOINTS = "Microsoft.Network/privateEndpoints"
LISTS = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")
_SERVICE_BUS = "Microsoft.ServiceBus/namespaces"
_GONE = "Disconnected"
_STATES = ("Pending", "Approved", "Rejected", _GONE)

# Type -> (group id, its members, its zone): "Azure Private Endpoint private DNS zone values".
_GROUPS: Mapping[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    _SERVICE_BUS: (("namespace", ("namespace",), "privatelink.servicebus.windows.net"),),
    "Microsoft.ContainerRegistry/registries": (
        ("registry", ("registry", "registry_data_{location}"), "privatelink.azurecr.io"),
    ),
    "Microsoft.KeyVault/vaults": (("vault", ("default",), "privatelink.vaultcore.azure.net"),),
    "Microsoft.App/managedEnvironments": (
        (
            "managedEnvironments",
            ("managedEnvironments",),
            "privatelink.{location}.azurecontainerapps.io",
        ),
    ),
    "Microsoft.Storage/storageAccounts": tuple(
        (group, (group,), f"privatelink.{group}.core.windows.net")
        for group in ("blob", "table", "queue", "file", "web", "dfs")
    ),
}


_PREMIUM = (_SERVICE_BUS, "Microsoft.ContainerRegistry/registries")


def link_types() -> list[ResourceType]:
    """The two collections below each resource type that private endpoints lead to."""
    made: list[ResourceType] = []
    for owner in _GROUPS:
        for base in (_Connections, _LinkResources):
            kind = f"{owner}/{base.collection}"
            made.append(type(base.__name__, (base,), {"type": kind, "__doc__": base.__doc__})())
    return made


def connections_of(store: ResourceStore, target: ResourceId) -> list[JSON]:
    """The connections to a resource, as it shows them."""
    return [_shown(target, id, item) for id, _, item in _found(store, target)]


def check_target(store: ResourceStore, target: ResourceId, groups: Sequence[str]) -> None:
    """See to it that a resource takes private endpoints, and those of these groups.

    Service Bus and registries take them in the tier Premium alone ("Allow access to Azure Service
    Bus namespaces via private endpoints", "Connect privately to a registry").

    Raises:
        ArmError: 400.
    """
    owner = next((it for it in _GROUPS if it.lower() == target.type.lower()), None)
    resource = store.get(target)
    if owner is None or resource is None:
        return
    tier = str((resource.get("sku") or {}).get("name", ""))
    if owner in _PREMIUM and tier != "Premium":
        raise _refused(
            owner,
            f"Private endpoints are supported in the tier Premium alone; '{target.name}' is "
            f"{tier}.",
        )
    known = {group.lower(): group for group, _, _ in _GROUPS[owner]}
    for group in groups:
        if group.lower().removesuffix("_secondary") not in known:
            names = ", ".join(known.values())
            raise _refused(owner, f"The group id '{group}' is not valid: it is one of {names}.")


def _refused(owner: str, why: str) -> ArmError:
    return ArmError("BadRequest", f"Call to {owner} failed. Error message: {why}")


def _found(store: ResourceStore, target: ResourceId) -> Iterator[tuple[ResourceId, JSON, JSON]]:
    """Each connection to `target`: its endpoint's id and body, and itself."""
    for record in store.records(ENDPOINTS):
        endpoint = record.read()
        for name in LISTS:
            for item in endpoint["properties"].get(name, []):
                inner = item["properties"]
                wanted = str(inner.get("privateLinkServiceId", "")).lower()
                if wanted == target.key and _state(item)["status"] != _GONE:
                    yield record.id, endpoint, item


def _state(item: JSON) -> JSON:
    found: JSON = item["properties"]["privateLinkServiceConnectionState"]
    return found


def _name(target: ResourceId, endpoint: ResourceId, item: JSON) -> str:
    mark = stable_guid(target.key, endpoint.key, item["name"].lower())
    return mark if target.type.lower() == _SERVICE_BUS.lower() else f"{endpoint.name}.{mark}"


def _shown(target: ResourceId, endpoint: ResourceId, item: JSON) -> JSON:
    id = target.child("privateEndpointConnections", _name(target, endpoint, item))
    inner = item["properties"]
    return {
        "id": id.text,
        "name": id.name,
        "type": f"{target.type}/privateEndpointConnections",
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpoint": {"id": endpoint.text},
            "groupIds": list(inner.get("groupIds") or []),
            "privateLinkServiceConnectionState": dict(_state(item)),
        },
    }


def _parent(call: Call) -> ResourceId:
    parent = call.id.parent
    assert parent is not None
    record = call.arm.store.record(parent)
    return record.id if record else parent


class _Connections(ResourceType):
    """The private endpoint connections of a resource."""

    collection: ClassVar[str] = "privateEndpointConnections"
    type: ClassVar[str] = ""
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """One of them."""
        shown = connections_of(call.arm.store, _parent(call))
        return next((it for it in shown if it["name"].lower() == call.id.name.lower()), None)

    async def members(self, call: Call) -> Iterable[JSON]:
        """All of a resource."""
        return connections_of(call.arm.store, _parent(call))

    def methods(self) -> Mapping[str, Handler]:
        """They are made by endpoints; here they are answered."""
        return {"PUT": self._put, "DELETE": self._delete}

    async def _put(self, call: Call) -> Answer:
        body = call.object()
        check_shape(body, {"properties": {"privateLinkServiceConnectionState": {"status": str}}})
        given = (body.get("properties") or {}).get("privateLinkServiceConnectionState")
        word = str(given.get("status", "")) if isinstance(given, dict) else ""
        status = next((it for it in _STATES if it.lower() == word.lower()), None)
        if status is None or not isinstance(given, dict):
            raise ArmError(
                "BadRequest",
                "'properties.privateLinkServiceConnectionState.status' must be one of "
                f"{', '.join(_STATES)}.",
                target="properties.privateLinkServiceConnectionState",
            )
        description = str(given.get("description") or "")

        def answer(state: JSON) -> None:
            state |= {"status": status, "description": description, "actionsRequired": "None"}

        shown = await self.get(call)
        if shown is None or not await self._change(call, answer):
            raise missing(call.id)
        answer(shown["properties"]["privateLinkServiceConnectionState"])
        return shown

    async def _delete(self, call: Call) -> Answer:
        def end(state: JSON) -> None:
            state["status"] = _GONE

        return Reply(None, 200 if await self._change(call, end) else 204)

    async def _change(self, call: Call, change: Callable[[JSON], None]) -> bool:
        """Change the state of the connection, where its endpoint has it; whether it is there."""
        target = _parent(call)
        for endpoint, _, item in _found(call.arm.store, target):
            if _name(target, endpoint, item).lower() != call.id.name.lower():
                continue
            async with call.arm.changes.turn(endpoint):
                for id, body, fresh in _found(call.arm.store, target):
                    if id.key == endpoint.key and fresh["name"] == item["name"]:
                        change(_state(fresh))
                        await call.arm.store.write(put=[(id, body, secrets.token_hex(8))])
                        return True
        return False


class _LinkResources(ResourceType):
    """What of a resource a private endpoint can lead to."""

    collection: ClassVar[str] = "privateLinkResources"
    type: ClassVar[str] = ""
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """One group."""
        return next(
            (it for it in self._groups(call) if it["name"].lower() == call.id.name.lower()), None
        )

    async def members(self, call: Call) -> Iterable[JSON]:
        """All groups."""
        return self._groups(call)

    def _groups(self, call: Call) -> list[JSON]:
        target = _parent(call)
        resource = call.arm.store.get(target)
        if resource is None:
            return []
        location = resource.get("location", "")
        owner = self.type.rpartition("/")[0]
        return [
            {
                "id": target.child(self.collection, group).text,
                "name": group,
                "type": self.type,
                "properties": {
                    "groupId": group,
                    "requiredMembers": [member.format(location=location) for member in members],
                    "requiredZoneNames": [zone.format(location=location)],
                },
            }
            for group, members, zone in _GROUPS[owner]
        ]
