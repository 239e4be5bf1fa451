"""Private DNS zones (Microsoft.Network): record sets and links to networks.

Kept as the service keeps them; nobody resolves them here. Names, limits and the SOA record are
those of the REST reference of Private DNS (2024-06-01).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from orchestrator.localcloud.arm.content import merge
from orchestrator.localcloud.arm.entity_tags import tagged
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Reply, ResourceType
from orchestrator.localcloud.arm.store import Record
from orchestrator.localcloud.providers.embedded import existing, group_deleting

ZONES = "Microsoft.Network/privateDnsZones"
LINKS = f"{ZONES}/virtualNetworkLinks"
_LINK = "virtualnetworklinks"
_RECORDS: Mapping[str, str] = {
    # type of record set: where its records are
    "A": "aRecords",
    "AAAA": "aaaaRecords",
    "CNAME": "cnameRecord",
    "MX": "mxRecords",
    "PTR": "ptrRecords",
    "SOA": "soaRecord",
    "SRV": "srvRecords",
    "TXT": "txtRecords",
}
_SOA: JSON = {
    "host": "azureprivatedns.net",
    "email": "azureprivatedns-host.microsoft.com",
    "serialNumber": 1,
    "refreshTime": 3600,
    "retryTime": 300,
    "expireTime": 2419200,
    "minimumTtl": 10,
}


def dns_types() -> list[ResourceType]:
    """Zones, links, and a type for each kind of record set."""
    made: list[ResourceType] = [PrivateDnsZones(), PrivateDnsLinks()]
    for name in _RECORDS:
        base = _Authority if name == "SOA" else _RecordSets
        kind = {"type": f"{ZONES}/{name}", "__doc__": base.__doc__}
        made.append(type(base.__name__, (base,), kind)())
    return made


_NUMBERS = {"preference", "priority", "weight", "port"}
"""Members of records that are numbers."""

_ADDRESSES = {"ipv4Address": 4, "ipv6Address": 6}
"""Members of records that are addresses, and of which kind."""

_DIGITS = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class PrivateDnsZones(ResourceType):
    """A private DNS zone; always `global`."""

    type: ClassVar[str] = ZONES
    read_only: ClassVar[tuple[str, ...]] = (
        *("maxNumberOfRecordSets", "numberOfRecordSets"),
        *("maxNumberOfVirtualNetworkLinks", "numberOfVirtualNetworkLinks"),
        "maxNumberOfVirtualNetworkLinksWithRegistration",
        "numberOfVirtualNetworkLinksWithRegistration",
    )
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201
    delete_status: ClassVar[int] = 202

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check where it lies."""
        if resource["location"] != "global":
            raise ArmError(
                "LocationNotAvailableForResourceType",
                f"The provided location '{resource['location']}' is not available for resource "
                f"type '{ZONES}'. List of available regions for the resource type is 'global'.",
            )
        labels = call.id.name.split(".")
        if not all(labels) or (len(labels) < 2 and old is None):
            raise ArmError(
                "InvalidPrivateDnsZoneName",
                f"The zone name '{call.id.name}' is invalid: it has at least two labels.",
            )
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With live counts."""
        inside = call.arm.store.inside(resource["id"])
        kinds = [item.id.types[-1].lower() for item in inside]
        links = [item.read() for item in inside if item.id.types[-1].lower() == _LINK]
        # The SOA record is there whether somebody has changed it or not.
        sets = 1 + sum(kind.upper() in _RECORDS and kind != "soa" for kind in kinds)
        resource["properties"] |= {
            "maxNumberOfRecordSets": 25000,
            "numberOfRecordSets": sets,
            "maxNumberOfVirtualNetworkLinks": 1000,
            "numberOfVirtualNetworkLinks": len(links),
            "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
            "numberOfVirtualNetworkLinksWithRegistration": sum(map(_registers, links)),
        }
        return tagged(call, resource)

    def reads(self) -> Mapping[str, Handler]:
        """Record sets of every type."""
        return {"ALL": self._record_sets}

    async def _record_sets(self, call: Call) -> Answer:
        found: list[JSON] = []
        for name in _RECORDS:
            kind = call.arm.kind(call.id.child(name, "@"))
            for item in await kind.members(_of(call, name)):
                found.append(await kind.show(call, item))
        return _ending(call, found)

    async def deleting(self, call: Call, resource: JSON) -> None:
        """Not while a network is linked to it; with its group it goes, links and all."""
        if group_deleting(call):
            return
        links = [
            item.id.name
            for item in call.arm.store.inside(resource["id"])
            if item.id.types[-1].lower() == _LINK
        ]
        if links:
            raise ArmError(
                "CannotDeleteResource",
                "Cannot delete resource while nested resources exist. Some existing nested "
                f"resource IDs include: '{resource['id']}/virtualNetworkLinks/{links[0]}'. Please "
                "delete all nested resources before deleting this resource.",
                409,
            )


def _records(properties: JSON, own: str) -> list[JSON]:
    """The records of a set; where there is one alone, it. Raises ArmError (400)."""
    if own not in properties:
        return []
    found = properties[own] if own.endswith("s") else [properties[own]]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ArmError(
            "BadRequest",
            f"'{own}' is of another form than records have.",
            target=f"properties.{own}",
        )
    return found


def _check_address(value: Any, version: int, name: str) -> None:
    """See to it that a record has an address of its kind. Raises ArmError (400)."""
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise ArmError(
            "BadRequest",
            f"The value '{value}' of '{name}' is not a valid IPv{version} address.",
            target=name,
        )


def _number(value: Any) -> Any:
    """A number that was written as a text, as the service reads it; anything else as it is."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _of(call: Call, name: str) -> Call:
    """A call for the collection `name` of the zone that `call` is for."""
    collection = parse(f"{call.id.text}/{name}")
    return replace(call, id=collection)


