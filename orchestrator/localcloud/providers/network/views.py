"""What of a network follows from other resources: peerings' states, free addresses, usages.

Rules: "Virtual network peering" (a peering is `Initiated` until the other network has one back, and
`Connected` then); Azure keeps the first four addresses and the last one of each subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.providers.embedded import Embedded, existing
from orchestrator.localcloud.providers.network.private_link import RESERVED, endpoints_in

NETWORKS = "Microsoft.Network/virtualNetworks"
_FEW = 5
"""How many other addresses the service names when one is taken."""


class Peerings(Embedded):
    """Peerings of a network with another; both have to want it."""

    type: ClassVar[str] = f"{NETWORKS}/virtualNetworkPeerings"
    members_key: ClassVar[str] = "virtualNetworkPeerings"

    def complete(self, call: Call, item: JSON) -> None:
        """The other network exists, when the peering is made, and is another one."""
        properties = item["properties"]
        path = f"virtualNetworkPeerings/{item['name']}/remoteVirtualNetwork"
        given = properties.get("remoteVirtualNetwork")
        known = _remote_before(call, item)
        if known is not None and isinstance(given, dict) and given.get("id") == known:
            # The other network may be gone by now: that severs the peering and nothing else.
            remote = parse(known)
        else:
            remote = existing(call, given, path)
        if remote.key == parse(item["id"]).top.key:
            raise ArmError(
                "CannotPeerVirtualNetworkWithItself",
                f"The peering '{item['name']}' leads from a virtual network to itself.",
                target=path,
            )
        properties["remoteVirtualNetwork"] = {"id": remote.text}
        properties.setdefault("allowVirtualNetworkAccess", True)
        for name in ("allowForwardedTraffic", "allowGatewayTransit", "useRemoteGateways"):
            properties.setdefault(name, False)
        for name in ("peeringState", "peeringSyncLevel", "remoteAddressSpace"):
            properties.pop(name, None)

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its state as it is now."""
        with_state(call.arm.store, call.id.top, resource)
        return resource


def _remote(peering: JSON) -> str:
    """The id of a stored peering's other network; versions before this one kept what came."""
    properties = peering.get("properties")
    other = properties.get("remoteVirtualNetwork") if isinstance(properties, dict) else None
    return str(other.get("id") or "") if isinstance(other, dict) else ""


def _remote_before(call: Call, peering: JSON) -> str | None:
    """The other network of a peering that is stored."""
    own = call.arm.store.get(parse(peering["id"]).top) or {"properties": {}}
    for item in own["properties"].get("virtualNetworkPeerings", []):
        if str(item.get("name")).lower() == peering["name"].lower():
            return _remote(item) or None
    return None


def with_state(store: ResourceStore, own: ResourceId, peering: JSON) -> None:
    """Fill in how a peering of the network `own` stands, in place."""
    properties = peering["properties"] = dict(peering.get("properties") or {})
    other = _remote(peering)
    remote = store.get(other) if other else None
    back = [
        _remote(item).lower()
        for item in (remote or {"properties": {}})["properties"].get("virtualNetworkPeerings", [])
    ]
    if remote is None:
        state, level = "Disconnected", "RemoteNotInSync"
    elif own.key in back:
        state, level = "Connected", "FullyInSync"
    else:
        state, level = "Initiated", "RemoteNotInSync"
    space = remote["properties"]["addressSpace"] if remote else {"addressPrefixes": []}
    properties |= {
        "peeringState": state,
        "peeringSyncLevel": level,
        "remoteAddressSpace": space,
        "remoteVirtualNetworkAddressSpace": space,
    }


class DefaultRules(Embedded):
    """The rules that each security group has; nobody changes them."""

    type: ClassVar[str] = "Microsoft.Network/networkSecurityGroups/defaultSecurityRules"
    members_key: ClassVar[str] = "defaultSecurityRules"

    def methods(self) -> Mapping[str, Handler]:
        """They are there to be read."""
        return {}


# ------------------------------------------------------------- addresses, usages ----


def _subnets(call: Call) -> Iterator[tuple[JSON, ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    network = call.arm.store.get(call.id) or {"properties": {}}
    for item in network["properties"].get("subnets", []):
        inner = item["properties"]
        prefix = inner.get("addressPrefix") or (inner.get("addressPrefixes") or [None])[0]
        if prefix:
            yield item, ipaddress.ip_network(prefix)


def _taken(call: Call, subnet: JSON) -> set[str]:
    found = (call.arm.store.get(id) for id in endpoints_in(call.arm.store, subnet["id"].lower()))
    return {
        ip
        for endpoint in found
        if endpoint is not None
        for config in endpoint["properties"].get("customDnsConfigs", [])
        for ip in config["ipAddresses"]
    }


async def check_address(call: Call) -> Answer:
    """`CheckIPAddressAvailability`: whether an address of the network is free.

    Raises:
        ArmError: 400; it is no address, or none of a subnet of this network.
    """
    text = call.query.get("ipaddress", "")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ArmError(
            "InvalidIPAddressFormat", f"'{text}' is no IP address.", target="ipAddress"
        ) from None
    for subnet, network in _subnets(call):
        if address not in network:
            continue
        taken = _taken(call, subnet)
        kept = {str(network[number]) for number in (*range(RESERVED), -1)}
        free = str(address) not in taken | kept
        others = _free(network, taken | kept) if not free else []
        return {
            "available": free,
            "availableIPAddresses": others,
            "isPlatformReserved": str(address) in kept,
        }
    raise ArmError(
        "PrivateIPAddressNotInAnySubnet",
        f"Private IP address {text} does not belong to the range of any subnet in virtual network "
        f"{call.id.name}.",
        target="ipAddress",
    )


def _free(network: ipaddress.IPv4Network | ipaddress.IPv6Network, taken: set[str]) -> list[str]:
    found: list[str] = []
    for number in range(RESERVED, min(network.num_addresses, 65536)):
        if str(network[number]) not in taken:
            found.append(str(network[number]))
        if len(found) == _FEW:
            break
    return found


async def usages(call: Call) -> Answer:
    """How many addresses of each subnet are in use."""
    return [
        {
            "id": subnet["id"],
            "name": {"value": "SubnetSpace", "localizedValue": "Subnet size and usage"},
            "unit": "Count",
            "currentValue": float(len(_taken(call, subnet))),
            "limit": float(max(0, network.num_addresses - RESERVED - 1)),
        }
        for subnet, network in _subnets(call)
    ]
