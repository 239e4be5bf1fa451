"""Private endpoints (Microsoft.Network).

An endpoint gets an address of its subnet, its connection is approved, and its DNS zone group writes
the records, as on Azure. Nobody resolves them here: replicas reach the local cloud on the loopback.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.entity_tags import WEAK, tagged
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import stable_guid
from orchestrator.localcloud.providers.embedded import existing
from orchestrator.localcloud.providers.network.private_dns import ZONES
from orchestrator.localcloud.providers.network.private_link_connections import (
    ENDPOINTS,
    LISTS,
    check_target,
)

INTERFACES = "Microsoft.Network/networkInterfaces"
RESERVED = 4
"""Azure keeps the first addresses of a subnet for itself."""

# Group id -> the host name of what is connected, by its resource's name.
_HOSTS = {
    "namespace": "{}.servicebus.windows.net",
    "registry": "{}.azurecr.io",
    "vault": "{}.vault.azure.net",
    "blob": "{}.blob.core.windows.net",
    "file": "{}.file.core.windows.net",
    "queue": "{}.queue.core.windows.net",
    "table": "{}.table.core.windows.net",
}


_CONNECTION: Shape = {
    "name": str,
    "properties": {"privateLinkServiceId": str, "groupIds": [str]},
}


def endpoints_in(store: ResourceStore, subnet: str) -> list[str]:
    """Ids of the private endpoints in a subnet (lower-case id)."""
    return [
        record.id.text
        for record in store.records(ENDPOINTS)
        if str(record.read()["properties"].get("subnet", {}).get("id", "")).lower() == subnet
    ]


class PrivateEndpoints(ResourceType):
    """An endpoint: an address in a subnet for a resource that exists."""

    type: ClassVar[str] = ENDPOINTS
    read_only: ClassVar[tuple[str, ...]] = ("customDnsConfigs", "networkInterfaces")
    shape: ClassVar[Shape] = {
        "properties": {
            "privateLinkServiceConnections": [_CONNECTION],
            "manualPrivateLinkServiceConnections": [_CONNECTION],
            "customNetworkInterfaceName": str,
        }
    }
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    def shares(self, call: Call, body: JSON) -> Iterable[ResourceId]:
        """The addresses of its network."""
        return _networks(body)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Connect it and give it an address."""
        properties = resource["properties"]
        before = old["properties"] if old else {}
        subnet = existing(call, properties.get("subnet"), "properties.subnet")
        properties["subnet"] = {"id": subnet.text}
        manual = properties.setdefault("manualPrivateLinkServiceConnections", [])
        automatic = properties.setdefault("privateLinkServiceConnections", [])
        if not manual and not automatic:
            raise ArmError(
                "PrivateEndpointMustHaveConnection",
                f"Private endpoint {call.id.text} must have a private link service connection.",
            )
        configs = []
        address = before.get("customDnsConfigs") or []
        own = [ip for config in address for ip in config["ipAddresses"]]
        ip = own[0] if own else _free_address(call, subnet)
        known = {item["name"]: item for name in LISTS for item in before.get(name, [])}
        for item in (*automatic, *manual):
            configs.append(_connect(call, item, ip, known, approved=item in automatic))
        properties["customDnsConfigs"] = configs
        name = properties.setdefault("customNetworkInterfaceName", "") or (
            f"{call.id.name}.nic.{stable_guid(call.id.text)}"
        )
        interface = f"{call.id.scope}/providers/{INTERFACES}/{name}"
        properties["networkInterfaces"] = [{"id": interface}]
        properties.setdefault("ipConfigurations", [])
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its entity tag."""
        return tagged(call, resource, WEAK)


def _connect(call: Call, item: JSON, ip: str, known: Mapping[str, JSON], *, approved: bool) -> JSON:
    """Complete one connection; what DNS should say of it."""
    inner = item.setdefault("properties", {})
    target = existing(
        call, {"id": inner.get("privateLinkServiceId")}, "properties.privateLinkServiceId"
    )
    groups = inner.get("groupIds") or []
    check_target(call.arm.store, target, groups)
    name = item.setdefault("name", call.id.name)
    item["id"] = f"{call.id.text}/privateLinkServiceConnections/{name}"
    item["type"] = f"{ENDPOINTS}/privateLinkServiceConnections"
    inner["provisioningState"] = "Succeeded"
    # Its other end may have answered since; another other end has not.
    before = known.get(name, {}).get("properties", {})
    if str(before.get("privateLinkServiceId", "")).lower() != target.key:
        before = {}
    inner["privateLinkServiceConnectionState"] = before.get(
        "privateLinkServiceConnectionState"
    ) or {
        "status": "Approved" if approved else "Pending",
        "description": "Auto-approved" if approved else "Awaiting Approval",
        "actionsRequired": "None",
    }
    group = str(groups[0]).lower() if groups else ""
    if group.startswith("managedenvironments"):
        found = call.arm.store.get(target) or {}
        host = str(found.get("properties", {}).get("defaultDomain", target.name))
    else:
        host = _HOSTS.get(group, "{}").format(target.name.lower())
    return {"fqdn": host, "ipAddresses": [ip]}


def _free_address(call: Call, subnet: ResourceId, given: Iterable[str] = ()) -> str:
    """An address of a subnet that nobody has, not even what `given` names."""
    network = call.arm.store.get(subnet.top)
    assert network is not None
    prefix = next(
        (
            item["properties"].get("addressPrefix")
            or item["properties"].get("addressPrefixes", [None])[0]
            for item in network["properties"].get("subnets", [])
            if item["name"].lower() == subnet.name.lower()
        ),
        None,
    )
    taken = {
        ip
        for id in endpoints_in(call.arm.store, subnet.key)
        for config in (call.arm.store.get(id) or {"properties": {}})["properties"].get(
            "customDnsConfigs", []
        )
        for ip in config["ipAddresses"]
    }
    taken.update(given)
    for interface in call.arm.store.of_type(INTERFACES):
        if parse(interface["id"]).key != call.id.key:
            taken.update(
                str((config.get("properties") or {}).get("privateIPAddress"))
                for config in interface["properties"].get("ipConfigurations") or ()
            )
    whole = ipaddress.ip_network(str(prefix))
    last = whole.num_addresses - 1
    for number in range(RESERVED, min(last, 65536)):
        candidate = str(whole[number])
        if candidate not in taken:
            return candidate
    raise ArmError(
        "SubnetIsFull", f"Subnet {subnet.name} with address prefix {prefix} is already full.", 400
    )


def _networks(body: Any) -> Iterator[ResourceId]:
    """The networks in which a body names a subnet; what is no id is left to be refused."""
    if isinstance(body, list):
        for item in body:
            yield from _networks(item)
    elif isinstance(body, dict):
        for name, item in body.items():
            id = item.get("id") if name == "subnet" and isinstance(item, dict) else None
            if isinstance(id, str):
                with contextlib.suppress(ArmError):
                    yield parse(id).top
            else:
                yield from _networks(item)


class NetworkInterfaces(ResourceType):
    """Interfaces; those of private endpoints exist without having been made."""

    type: ClassVar[str] = INTERFACES
    shape: ClassVar[Shape] = {
        "properties": {
            "ipConfigurations": [
                {"name": str, "properties": {"subnet": {"id": str}, "privateIPAddress": str}}
            ]
        }
    }
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    def shares(self, call: Call, body: JSON) -> Iterable[ResourceId]:
        """The addresses of its networks."""
        return _networks(body)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Give each configuration an address of its subnet; one that it had is kept."""
        before = {
            str(item.get("name")).lower(): item.get("properties") or {}
            for item in (old or {"properties": {}})["properties"].get("ipConfigurations") or ()
        }
        given: list[str] = []
        for number, item in enumerate(resource["properties"].get("ipConfigurations") or ()):
            name = item.setdefault("name", f"ipconfig{number + 1}")
            item["id"] = f"{call.id.text}/ipConfigurations/{name}"
            inner = item.setdefault("properties", {})
            inner.setdefault("privateIPAllocationMethod", "Dynamic")
            inner.setdefault("privateIPAddressVersion", "IPv4")
            inner.setdefault("primary", number == 0)
            if inner["privateIPAddressVersion"] == "IPv6" and "subnet" not in inner:
                continue  # behind a load balancer it may be without one, and has no address then
            subnet = existing(call, inner.get("subnet"), "properties.ipConfigurations.subnet")
            had = before.get(name.lower(), {})
            if had.get("subnet") == inner["subnet"]:
                inner.setdefault("privateIPAddress", had.get("privateIPAddress"))
            if not inner.get("privateIPAddress"):
                inner["privateIPAddress"] = _free_address(call, subnet, given)
            given.append(inner["privateIPAddress"])
        return resource

    async def get(self, call: Call) -> JSON | None:
        """A stored one, or a private endpoint's."""
        stored = call.arm.store.get(call.id)
        if stored is not None:
            return stored
        return next((it for it in _of_endpoints(call) if parse(it["id"]).key == call.id.key), None)

    async def members(self, call: Call) -> Iterable[JSON]:
        """Stored ones and those of private endpoints."""
        scope = call.id.scope.lower() + "/"
        return [
            *call.arm.store.collection(call.id),
            *(it for it in _of_endpoints(call) if it["id"].lower().startswith(scope)),
        ]