def _ending(call: Call, sets: Iterable[JSON]) -> list[JSON]:
    suffix = call.query.get("$recordsetnamesuffix", "").lower()
    return [item for item in sets if item["name"].lower().endswith(suffix)]


class _RecordSets(ResourceType):
    """Record sets of one type."""

    type: ClassVar[str] = ""
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check that it has a time to live and records of its own type alone."""
        properties: dict[str, Any] = resource["properties"]
        own = _RECORDS[call.id.types[-1].upper()]
        foreign = [key for key in _RECORDS.values() if key in properties and key != own]
        if foreign:
            raise ArmError(
                "BadRequest",
                f"The record set '{call.id.name}' of type '{call.id.types[-1]}' cannot have "
                f"'{foreign[0]}'.",
            )
        properties["ttl"] = ttl = _number(properties.get("ttl", 3600))
        for record in _records(properties, own):
            record.update({name: _number(record[name]) for name in _NUMBERS & record.keys()})
            for name, version in _ADDRESSES.items():
                if name in record:
                    _check_address(record[name], version, name)
        if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= 2147483647:
            raise ArmError(
                "BadRequest",
                f"The TTL of the record set '{call.id.name}' must be a whole number of seconds, "
                "1 to 2147483647.",
                target="properties.ttl",
            )
        for name in ("fqdn", "isAutoRegistered"):
            properties.pop(name, None)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With the whole name, which ends with a dot."""
        zone = parse(resource["id"]).top.name.lower()
        name = resource["name"].lower()
        resource["properties"] |= {
            "fqdn": f"{zone}." if name == "@" else f"{name}.{zone}.",
            "isAutoRegistered": False,
        }
        return tagged(call, resource)


