"""Private endpoints from their other end: the resource that they lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.arm.world import GROUP, World, world

NET = f"{GROUP}/providers/Microsoft.Network"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acr123"
ENDPOINT = f"{NET}/privateEndpoints/pe"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Network(), ContainerRegistry()) as made:
        await made.group()
        subnets = [{"name": "one", "properties": {"addressPrefix": "10.0.0.0/24"}}]
        space = {"addressPrefixes": ["10.0.0.0/16"]}
        properties = {"addressSpace": space, "subnets": subnets}
        where = {"location": "westeurope"}
        await made.put(f"{NET}/virtualNetworks/net", {**where, "properties": properties})
        await made.put(REGISTRY, {**where, "sku": {"name": "Premium"}})
        yield made


def endpoint(*, manual: bool = False) -> dict[str, Any]:
    connection = {
        "name": "to-registry",
        "properties": {"privateLinkServiceId": REGISTRY, "groupIds": ["registry"]},
    }
    name = "manualPrivateLinkServiceConnections" if manual else "privateLinkServiceConnections"
    return {
        "location": "westeurope",
        "properties": {
            "subnet": {"id": f"{NET}/virtualNetworks/net/subnets/one"},
            name: [connection],
        },
    }


async def test_the_resource_shows_who_is_connected_to_it(arm: World) -> None:
    assert (await arm.get(f"{REGISTRY}/privateEndpointConnections"))["value"] == []
    await arm.put(ENDPOINT, endpoint())
    [listed] = (await arm.get(f"{REGISTRY}/privateEndpointConnections"))["value"]
    assert listed["properties"]["privateEndpoint"]["id"] == ENDPOINT
    assert listed["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert await arm.get(listed["id"].upper().replace("/SUBSCR", "/subscr")) == listed
    assert (await arm.get(REGISTRY))["properties"]["privateEndpointConnections"] == [listed]
    await arm.ask("DELETE", ENDPOINT)
    assert (await arm.get(REGISTRY))["properties"]["privateEndpointConnections"] == []


async def test_the_resource_answers_and_ends_a_connection(arm: World) -> None:
    await arm.put(ENDPOINT, endpoint(manual=True))
    [listed] = (await arm.get(f"{REGISTRY}/privateEndpointConnections"))["value"]
    state = {"status": "Rejected", "description": "not you"}
    listed["properties"]["privateLinkServiceConnectionState"] = state
    answered = await arm.put(listed["id"], listed)
    assert answered["properties"]["privateLinkServiceConnectionState"]["status"] == "Rejected"
    # A deployment of the same endpoint does not take the answer back.
    again = await arm.put(ENDPOINT, endpoint(manual=True))
    [connection] = again["properties"]["manualPrivateLinkServiceConnections"]
    kept = connection["properties"]["privateLinkServiceConnectionState"]
    assert (kept["status"], kept["description"]) == ("Rejected", "not you")
    for odd in ({}, [1], True, {"privateLinkServiceConnectionState": "Approved"}):
        with pytest.raises(ArmError) as caught:
            await arm.put(listed["id"], {"properties": odd})
        assert caught.value.status == 400
    assert (await arm.ask("DELETE", listed["id"])).status == 200
    assert (await arm.ask("DELETE", listed["id"])).status == 204
    assert (await arm.get(f"{REGISTRY}/privateEndpointConnections"))["value"] == []


async def test_an_answer_is_that_of_one_resource(arm: World) -> None:
    await arm.put(f"{REGISTRY}b", {"location": "westeurope", "sku": {"name": "Premium"}})
    await arm.put(ENDPOINT, endpoint())
    [listed] = (await arm.get(f"{REGISTRY}/privateEndpointConnections"))["value"]
    for status in ("Rejected", "Disconnected"):
        state = {"privateLinkServiceConnectionState": {"status": status}}
        answered = await arm.put(listed["id"], {"properties": state})
        assert answered["properties"]["privateLinkServiceConnectionState"]["status"] == status
    other = endpoint()
    [connection] = other["properties"]["privateLinkServiceConnections"]
    connection["properties"]["privateLinkServiceId"] = f"{REGISTRY}b"
    await arm.put(ENDPOINT, other)
    [listed] = (await arm.get(f"{REGISTRY}b/privateEndpointConnections"))["value"]
    assert listed["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"


async def test_only_what_takes_endpoints_is_connected(arm: World) -> None:
    await arm.put(f"{REGISTRY}b", {"location": "westeurope", "sku": {"name": "Basic"}})
    cheap, other = endpoint(), endpoint()
    connection = cheap["properties"]["privateLinkServiceConnections"][0]["properties"]
    connection["privateLinkServiceId"] = f"{REGISTRY}b"
    with pytest.raises(ArmError, match="tier Premium alone; 'acr123b' is Basic"):
        await arm.put(ENDPOINT, cheap)
    connection = other["properties"]["privateLinkServiceConnections"][0]["properties"]
    connection["groupIds"] = ["repository"]
    with pytest.raises(ArmError, match="'repository' is not valid: it is one of registry"):
        await arm.put(ENDPOINT, other)


async def test_what_an_endpoint_can_lead_to_is_told(arm: World) -> None:
    [group] = (await arm.get(f"{REGISTRY}/privateLinkResources"))["value"]
    assert group["properties"] == {
        "groupId": "registry",
        "requiredMembers": ["registry", "registry_data_westeurope"],
        "requiredZoneNames": ["privatelink.azurecr.io"],
    }
    assert await arm.get(f"{REGISTRY}/privateLinkResources/registry") == group
    with pytest.raises(ArmError, match="acr123x"):
        await arm.get(f"{REGISTRY}x/privateLinkResources/registry")


async def test_an_interface_has_a_free_address_of_its_subnet_and_keeps_it(arm: World) -> None:
    subnet = {"id": f"{NET}/virtualNetworks/net/subnets/one"}

    def interface(*names: str) -> dict[str, Any]:
        configs = [{"name": name, "properties": {"subnet": subnet}} for name in names]
        return {"location": "westeurope", "properties": {"ipConfigurations": configs}}

    def addresses(found: dict[str, Any]) -> list[str]:
        configs = found["properties"]["ipConfigurations"]
        return [config["properties"]["privateIPAddress"] for config in configs]

    await arm.put(ENDPOINT, endpoint())
    first = await arm.put(f"{NET}/networkInterfaces/a", interface("x", "y"))
    assert addresses(first) == ["10.0.0.5", "10.0.0.6"]
    assert first["properties"]["ipConfigurations"][0]["id"].endswith("/a/ipConfigurations/x")
    assert addresses(await arm.put(f"{NET}/networkInterfaces/b", interface("x"))) == ["10.0.0.7"]
    assert addresses(await arm.put(f"{NET}/networkInterfaces/a", interface("y"))) == ["10.0.0.6"]
    subnet["id"] += "-none"
    with pytest.raises(ArmError) as caught:
        await arm.put(f"{NET}/networkInterfaces/c", interface("x"))
    assert caught.value.code == "InvalidResourceReference"


async def test_addresses_that_are_asked_for_at_once_are_not_given_twice(arm: World) -> None:
    subnet = {"id": f"{NET}/virtualNetworks/net/subnets/one"}
    target = {"privateLinkServiceId": REGISTRY, "groupIds": ["registry"]}
    link = [{"name": "l", "properties": target}]
    endpoint = {"subnet": subnet, "privateLinkServiceConnections": link}
    interface = {"ipConfigurations": [{"name": "c", "properties": {"subnet": subnet}}]}
    where = {"location": "westeurope"}
    made = await asyncio.gather(
        *(
            arm.put(f"{NET}/{path}{number}", {**where, "properties": properties})
            for path, properties in (
                ("privateEndpoints/p", endpoint),
                ("networkInterfaces/n", interface),
            )
            for number in range(4)
        )
    )
    given = []
    for item in made:
        properties = item["properties"]
        for config in properties.get("ipConfigurations") or ():
            given.append(config["properties"]["privateIPAddress"])
        for config in properties.get("customDnsConfigs") or ():
            given += config["ipAddresses"]
    assert sorted(given) == sorted(set(given))
    assert len(given) == 8