def _of_endpoints(call: Call) -> Iterable[JSON]:
    for endpoint in call.arm.store.of_type(ENDPOINTS):
        properties = endpoint["properties"]
        configs = properties["customDnsConfigs"]
        for interface in properties.get("networkInterfaces", []):
            id = parse(interface["id"])
            yield {
                "id": id.text,
                "name": id.name,
                "type": INTERFACES,
                "location": endpoint["location"],
                "properties": {
                    "provisioningState": "Succeeded",
                    "privateEndpoint": {"id": endpoint["id"]},
                    "ipConfigurations": [
                        {
                            "id": f"{id.text}/ipConfigurations/privateEndpointIpConfig",
                            "name": "privateEndpointIpConfig",
                            "properties": {
                                "privateIPAddress": configs[0]["ipAddresses"][0],
                                "privateIPAllocationMethod": "Dynamic",
                                "subnet": properties["subnet"],
                                "primary": True,
                                "privateIPAddressVersion": "IPv4",
                                "provisioningState": "Succeeded",
                            },
                        }
                    ],
                },
            }


class ZoneGroups(ResourceType):
    """`privateDnsZoneGroups` of an endpoint: which zones get its records."""

    type: ClassVar[str] = f"{ENDPOINTS}/privateDnsZoneGroups"
    shape: ClassVar[Shape] = {
        "properties": {"privateDnsZoneConfigs": [{"properties": {"privateDnsZoneId": str}}]}
    }
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Fill in the records of each zone."""
        endpoint = call.arm.store.get(call.id.top)
        assert endpoint is not None
        for config in resource["properties"].setdefault("privateDnsZoneConfigs", []):
            inner = config.setdefault("properties", {})
            path = "properties.privateDnsZoneConfigs.privateDnsZoneId"
            zone = existing(call, {"id": inner.get("privateDnsZoneId")}, path)
            inner["privateDnsZoneId"] = zone.text
            inner["recordSets"] = [
                {
                    "recordType": "A",
                    "recordSetName": _record(entry["fqdn"], zone.name),
                    "fqdn": f"{_record(entry['fqdn'], zone.name)}.{zone.name}",
                    "ttl": 10,
                    "ipAddresses": entry["ipAddresses"],
                    "provisioningState": "Succeeded",
                }
                for entry in endpoint["properties"]["customDnsConfigs"]
            ]
        return resource

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Write the records."""
        gone = set(_records(old)) - set(_records(resource)) if old else set()
        made = _records(resource)
        await call.arm.store.write(
            put=[
                (parse(id), _record_set(parse(id), entry), secrets.token_hex(8))
                for id, entry in made.items()
            ],
            delete=sorted(gone),
        )

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Take the records back."""
        await call.arm.store.write(delete=sorted(_records(resource)))


def _record(host: str, zone: str) -> str:
    """The name of a host in a zone, whose own name begins with `privatelink.`."""
    public = zone.lower().removeprefix("privatelink.")
    return host.lower().removesuffix(public).rstrip(".") or "@"


def _records(group: JSON) -> dict[str, JSON]:
    return {
        f"{config['properties']['privateDnsZoneId']}/A/{entry['recordSetName']}": entry
        for config in group["properties"]["privateDnsZoneConfigs"]
        for entry in config["properties"]["recordSets"]
    }


def _record_set(id: ResourceId, entry: JSON) -> JSON:
    return {
        "id": id.text,
        "name": id.name,
        "type": f"{ZONES}/A",
        "properties": {
            "fqdn": f"{entry['fqdn']}.",
            "ttl": entry["ttl"],
            "isAutoRegistered": False,
            "aRecords": [{"ipv4Address": ip} for ip in entry["ipAddresses"]],
            "metadata": {"creator": "created by private endpoint"},
        },
    }
