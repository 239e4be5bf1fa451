"""Networks' parts: load balancers, gateways, circuits, DNS zones, traffic.

Names, addresses and states are those of the services' REST reference
(learn.microsoft.com/rest/api/{virtualnetwork,load-balancer,expressroute,dns,…}).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.providers.published.seen import Published, Seen, Table


def _parts(*lists: str) -> Published:
    """A network resource of whose lists each item is a resource of its own, with an id."""

    def facts(seen: Seen) -> JSON:
        found: JSON = {}
        for name in lists:
            items = seen.prop(name)
            if isinstance(items, list):
                found[name] = [_part(seen, name, item) for item in items]
        return found

    return Published(facts)


def _part(seen: Seen, list_name: str, item: Any) -> Any:
    if not isinstance(item, dict) or "name" not in item:
        return item
    own: JSON = {"id": f"{seen.id.text}/{list_name}/{item['name']}"}
    given = item.get("properties") or {}
    if not isinstance(given, dict):
        return item
    properties = dict(given)
    subnet = properties.get("subnet")
    if isinstance(subnet, dict) and not properties.get("privateIPAddress"):
        address = seen.address_in(subnet.get("id"))
        properties |= {"privateIPAddress": address} if address else {}
    return {**item, **own, "properties": properties}


def _bastion(seen: Seen) -> JSON:
    return {"dnsName": f"bst-{seen.guid('bastion')}.bastion.azure.com"}


def _traffic(seen: Seen) -> JSON:
    name = seen.prop("dnsConfig", "relativeName") or seen.host
    return {"dnsConfig": {"fqdn": f"{name}.trafficmanager.net"}}


def _zone(seen: Seen) -> JSON:
    group = int(seen.hex("name servers", 2), 16) % 9 + 1
    servers = [
        f"ns{number}-0{group}.azure-dns.{domain}."
        for number, domain in enumerate(("com", "net", "org", "info"), 1)
    ]
    # Its SOA and NS records are there from the beginning.
    return {"nameServers": servers, "numberOfRecordSets": 2, "maxNumberOfRecordSets": 10_000}


def _record(seen: Seen) -> JSON:
    """A set of records of a DNS zone; `@` is the zone itself."""
    zone = seen.id.names[0]
    return {"fqdn": f"{zone}." if seen.name == "@" else f"{seen.name}.{zone}."}


def _firewall(seen: Seen) -> JSON:
    """A firewall of a virtual hub has its address there: the second quarter of the hub's range is
    the firewall's, whose first four addresses are Azure's."""
    found = dict(_FIREWALL_PARTS.facts(seen))
    try:
        hub = seen.find(str(seen.prop("virtualHub", "id") or ""))
    except ArmError:  # it is no id
        hub = None
    prefix = str(((hub or {}).get("properties") or {}).get("addressPrefix") or "")
    try:
        range_ = ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        return found
    address = range_.network_address + range_.num_addresses // 4 + 4
    return {**found, "hubIPAddresses": {"privateIPAddress": str(address)}}


def _circuit(seen: Seen) -> JSON:
    """A circuit that no provider has connected yet."""
    return {
        "serviceKey": seen.guid("service key"),
        "circuitProvisioningState": "Enabled",
        "serviceProviderProvisioningState": "NotProvisioned",
    }


def _controller(seen: Seen) -> JSON:
    return {"configurationEndpoints": [f"{seen.hex('controller')}.trafficcontroller.azure.net"]}


def _controller_frontend(seen: Seen) -> JSON:
    return {"fqdn": f"{seen.hex('frontend')}.fz01.alb.azure.com"}


_LOAD_BALANCER = (
    *("frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes"),
    *("inboundNatRules", "inboundNatPools", "outboundRules"),
)
_APPLICATION_GATEWAY = (
    *("gatewayIPConfigurations", "frontendIPConfigurations", "frontendPorts", "httpListeners"),
    *("backendAddressPools", "backendHttpSettingsCollection", "requestRoutingRules", "probes"),
    *("sslCertificates", "privateLinkConfigurations", "urlPathMaps", "redirectConfigurations"),
    "rewriteRuleSets",
)

_FIREWALL_PARTS = _parts("ipConfigurations")

TABLE: Table = {
    "Microsoft.Network/loadBalancers": _parts(*_LOAD_BALANCER),
    "Microsoft.Network/applicationGateways": _parts(*_APPLICATION_GATEWAY),
    "Microsoft.Network/azureFirewalls": Published(_firewall),
    "Microsoft.Network/virtualNetworkGateways": _parts("ipConfigurations"),
    "Microsoft.Network/bastionHosts": Published(_bastion),
    "Microsoft.Network/trafficManagerProfiles": Published(_traffic),
    "Microsoft.Network/dnsZones": Published(_zone, defaults={"zoneType": "Public"}),
    **{
        f"Microsoft.Network/dnsZones/{kind}": Published(_record)
        for kind in ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
    },
    "Microsoft.Network/expressRouteCircuits": Published(_circuit),
    "Microsoft.Network/connections": Published(hidden=("sharedKey",)),
    "Microsoft.ServiceNetworking/trafficControllers": Published(_controller),
    "Microsoft.ServiceNetworking/trafficControllers/frontends": Published(_controller_frontend),
}
