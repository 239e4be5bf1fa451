"""Networks, private endpoints and zones, and what is in them; diagnostic settings; registries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.insights.diagnostics import Diagnostics
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from orchestrator.localcloud.providers.key_vault.vaults import KeyVault
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.arm.world import GROUP, THINGS, World, world

NET = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NET}/virtualNetworks/net"
WEST = {"location": "westeurope"}


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    providers = [
        *(Network(), Diagnostics(), OperationalInsights(), ContainerRegistry(), KeyVault()),
    ]
    async with world(tmp_path, *providers) as made:
        await made.group()
        yield made


def network(*subnets: dict[str, Any], space: str = "10.0.0.0/16") -> dict[str, Any]:
    properties: dict[str, Any] = {"addressSpace": {"addressPrefixes": [space]}}
    if subnets:
        properties["subnets"] = list(subnets)
    return WEST | {"properties": properties}


def subnet(name: str, prefix: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "properties": {"addressPrefix": prefix, **more}}


async def refused(arm: World, method: str, path: str, body: Any = None) -> str:
    with pytest.raises(ArmError) as caught:
        await arm.ask(method, path, body)
    return caught.value.code


async def test_subnets_are_the_same_as_children_and_in_properties(arm: World) -> None:
    await arm.put(VNET, network(subnet("one", "10.0.0.0/24")))
    two = {"properties": {"addressPrefix": "10.0.1.0/24"}}
    made = await arm.ask("PUT", f"{VNET}/subnets/two", two)
    assert made.status == 201
    assert made.headers["Azure-AsyncOperation"]
    assert made.body["properties"]["privateEndpointNetworkPolicies"] == "Disabled"
    shown = await arm.get(VNET)
    assert [item["name"] for item in shown["properties"]["subnets"]] == ["one", "two"]
    assert shown["properties"]["subnets"][1] == made.body
    listed = (await arm.get(f"{VNET}/subnets"))["value"]
    assert [item["id"] for item in listed] == [f"{VNET}/subnets/one", f"{VNET}/subnets/two"]
    # A PUT that names no subnets keeps them, one that names some replaces them.
    await arm.put(VNET, network())
    assert len((await arm.get(VNET))["properties"]["subnets"]) == 2
    await arm.put(VNET, network(subnet("three", "10.0.3.0/24")))
    assert [item["name"] for item in (await arm.get(f"{VNET}/subnets"))["value"]] == ["three"]
    assert await refused(arm, "GET", f"{VNET}/subnets/one") == "ResourceNotFound"
    assert (await arm.ask("DELETE", f"{VNET}/SUBNETS/Three")).status == 200
    assert (await arm.ask("DELETE", f"{VNET}/subnets/three")).status == 204
    assert await refused(arm, "PUT", f"{NET}/virtualNetworks/no/subnets/x", two) == (
        "ResourceNotFound"
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (WEST | {"properties": {}}, "InvalidRequestFormat"),
        (network(space="10.0.0.0"), "NetcfgInvalidSubnet"),
        (network(space="10.0.0.1/16"), "InvalidCIDRNotation"),
        (network(space="ten"), "InvalidAddressPrefixFormat"),
        (network(subnet("a", "10.1.0.0/24")), "NetcfgInvalidSubnet"),
        (
            network(subnet("a", "10.0.0.0/24"), subnet("b", "10.0.0.128/25")),
            "NetcfgSubnetRangesOverlap",
        ),
        (network(subnet("a", "10.0.0.0/24"), subnet("A", "10.0.1.0/24")), "DuplicateResourceName"),
        (network({"name": "a"}), "NoAddressPrefixOrPoolProvided"),
        (
            network(subnet("a", "10.0.0.0/24", networkSecurityGroup={"id": f"{NET}/x/none"})),
            "InvalidResourceReference",
        ),
    ],
)
async def test_a_network_is_checked(arm: World, body: dict[str, Any], code: str) -> None:
    if code == "NetcfgInvalidSubnet" and "subnets" not in body["properties"]:
        body["properties"]["subnets"] = [subnet("a", "10.0.0.0/24")]
    assert await refused(arm, "PUT", VNET, body) == code


async def test_a_security_group_has_default_rules_and_children(arm: World) -> None:
    path = f"{NET}/networkSecurityGroups/nsg"
    made = await arm.put(path, WEST)
    assert len(made["properties"]["defaultSecurityRules"]) == 6
    rule = {"direction": "inbound", "access": "Deny", "protocol": "tcp", "priority": 100}
    assert (await arm.ask("PUT", f"{path}/securityRules/r", {"properties": rule})).status == 201
    [shown] = (await arm.get(path))["properties"]["securityRules"]
    assert (shown["name"], shown["properties"]["protocol"]) == ("r", "Tcp")
    twice = {"properties": rule}
    assert await refused(arm, "PUT", f"{path}/securityRules/s", twice) == "SecurityRuleConflict"
    low = {"properties": rule | {"priority": 99}}
    assert await refused(arm, "PUT", f"{path}/securityRules/t", low) == (
        "SecurityRuleInvalidPriority"
    )


async def test_a_private_endpoint_writes_its_records(arm: World) -> None:
    registry = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acrlab"
    await arm.put(registry, WEST | {"sku": {"name": "premium"}})
    await arm.put(VNET, network(subnet("ends", "10.0.0.0/28")))
    zone = f"{NET}/privateDnsZones/privatelink.azurecr.io"
    await arm.put(zone, {"location": "global"})
    link = {"location": "global", "properties": {"virtualNetwork": {"id": VNET.upper()}}}
    await arm.put(f"{zone}/virtualNetworkLinks/link", link)
    connection = {
        "name": "acr",
        "properties": {"privateLinkServiceId": registry, "groupIds": ["registry"]},
    }
    body = WEST | {
        "properties": {
            "subnet": {"id": f"{VNET}/subnets/ends"},
            "privateLinkServiceConnections": [connection],
        }
    }
    endpoint = f"{NET}/privateEndpoints/pe"
    made = await arm.put(endpoint, body)
    state = made["properties"]["privateLinkServiceConnections"][0]["properties"]
    assert state["privateLinkServiceConnectionState"]["status"] == "Approved"
    [config] = made["properties"]["customDnsConfigs"]
    assert config == {"fqdn": "acrlab.azurecr.io", "ipAddresses": ["10.0.0.4"]}
    nic = await arm.get(made["properties"]["networkInterfaces"][0]["id"])
    assert nic["properties"]["privateEndpoint"]["id"] == endpoint
    other = await arm.put(f"{NET}/privateEndpoints/pe2", body)
    assert other["properties"]["customDnsConfigs"][0]["ipAddresses"] == ["10.0.0.5"]
    assert (await arm.put(endpoint, body))["properties"]["customDnsConfigs"] == [config]
    groups = {"properties": {"privateDnsZoneConfigs": [{"name": "z"}]}}
    groups["properties"]["privateDnsZoneConfigs"][0]["properties"] = {"privateDnsZoneId": zone}  # type: ignore[assignment]
    await arm.put(f"{endpoint}/privateDnsZoneGroups/default", groups)
    record = await arm.get(f"{zone}/A/acrlab")
    assert record["properties"]["aRecords"] == [{"ipv4Address": "10.0.0.4"}]
    shown = (await arm.get(zone))["properties"]
    assert (shown["numberOfRecordSets"], shown["numberOfVirtualNetworkLinks"]) == (2, 1)
    # What is in use stays, unless all of it goes.
    assert await refused(arm, "DELETE", VNET) == "InUseSubnetCannotBeDeleted"
    assert await refused(arm, "DELETE", f"{VNET}/subnets/ends") == "InUseSubnetCannotBeDeleted"
    assert await refused(arm, "DELETE", zone) == "CannotDeleteResource"
    await arm.ask("DELETE", endpoint)
    assert await refused(arm, "GET", f"{zone}/A/acrlab") == "ResourceNotFound"
    assert (await arm.ask("DELETE", GROUP)).status == 202
    for _ in range(100):
        if not list(arm.arm.store.all()):
            break
        await asyncio.sleep(0.02)
    assert not list(arm.arm.store.all())


async def test_endpoints_and_zones_are_checked(arm: World) -> None:
    await arm.put(VNET, network(subnet("ends", "10.0.0.0/28")))
    body: dict[str, Any] = WEST | {"properties": {"subnet": {"id": f"{VNET}/subnets/ends"}}}
    path = f"{NET}/privateEndpoints/pe"
    assert await refused(arm, "PUT", path, body) == "PrivateEndpointMustHaveConnection"
    body["properties"]["subnet"]["id"] = f"{VNET}/subnets/none"
    assert await refused(arm, "PUT", path, body) == "InvalidResourceReference"
    zone = f"{NET}/privateDnsZones/a.b"
    assert await refused(arm, "PUT", zone, WEST) == "LocationNotAvailableForResourceType"
    assert await refused(arm, "PUT", f"{NET}/privateDnsZones/a", {"location": "global"}) == (
        "InvalidPrivateDnsZoneName"
    )


async def test_diagnostic_settings_lie_on_any_resource(arm: World) -> None:
    workspace = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
    await arm.put(workspace, WEST)
    await arm.put(f"{THINGS}/x", {})
    path = f"{THINGS}/x/providers/Microsoft.Insights/diagnosticSettings/all"
    body = {"properties": {"workspaceId": workspace, "logs": [{"categoryGroup": "allLogs"}]}}
    made = await arm.ask("PUT", path, body)
    assert made.status == 200
    assert made.body["properties"]["logs"][0]["enabled"] is False
    assert made.body["properties"]["metrics"] == []
    listed = await arm.get(path.rpartition("/")[0])
    assert [item["name"] for item in listed["value"]] == ["all"]
    assert await refused(arm, "PUT", path, {"properties": {}}) == "BadRequest"
    gone = {"properties": {**body["properties"], "workspaceId": f"{workspace}2"}}
    assert await refused(arm, "PUT", path, gone) == "InvalidResourceReference"
    tables = (await arm.get(f"{workspace}/tables"))["value"]
    assert "ContainerAppConsoleLogs_CL" in [table["name"] for table in tables]


async def test_a_registry_tells_its_admins_credentials_only_when_there_is_one(arm: World) -> None:
    path = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acrLab"
    made = await arm.put(path, WEST)
    assert made["sku"] == {"name": "Basic", "tier": "Basic"}
    assert "adminPasswords" not in made
    code = "UnAuthorizedForCredentialOperations"
    assert await refused(arm, "POST", f"{path}/listCredentials") == code
    await arm.ask("PATCH", path, {"properties": {"adminUserEnabled": True}})
    told = (await arm.ask("POST", f"{path}/listCredentials")).body
    assert told["username"] == "acrLab"
    body = {"name": "password2"}
    fresh = (await arm.ask("POST", f"{path}/regenerateCredential", body)).body
    assert fresh["passwords"][0] == told["passwords"][0]
    assert fresh["passwords"][1] != told["passwords"][1]
    assert await refused(arm, "PUT", path, WEST | {"sku": {"name": "Huge"}}) == "InvalidSku"
    again = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acrlab2"
    await arm.put(again, WEST)
    await arm.group("other")
    elsewhere = again.replace("Groups/g/", "Groups/other/")
    assert await refused(arm, "PUT", elsewhere, WEST) == "AlreadyInUse"


async def test_a_vault_has_an_address_and_a_name_of_its_own(arm: World) -> None:
    path = f"{GROUP}/providers/Microsoft.KeyVault/vaults/Kv-lab"
    made = (await arm.put(path, WEST))["properties"]
    assert made["vaultUri"] == "https://kv-lab.vault.azure.net/"
    assert (made["sku"]["name"], made["enableSoftDelete"]) == ("standard", True)
    check = "/providers/Microsoft.KeyVault/checkNameAvailability"
    subscription = GROUP.partition("/resourceGroups")[0]
    for name, reason in [("KV-LAB", "AlreadyExists"), ("a--b", "AccountNameInvalid"), ("kv2", "")]:
        answer = (await arm.ask("POST", subscription + check, {"name": name})).body
        assert (answer["nameAvailable"], answer.get("reason", "")) == (not reason, reason)
    await arm.group("other")
    elsewhere = path.replace("Groups/g/", "Groups/other/")
    assert await refused(arm, "PUT", elsewhere, WEST) == "VaultAlreadyExists"
    assert await refused(arm, "PUT", f"{path[:-3]}-", WEST) == "VaultNameNotValid"


async def test_a_public_address_has_the_name_that_its_label_gives_it(tmp_path: Path) -> None:
    async with world(tmp_path, Network()) as arm:
        await arm.group()
        path = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/ip"
        dns = {"domainNameLabel": "Shop"}
        made = await arm.put(path, {"location": "westeurope", "properties": {"dnsSettings": dns}})
        assert made["properties"]["dnsSettings"]["fqdn"] == "shop.westeurope.cloudapp.azure.com"


async def test_a_dynamic_address_is_there_as_long_as_an_interface_has_it(tmp_path: Path) -> None:
    async with world(tmp_path, Network()) as arm:
        await arm.group()
        at = f"{GROUP}/providers/Microsoft.Network"
        body = {"location": "westeurope", "sku": {"name": "Basic"}}
        made = await arm.put(f"{at}/publicIPAddresses/ip", body)
        assert made["properties"]["publicIPAllocationMethod"] == "Dynamic"
        assert "ipAddress" not in made["properties"]
        subnets = [{"name": "one", "properties": {"addressPrefix": "10.0.0.0/24"}}]
        space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": subnets}
        net = f"{at}/virtualNetworks/net"
        await arm.put(net, {"location": "westeurope", "properties": space})
        configs = [
            {
                "properties": {
                    "subnet": {"id": f"{net}/Subnets/One"},
                    "publicIPAddress": {"id": f"{at}/publicIPAddresses/IP"},
                }
            },
            {"properties": {"privateIPAddressVersion": "IPv6"}},
        ]
        interface = {"location": "westeurope", "properties": {"ipConfigurations": configs}}
        await arm.put(f"{at}/networkInterfaces/nic", interface)
        found = (await arm.get(f"{at}/publicIPAddresses/ip"))["properties"]
        assert found["ipAddress"].startswith("203.0.113.")
        await arm.ask("DELETE", f"{at}/networkInterfaces/nic")
        assert "ipAddress" not in (await arm.get(f"{at}/publicIPAddresses/ip"))["properties"]
