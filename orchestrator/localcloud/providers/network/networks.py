"""Microsoft.Network: virtual networks, security groups, route tables, public addresses.

Kept as the service keeps them: checked, completed, with their children both in the parent and by
themselves. No packet is filtered: everything here runs on this machine's loopback. Defaults are
those of the REST reference (2024-05-01) and "Network security groups".
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.localcloud.arm.entity_tags import WEAK, tagged
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Call,
    Handler,
    Provider,
    ResourceType,
)
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.identity import stable_guid
from orchestrator.localcloud.providers.embedded import (
    Embedded,
    Holder,
    adopt,
    existing,
    group_deleting,
)
from orchestrator.localcloud.providers.network.private_dns import dns_types, links_of
from orchestrator.localcloud.providers.network.private_link import (
    NetworkInterfaces,
    PrivateEndpoints,
    ZoneGroups,
    endpoints_in,
)
from orchestrator.localcloud.providers.network.private_link_connections import link_types
from orchestrator.localcloud.providers.network.views import (
    NETWORKS,
    DefaultRules,
    Peerings,
    check_address,
    usages,
    with_state,
)

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

SUBNETS = f"{NETWORKS}/subnets"
ENVIRONMENTS = "Microsoft.App/managedEnvironments"
_Range = ipaddress.IPv4Network | ipaddress.IPv6Network


class Network(Provider):
    """Microsoft.Network."""

    namespace: ClassVar[str] = "Microsoft.Network"

    def types(self) -> Iterable[ResourceType]:
        """What templates of Container Apps need of a network."""
        return [
            VirtualNetworks(),
            Subnets(),
            Peerings(),
            SecurityGroups(),
            SecurityRules(),
            DefaultRules(),
            RouteTables(),
            Routes(),
            PublicAddresses(),
            PrivateEndpoints(),
            ZoneGroups(),
            NetworkInterfaces(),
            *dns_types(),
            *link_types(),
        ]

    async def open(self, arm: ResourceManager) -> None:
        """What an older version has stored beside its parent becomes part of it."""
        for kind in self.types():
            if isinstance(kind, Embedded):
                await adopt(arm.store, kind)


def ip_range(text: Any, path: str) -> _Range:
    """An address range in CIDR notation.

    Raises:
        ArmError: 400 `InvalidAddressPrefixFormat`, `InvalidCIDRNotation`.
    """
    # A number would be taken for an address, too.
    prefix = text if isinstance(text, str) else ""
    try:
        return ipaddress.ip_network(prefix)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        raise ArmError(
            "InvalidAddressPrefixFormat",
            f"Address prefix {text} of '{path}' is not formatted correctly. It should follow CIDR "
            "notation, for example 10.0.0.0/24.",
            target=path,
        ) from None
    raise ArmError(
        "InvalidCIDRNotation",
        f"The address prefix {text} of '{path}' has an invalid CIDR notation. For the given prefix "
        f"length, the address prefix should be {network}.",
        target=path,
    )


def within(inner: _Range, outer: _Range) -> bool:
    """Whether a range lies in another."""
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


class _Numbered(Holder):
    """A resource of Microsoft.Network: with a guid of its own."""

    read_only: ClassVar[tuple[str, ...]] = ("resourceGuid",)
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        before = old["properties"] if old else {}
        resource["properties"]["resourceGuid"] = before.get("resourceGuid") or stable_guid(
            call.id.text, secrets.token_hex(8)
        )
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        return tagged(call, resource, WEAK)


class VirtualNetworks(_Numbered):
    """A network; a PUT that names no subnets keeps those there are."""

    type: ClassVar[str] = NETWORKS

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check ranges, complete subnets."""
        resource = await super().prepare(call, resource, old)
        properties = resource["properties"]
        if "subnets" not in properties and old is not None:
            properties["subnets"] = old["properties"].get("subnets", [])
        Subnets().complete_all(call, call.id, properties)
        self.check_whole(properties)
        if old is not None:
            kept = {item["name"].lower() for item in properties["subnets"]}
            for item in old["properties"].get("subnets", []):
                if item["name"].lower() not in kept:
                    check_unused(call, item)
        properties.setdefault("enableDdosProtection", False)
        if "virtualNetworkPeerings" not in properties and old is not None:
            kept_peerings = old["properties"].get("virtualNetworkPeerings", [])
            properties["virtualNetworkPeerings"] = kept_peerings
        Peerings().complete_all(call, call.id, properties)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With how its peerings stand."""
        for item in resource["properties"].get("virtualNetworkPeerings", []):
            with_state(call.arm.store, parse(resource["id"]), item)
        return await super().show(call, resource)

    def reads(self) -> Mapping[str, Handler]:
        """What is free and what is used of it."""
        return {"CheckIPAddressAvailability": check_address, "usages": usages}

    def check_whole(self, properties: JSON) -> None:
        """The ranges of a network and its subnets, together. Raises ArmError (400)."""
        space = properties.get("addressSpace")
        prefixes = space.get("addressPrefixes") if isinstance(space, dict) else None
        if not isinstance(prefixes, list) or not prefixes:
            raise ArmError(
                "InvalidRequestFormat",
                "'properties.addressSpace.addressPrefixes' is missing: the ranges of the network.",
                target="properties.addressSpace",
            )
        whole = [ip_range(prefix, "properties.addressSpace") for prefix in prefixes]
        taken: list[tuple[_Range, str]] = []
        for item in properties.get("subnets", []):
            for text in _prefixes(item["properties"]):
                part = ip_range(text, f"subnets/{item['name']}")
                if not any(within(part, outer) for outer in whole):
                    raise ArmError(
                        "NetcfgInvalidSubnet",
                        f"Subnet '{item['name']}' is not valid because its IP address range is "
                        "outside the IP address range of the virtual network.",
                    )
                for other, name in taken:
                    if part.overlaps(other):
                        raise ArmError(
                            "NetcfgSubnetRangesOverlap",
                            f"Subnet '{item['name']}' is not valid because its IP address range "
                            f"overlaps with that of an existing subnet in the virtual network: "
                            f"'{name}'.",
                        )
                taken.append((part, item["name"]))

    async def deleting(self, call: Call, resource: JSON) -> None:
        """Not while something is in a subnet."""
        for item in resource["properties"].get("subnets", []):
            check_unused(call, item)

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Its links to private DNS zones go with it."""
        links = [record.id for record in links_of(call, parse(resource["id"]))]
        if links:
            await call.arm.store.write(delete=links)


