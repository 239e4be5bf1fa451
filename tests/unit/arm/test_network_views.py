"""What of a network follows from others: peerings, free addresses, the rules of each group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.providers.network.networks import Network
from tests.unit.arm.world import GROUP, World, world

NET = f"{GROUP}/providers/Microsoft.Network"
ONE, TWO = f"{NET}/virtualNetworks/one", f"{NET}/virtualNetworks/two"


def network(space: str) -> dict[str, Any]:
    subnet = {"name": "ends", "properties": {"addressPrefix": space.replace("/16", "/29")}}
    properties = {"addressSpace": {"addressPrefixes": [space]}, "subnets": [subnet]}
    return {"location": "westeurope", "properties": properties}


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Network(), Deployments()) as made:
        await made.group()
        await made.put(ONE, network("10.1.0.0/16"))
        await made.put(TWO, network("10.2.0.0/16"))
        yield made


def peering(remote: str) -> dict[str, Any]:
    return {"properties": {"remoteVirtualNetwork": {"id": remote}}}


async def test_a_peering_is_connected_when_both_want_it(arm: World) -> None:
    made = await arm.put(f"{ONE}/virtualNetworkPeerings/to-two", peering(TWO))
    assert made["properties"]["peeringState"] == "Initiated"
    assert made["properties"]["remoteAddressSpace"] == {"addressPrefixes": ["10.2.0.0/16"]}
    await arm.put(f"{TWO}/virtualNetworkPeerings/to-one", peering(ONE.upper()))
    [inside] = (await arm.get(ONE))["properties"]["virtualNetworkPeerings"]
    assert inside["properties"]["peeringState"] == "Connected"
    # A network that is written without its peerings keeps them.
    await arm.put(TWO, network("10.2.0.0/16"))
    [listed] = (await arm.get(f"{TWO}/virtualNetworkPeerings"))["value"]
    assert listed["properties"]["peeringSyncLevel"] == "FullyInSync"
    await arm.ask("DELETE", f"{ONE}/virtualNetworkPeerings/to-two")
    assert (await arm.get(listed["id"]))["properties"]["peeringState"] == "Initiated"
    await arm.ask("DELETE", ONE)
    assert (await arm.get(listed["id"]))["properties"]["peeringState"] == "Disconnected"
    # Its network can be changed all the same.
    await arm.put(f"{TWO}/subnets/more", {"properties": {"addressPrefix": "10.2.9.0/24"}})
    with pytest.raises(ArmError, match="to itself"):
        await arm.put(f"{TWO}/virtualNetworkPeerings/self", peering(TWO))


async def test_whether_an_address_is_free_is_told(arm: World) -> None:
    check = f"{ONE}/CheckIPAddressAvailability?ipaddress="
    free = await arm.get(f"{check}10.1.0.4")
    assert free == {"available": True, "availableIPAddresses": [], "isPlatformReserved": False}
    kept = await arm.get(f"{check}10.1.0.1")
    assert (kept["available"], kept["isPlatformReserved"]) == (False, True)
    assert kept["availableIPAddresses"] == ["10.1.0.4", "10.1.0.5", "10.1.0.6"]
    for wrong in ("10.9.0.1", "x"):
        with pytest.raises(ArmError):
            await arm.get(f"{check}{wrong}")
    [usage] = (await arm.get(f"{ONE}/usages"))["value"]
    assert (usage["currentValue"], usage["limit"]) == (0, 3)


async def test_the_rules_of_each_group_are_listed(arm: World) -> None:
    group = f"{NET}/networkSecurityGroups/nsg"
    await arm.put(group, {"location": "westeurope"})
    listed = (await arm.get(f"{group}/defaultSecurityRules"))["value"]
    assert len(listed) == 6
    assert await arm.get(listed[0]["id"]) == listed[0]
    with pytest.raises(ArmError) as caught:
        await arm.put(listed[0]["id"], {})
    assert caught.value.status == 405


async def test_peerings_of_an_older_state_are_shown(arm: World) -> None:
    """They were kept as they came: without ids, and without an other network, too."""
    record = arm.arm.store.record(ONE)
    assert record is not None
    body = record.read()
    body["properties"]["virtualNetworkPeerings"] = [{"name": "bare"}, {"name": "p", **peering(TWO)}]
    await arm.arm.store.write(put=[(record.id, body, "tag")])
    assert len((await arm.get(f"{NET}/virtualNetworks"))["value"]) == 2
    bare, known = (await arm.get(f"{ONE}/virtualNetworkPeerings"))["value"]
    assert bare["properties"]["peeringState"] == "Disconnected"
    assert known["properties"]["peeringState"] == "Initiated"
    again = await arm.put(f"{ONE}/virtualNetworkPeerings/bare", peering(TWO))
    assert again["properties"]["peeringState"] == "Initiated"


async def test_what_an_older_version_stored_beside_its_parent_becomes_part_of_it(
    arm: World, tmp_path: Path
) -> None:
    store = arm.arm.store
    for path in (
        f"{ONE}/virtualNetworkPeerings/old",
        f"{ONE}/virtualNetworkPeerings/known",
        f"{NET}/virtualNetworks/gone/virtualNetworkPeerings/orphan",
    ):
        id = parse(path)
        body = {"id": id.text, "name": id.name, "type": id.type, **peering(TWO)}
        await store.write(put=[(id, body, "tag")])
    known = peering(TWO)
    known["properties"]["allowForwardedTraffic"] = True
    await arm.put(f"{ONE}/virtualNetworkPeerings/known", known)
    for _ in range(2):
        await arm.arm.open()
        found = (await arm.get(f"{ONE}/virtualNetworkPeerings"))["value"]
        assert {it["name"]: it["properties"].get("allowForwardedTraffic") for it in found} == {
            "known": True,
            "old": None,
        }
    assert await arm.get(f"{ONE}/virtualNetworkPeerings/old")
    again = await arm.put(f"{ONE}/virtualNetworkPeerings/old", peering(TWO))
    assert again["properties"]["peeringState"] == "Initiated"
    assert not store.records(parse(f"{ONE}/virtualNetworkPeerings/old").type)


async def test_a_group_with_a_peering_of_an_older_state_is_exported(arm: World) -> None:
    id = parse(f"{ONE}/virtualNetworkPeerings/old")
    body = {"id": id.text, "name": id.name, "type": id.type, **peering(TWO)}
    await arm.arm.store.write(put=[(id, body, "tag")])
    exported = (await arm.ask("POST", f"{GROUP}/exportTemplate", {"resources": ["*"]})).body
    assert len(exported["template"]["resources"]) == 2