class _Authority(_RecordSets):
    """The SOA record of a zone: there from the start, changed at will, never gone."""

    async def get(self, call: Call) -> JSON | None:
        """The one at `@`."""
        stored = call.arm.store.get(call.id)
        if stored is not None or call.id.name != "@" or call.id.top not in call.arm.store:
            return stored
        return self._first(call.id.top)

    async def members(self, call: Call) -> Iterable[JSON]:
        """The one there is."""
        zone = call.id.parent
        assert zone is not None
        return list(call.arm.store.collection(call.id)) or [self._first(zone)]

    def _first(self, zone: ResourceId) -> JSON:
        return {
            "id": zone.child("SOA", "@").text,
            "name": "@",
            "type": self.type,
            "properties": {"ttl": 3600, "soaRecord": dict(_SOA)},
        }

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """There is one, at `@`."""
        if call.id.name != "@":
            raise ArmError("BadRequest", "The SOA record set of a zone has the name '@'.")
        return await super().prepare(call, resource, old)

    def methods(self) -> Mapping[str, Handler]:
        """It was there before, and goes with its zone."""
        return {"PUT": self._put, "PATCH": self._patch, "DELETE": self._keep}

    async def _put(self, call: Call) -> Answer:
        reply = await call.arm.changes.put(call)
        return Reply(reply.body, 200, reply.headers)

    async def _patch(self, call: Call) -> Answer:
        if call.id in call.arm.store:
            return await call.arm.changes.patch(call)
        first = await self.get(call)
        if first is None:
            raise missing(call.id)
        call.body = merge(first, call.object())
        return await self._put(call)

    async def _keep(self, call: Call) -> Answer:
        raise ArmError("BadRequest", "The SOA record set of a zone cannot be deleted.")


class PrivateDnsLinks(ResourceType):
    """`virtualNetworkLinks` of a zone.

    A network has one link to a zone, is linked to one zone of a name, and registers its machines in
    one zone ("What is a virtual network link?"); its links go with it. What the service says of the
    rest is what its users report of it.
    """

    type: ClassVar[str] = LINKS
    read_only: ClassVar[tuple[str, ...]] = ("virtualNetworkLinkState",)
    create_status: ClassVar[int] = 201
    delete_status: ClassVar[int] = 202

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check the network."""
        properties: dict[str, Any] = resource["properties"]
        path = "properties.virtualNetwork"
        network = existing(call, properties.get("virtualNetwork"), path)
        properties["virtualNetwork"] = {"id": network.text}
        resource.setdefault("location", "global")
        properties.setdefault("registrationEnabled", False)
        properties["virtualNetworkLinkState"] = "Completed"
        for link in links_of(call, network):
            if link.id.key != call.id.key:
                _check_beside(call.id.top, resource, link)
        return resource

    def shares(self, call: Call, body: JSON) -> Iterable[ResourceId]:
        """Its network, and that it is linked to already."""
        for link in (body, call.arm.store.get(call.id)):
            with contextlib.suppress(ArmError):
                yield parse(_network(link or {})).top


def links_of(call: Call, network: ResourceId) -> list[Record]:
    """The links of a network to zones, whatever groups those are in."""
    return [
        record
        for record in call.arm.store.records(LINKS)
        if _network(record.read()).lower() == network.key
    ]


def _network(link: JSON) -> str:
    """The id of the network that a link names; "" where it names none."""
    found: Any = link.get("properties")
    for step in ("virtualNetwork", "id"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _registers(link: JSON) -> bool:
    return link["properties"].get("registrationEnabled") is True


def _check_beside(zone: ResourceId, link: JSON, other: Record) -> None:
    """See to it that a network may have `link` to a zone beside the `other` one.

    Raises:
        ArmError: 400 or 409.
    """
    network, there = link["properties"]["virtualNetwork"]["id"], other.id.top
    if there.key == zone.key:
        raise ArmError(
            "Conflict",
            f"Private zone '{zone.name}' is already linked to the virtual network '{network}'.",
            409,
        )
    if there.name.lower() == zone.name.lower():
        raise ArmError(
            "BadRequest",
            "A virtual network cannot be linked to multiple zones with overlapping namespaces. You "
            f"tried to link virtual network with '{zone.name}' and '{there.name}' zones.",
        )
    if _registers(link) and _registers(other.read()):
        raise ArmError(
            "Conflict",
            "A virtual network can only be linked to 1 Private DNS zone(s) with auto-registration "
            f'enabled; conflicting Private DNS zone is "{there.text}".',
            409,
        )