def _prefixes(properties: JSON) -> list[Any]:
    if properties.get("addressPrefix"):
        return [properties["addressPrefix"]]
    found = properties.get("addressPrefixes")
    return list(found) if isinstance(found, list) else []


def check_unused(call: Call, subnet: JSON) -> None:
    """Refuse to take a subnet away from what is in it. Raises ArmError (400)."""
    key = str(subnet["id"]).lower()
    users = endpoints_in(call.arm.store, key)
    for record in call.arm.store.records(ENVIRONMENTS):
        inner = record.read()["properties"].get("vnetConfiguration") or {}
        if str(inner.get("infrastructureSubnetId", "")).lower() == key:
            users.append(record.id.text)
    if users and not group_deleting(call):
        raise ArmError(
            "InUseSubnetCannotBeDeleted",
            f"Subnet {subnet['name']} is in use by {users[0]} and cannot be deleted. In order to "
            "delete the subnet, delete all the resources within the subnet.",
            400,
        )


class Subnets(Embedded):
    """The subnets of a network."""

    type: ClassVar[str] = SUBNETS
    members_key: ClassVar[str] = "subnets"
    inside: ClassVar[Shape] = {"delegations": [{"name": str, "properties": {}}]}

    def complete(self, call: Call, item: JSON) -> None:
        """A range; references that exist; delegations with ids."""
        properties = item["properties"]
        if not _prefixes(properties):
            raise ArmError(
                "NoAddressPrefixOrPoolProvided",
                f"No address prefix is given for the subnet '{item['name']}'.",
                target=f"subnets/{item['name']}",
            )
        for name in ("networkSecurityGroup", "routeTable", "natGateway"):
            if name in properties:
                id = existing(call, properties[name], f"subnets/{item['name']}/{name}")
                properties[name] = {"id": id.text}
        properties.setdefault("privateEndpointNetworkPolicies", "Disabled")
        properties.setdefault("privateLinkServiceNetworkPolicies", "Enabled")
        for delegation in properties.setdefault("delegations", []):
            inner = delegation.setdefault("properties", {})
            inner["provisioningState"] = "Succeeded"
            inner.setdefault("actions", ["Microsoft.Network/virtualNetworks/subnets/join/action"])
            name = delegation.setdefault("name", str(inner.get("serviceName", "delegation")))
            delegation["id"] = f"{item['id']}/delegations/{name}"
            delegation["type"] = f"{SUBNETS}/delegations"

    async def releasing(self, call: Call, item: JSON) -> None:
        """Not while something is in it."""
        check_unused(call, item)


# -------------------------------------------------------------- groups and tables ----

_DEFAULT_RULES = (
    # name, priority, direction, access, source, destination
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)


