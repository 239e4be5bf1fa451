"""Moving resources to another group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.network.networks import Network
from tests.unit.arm.world import GROUP, SUBSCRIPTION, THINGS, World, world

SUB = f"/subscriptions/{SUBSCRIPTION}"
OTHER = f"{SUB}/resourceGroups/Other"
THERE = f"{OTHER}/providers/Microsoft.Portal/dashboards"
AUTH = "providers/Microsoft.Authorization"
NETWORK = "providers/Microsoft.Network"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
SOMEBODY = "aaaaaaaa-0000-0000-0000-000000000001"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Authorization({SOMEBODY: "User"}.get), Network()) as made:
        await made.group()
        await made.group("Other")
        yield made


async def begin(arm: World, *ids: str, action: str = "moveResources", to: str = OTHER) -> Any:
    return await arm.ask(
        "POST", f"{GROUP}/{action}", {"resources": list(ids), "targetResourceGroup": to}
    )


async def move(arm: World, *ids: str, action: str = "moveResources", to: str = OTHER) -> int:
    """The status at the end of the operation."""
    reply = await begin(arm, *ids, action=action, to=to)
    assert reply.status == 202
    end = await arm.ask("GET", reply.headers["Location"].removeprefix("https://here"))
    return end.status


async def refused(
    arm: World, *ids: str, action: str = "moveResources", to: str = OTHER
) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await move(arm, *ids, action=action, to=to)
    return caught.value


async def test_a_resource_moves_with_what_lies_in_it(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {"tags": {"a": "b"}, "properties": {"own": f"{THINGS}/X/parts/p"}})
    await arm.put(f"{THINGS}/x/parts/p", {"properties": {"n": 1}})
    await arm.put(f"{THINGS}/x/{AUTH}/locks/l", {"properties": {"level": "CanNotDelete"}})
    await arm.put(f"{THINGS}/other", {"properties": {"friend": f"{THINGS}/x"}})
    assert await move(arm, f"{THINGS}/x", action="validateMoveResources") == 204
    assert (await arm.get(f"{THINGS}/x"))["tags"] == {"a": "b"}
    before = (await arm.ask("GET", f"{THINGS}/x")).headers["ETag"]
    # Ids are written in any case; the group keeps its own.
    assert await move(arm, f"{THINGS}/X", to=OTHER.upper()) == 204
    with pytest.raises(ArmError):
        await arm.get(f"{THINGS}/x")
    reply = await arm.ask("GET", f"{THERE}/x")
    assert reply.headers["ETag"] != before
    assert reply.body["id"] == f"{THERE}/x"
    assert reply.body["tags"] == {"a": "b"}
    assert reply.body["properties"]["own"] == f"{THERE}/x/parts/p"
    assert (await arm.get(f"{THERE}/x/parts/p"))["properties"]["n"] == 1
    assert (await arm.get(f"{THERE}/x/{AUTH}/locks/l"))["id"].startswith(THERE)
    # Who mentions it elsewhere has to be changed by whoever wrote it.
    assert (await arm.get(f"{THINGS}/other"))["properties"]["friend"] == f"{THINGS}/x"
    listed = (await arm.get(f"{OTHER}/resources"))["value"]
    assert [item["id"] for item in listed] == [f"{THERE}/x"]


async def test_role_assignments_stay_behind(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    role = f"/{AUTH}/roleDefinitions/{CONTRIBUTOR}"
    await arm.put(
        f"{THINGS}/x/{AUTH}/roleAssignments/00000000-0000-0000-0000-000000000001",
        {"properties": {"roleDefinitionId": role, "principalId": SOMEBODY}},
    )
    access = Access(arm.arm.store, built_in)
    assert await move(arm, f"{THINGS}/x") == 204
    assert not access.allows(SOMEBODY, "Microsoft.Portal/dashboards/write", f"{THERE}/x")
    assert (await arm.get(f"{THERE}/x/{AUTH}/roleAssignments?$filter=atScope()"))["value"] == []


async def test_all_of_them_move_or_none(arm: World) -> None:
    identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me-me"
    await arm.put(f"{THINGS}/x", {})
    await arm.put(f"{THINGS}/x/parts/p", {})
    await arm.put(f"{THERE}/taken", {})
    await arm.put(f"{THINGS}/taken", {})
    await arm.put(identity, {"location": "westeurope"})
    for action in ("validateMoveResources", "moveResources"):
        error = await refused(
            arm, f"{THINGS}/x", identity, f"{THINGS}/taken", f"{THINGS}/x/parts/p", action=action
        )
        assert (error.status, error.code) == (409, "ResourceMoveValidationFailed")
        assert "has '3' validation errors" in error.message
        assert [(item.code, item.target) for item in error.details] == [
            ("ResourceMoveNotSupported", identity),
            ("ResourceAlreadyExists", f"{THINGS}/taken"),
            ("ResourceMoveNotSupported", f"{THINGS}/x/parts/p"),
        ]
        assert error.details[0].message == (
            "Resource move is not supported for resource types "
            "'Microsoft.ManagedIdentity/userAssignedIdentities'."
        )
        assert await arm.get(f"{THINGS}/x")


async def test_what_is_wrong_with_the_request_is_told_at_once(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    for action in ("validateMoveResources", "moveResources"):

        async def code(*ids: str, to: Any = OTHER, action: str = action) -> tuple[int, str]:
            with pytest.raises(ArmError) as caught:
                await begin(arm, *ids, action=action, to=to)
            return caught.value.status, caught.value.code

        x = f"{THINGS}/x"
        assert await code(x, to=f"{SUB}/resourceGroups/none") == (404, "ResourceGroupNotFound")
        elsewhere = "/subscriptions/22222222-0000-0000-0000-000000000000/resourceGroups/Other"
        assert await code(x, to=elsewhere) == (404, "SubscriptionNotFound")
        assert await code(x, to=x) == (404, "ResourceGroupNotFound")
        assert await code(f"{THINGS}/none") == (404, "ResourceNotFound")
        assert await code(x, to=GROUP) == (400, "InvalidResourceMoveRequest")
        assert await code(x, to=None) == (400, "InvalidRequestContent")
        assert await code() == (400, "InvalidRequestContent")
        await arm.put(f"{THERE}/there", {})
        assert await code(f"{THERE}/there") == (400, "InvalidResourceMoveRequest")


@pytest.mark.parametrize("at", [GROUP, OTHER, f"{THINGS}/x", f"{THINGS}/x/parts/p"])
async def test_a_read_only_lock_forbids_it(arm: World, at: str) -> None:
    await arm.put(f"{THINGS}/x", {})
    await arm.put(f"{THINGS}/x/parts/p", {})
    await arm.put(f"{THERE}/beside", {})
    for lock, level in ((at, "CanNotDelete"), (f"{THERE}/beside", "ReadOnly")):
        await arm.put(f"{lock}/{AUTH}/locks/l", {"properties": {"level": level}})
    assert await move(arm, f"{THINGS}/x", action="validateMoveResources") == 204
    await arm.put(f"{at}/{AUTH}/locks/l", {"properties": {"level": "ReadOnly"}})
    error = await refused(arm, f"{THINGS}/x")
    assert (error.status, error.code) == (409, "ScopeLocked")
    assert at in error.message


async def test_the_target_group_wants_a_right(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    role = f"/{AUTH}/roleDefinitions/{CONTRIBUTOR}"

    async def grant(at: str, number: int) -> None:
        path = f"{at}/{AUTH}/roleAssignments/00000000-0000-0000-0000-00000000000{number}"
        properties = {"roleDefinitionId": role, "principalId": SOMEBODY}
        await arm.put(path, {"properties": properties})

    await grant(GROUP, 1)
    arm.arm.access = Access(arm.arm.store, built_in, ["someone"])
    arm.caller = SOMEBODY
    error = await refused(arm, f"{THINGS}/x")
    assert (error.status, error.code) == (403, "LinkedAuthorizationFailed")
    arm.caller = "someone"
    await grant(OTHER, 2)
    arm.caller = SOMEBODY
    assert await move(arm, f"{THINGS}/x") == 204


async def test_networks_move_with_what_hangs_on_them(arm: World) -> None:
    group = f"{GROUP}/{NETWORK}/networkSecurityGroups/nsg"
    network = f"{GROUP}/{NETWORK}/virtualNetworks/vnet"
    zone = f"{GROUP}/{NETWORK}/privateDnsZones/a.example"
    await arm.put(group, {"location": "westeurope"})
    subnet = {
        "name": "s",
        "properties": {"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": {"id": group}},
    }
    body = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [subnet]}
    await arm.put(network, {"location": "westeurope", "properties": body})
    await arm.put(zone, {"location": "global"})
    link = {"virtualNetwork": {"id": network}, "registrationEnabled": False}
    await arm.put(f"{zone}/virtualNetworkLinks/l", {"location": "global", "properties": link})
    for alone, other in ((network, group), (group, network)):
        error = await refused(arm, alone)
        assert error.details[0].code == "MissingMoveDependentResources"
        assert other in error.details[0].message
    assert await move(arm, network, group) == 204
    found = await arm.get(f"{OTHER}/{NETWORK}/virtualNetworks/vnet/subnets/s")
    there = f"{OTHER}/{NETWORK}/networkSecurityGroups/nsg"
    assert found["properties"]["networkSecurityGroup"] == {"id": there}
    linked = (await arm.get(f"{zone}/virtualNetworkLinks/l"))["properties"]
    assert linked["virtualNetwork"]["id"] == f"{OTHER}/{NETWORK}/virtualNetworks/vnet"


async def test_two_moves_across_do_not_wait_for_each_other(arm: World) -> None:
    for name in "abcdef":
        await arm.put(f"{THINGS}/{name}", {})
    ids = [f"{THINGS}/{name}" for name in "abcdef"]
    done = await asyncio.wait_for(
        asyncio.gather(move(arm, *ids), move(arm, *reversed(ids)), return_exceptions=True),
        10,
    )
    assert 204 in done
    assert len((await arm.get(THERE))["value"]) == 6