class SecurityGroups(_Numbered):
    """A network security group, with the six rules that each has."""

    type: ClassVar[str] = "Microsoft.Network/networkSecurityGroups"

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Complete its rules."""
        resource = await super().prepare(call, resource, old)
        properties = resource["properties"]
        SecurityRules().complete_all(call, call.id, properties)
        self.check_whole(properties)
        properties["defaultSecurityRules"] = [
            {
                "id": f"{call.id.text}/defaultSecurityRules/{name}",
                "name": name,
                "type": f"{self.type}/defaultSecurityRules",
                "properties": {
                    "protocol": "*",
                    "sourcePortRange": "*",
                    "destinationPortRange": "*",
                    "sourceAddressPrefix": source,
                    "destinationAddressPrefix": destination,
                    "access": access,
                    "priority": priority,
                    "direction": direction,
                    "provisioningState": "Succeeded",
                },
            }
            for name, priority, direction, access, source, destination in _DEFAULT_RULES
        ]
        return resource

    def check_whole(self, properties: JSON) -> None:
        """A priority is given once for each direction. Raises ArmError (400)."""
        taken: dict[tuple[Any, Any], str] = {}
        for item in properties.get("securityRules", []):
            inner = item["properties"]
            key = inner["direction"], inner["priority"]
            if key in taken:
                raise ArmError(
                    "SecurityRuleConflict",
                    f"Security rule {item['name']} conflicts with rule {taken[key]}. Rules cannot "
                    "have the same Priority and Direction.",
                )
            taken[key] = item["name"]


class SecurityRules(Embedded):
    """Rules of a security group."""

    type: ClassVar[str] = "Microsoft.Network/networkSecurityGroups/securityRules"
    members_key: ClassVar[str] = "securityRules"

    def complete(self, call: Call, item: JSON) -> None:
        """Direction, access, protocol and priority are needed."""
        properties = item["properties"]
        for name, words in (
            ("direction", ("Inbound", "Outbound")),
            ("access", ("Allow", "Deny")),
            ("protocol", ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")),
        ):
            given = str(properties.get(name, ""))
            found = next((word for word in words if word.lower() == given.lower()), None)
            if found is None:
                raise ArmError(
                    "SecurityRuleInvalid",
                    f"Security rule '{item['name']}' has an invalid {name}: '{given}'. Allowed are "
                    f"{', '.join(words)}.",
                )
            properties[name] = found
        priority = properties.get("priority")
        if (
            isinstance(priority, bool)
            or not isinstance(priority, int)
            or not 100 <= priority <= 4096
        ):
            raise ArmError(
                "SecurityRuleInvalidPriority",
                f"Security rule '{item['name']}' has an invalid priority. Value provided: "
                f"{priority}. Allowed range 100-4096.",
            )


class RouteTables(_Numbered):
    """A route table."""

    type: ClassVar[str] = "Microsoft.Network/routeTables"

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Complete its routes."""
        resource = await super().prepare(call, resource, old)
        Routes().complete_all(call, call.id, resource["properties"])
        resource["properties"].setdefault("disableBgpRoutePropagation", False)
        return resource


class Routes(Embedded):
    """Routes of a table."""

    type: ClassVar[str] = "Microsoft.Network/routeTables/routes"
    members_key: ClassVar[str] = "routes"


class PublicAddresses(_Numbered):
    """A public address; a static one is given an address of the range for documentation."""

    type: ClassVar[str] = "Microsoft.Network/publicIPAddresses"
    shape: ClassVar[Shape] = {"sku": {"name": str, "tier": str}}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Give it an address."""
        resource = await super().prepare(call, resource, old)
        properties = resource["properties"]
        sku = resource.setdefault("sku", {"name": "Standard"})
        sku.setdefault("name", "Standard")
        sku.setdefault("tier", "Regional")
        standard = sku["name"] == "Standard"
        properties.setdefault("publicIPAddressVersion", "IPv4")
        properties.setdefault("publicIPAllocationMethod", "Static" if standard else "Dynamic")
        properties.setdefault("idleTimeoutInMinutes", 4)
        if properties["publicIPAllocationMethod"] == "Static":
            before = old["properties"] if old else {}
            properties["ipAddress"] = before.get("ipAddress") or _address(call.id)
        dns = properties.get("dnsSettings")
        if isinstance(dns, dict) and dns.get("domainNameLabel"):
            label = f"{dns['domainNameLabel']}.{resource['location']}.cloudapp.azure.com"
            properties["dnsSettings"] = {**dns, "fqdn": label.lower()}
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """One that is not static has an address as long as an interface has it."""
        resource = await super().show(call, resource)
        if resource["properties"]["publicIPAllocationMethod"] == "Dynamic" and any(
            str((config.get("properties", {}).get("publicIPAddress") or {}).get("id", "")).lower()
            == call.id.key
            for interface in call.arm.store.of_type("Microsoft.Network/networkInterfaces")
            for config in interface["properties"].get("ipConfigurations") or ()
        ):
            resource["properties"]["ipAddress"] = _address(call.id)
        return resource


def _address(id: ResourceId) -> str:
    """RFC 5737: an address that nobody has."""
    return f"203.0.113.{int(stable_guid(id.text)[:8], 16) % 254 + 1}"
