"""Management groups: a tree with the tenant at its root, and the subscription somewhere in it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.management_groups import ManagementGroups, scopes_above
from tests.unit.arm.world import GROUP, SUBSCRIPTION, TENANT, World, world

GROUPS = "/providers/Microsoft.Management/managementGroups"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
TOP, SUB = f"{GROUPS}/top", f"{GROUPS}/sub"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, ManagementGroups(), Authorization()) as made:
        yield made


def below(parent: str | None, name: str) -> dict[str, Any]:
    details = {"parent": {"id": parent}} if parent else {}
    return {"properties": {"displayName": name, "details": details}}


async def test_a_group_is_made_and_deleted_by_operations(arm: World) -> None:
    made = await arm.ask("PUT", TOP, below(None, "Top"))
    assert made.status == 202
    assert made.headers["Location"]
    assert made.headers["Azure-AsyncOperation"]
    assert made.body["properties"]["details"]["parent"]["displayName"] == "Tenant Root Group"
    again = await arm.ask("PUT", TOP, below(None, "Higher"))
    assert (again.status, again.body["properties"]["displayName"]) == (200, "Higher")
    patched = (await arm.ask("PATCH", TOP, {"displayName": "Highest"})).body
    assert patched["properties"]["displayName"] == "Highest"
    assert patched["properties"]["details"]["version"] == 3
    assert (await arm.ask("DELETE", TOP)).status == 202
    assert (await arm.ask("DELETE", TOP)).status == 204


async def test_the_tree_is_told_from_both_ends(arm: World) -> None:
    await arm.put(TOP, below(None, "Top"))
    await arm.put(SUB, below(TOP, "Sub"))
    await arm.put(f"{SUB}/subscriptions/{SUBSCRIPTION}")
    details = (await arm.get(SUB))["properties"]["details"]
    assert details["managementGroupAncestors"] == ["top", TENANT]
    assert [it["name"] for it in details["path"]] == [TENANT, "top", "sub"]
    top = await arm.get(f"{TOP}?$expand=children&$recurse=true")
    [child] = top["properties"]["children"]
    assert [it["type"] for it in child["children"]] == ["/subscriptions"]
    found = (await arm.get(f"{TOP}/descendants"))["value"]
    assert [it["name"] for it in found] == ["sub", SUBSCRIPTION]
    listed = (await arm.get(GROUPS))["value"]
    assert {it["name"] for it in listed} == {TENANT, "top", "sub"}
    entities = (await arm.ask("POST", "/providers/Microsoft.Management/getEntities")).body["value"]
    [own] = [it for it in entities if it["type"] == "/subscriptions"]
    assert own["properties"]["parentNameChain"] == [TENANT, "top", "sub"]
    with pytest.raises(ArmError, match="has children"):
        await arm.ask("DELETE", SUB)
    assert (await arm.ask("DELETE", f"{SUB}/subscriptions/{SUBSCRIPTION}")).status == 200
    [home] = (await arm.get(f"{GROUPS}/{TENANT}/subscriptions"))["value"]
    assert home["name"] == SUBSCRIPTION


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{GROUPS}/x", {"properties": {"details": 1}}),
        (f"{GROUPS}/x", {"properties": {"details": {"parent": [GROUPS]}}}),
        (f"{GROUPS}/a b", below(None, "x")),
        (f"{GROUPS}/x", below(f"{GROUPS}/nowhere", "x")),
        (TOP, below(SUB, "below its own child")),
        (f"{SUB}/subscriptions/another", {}),
    ],
)
async def test_what_makes_no_tree_is_refused(arm: World, path: str, body: dict[str, Any]) -> None:
    await arm.put(TOP, below(None, "Top"))
    await arm.put(SUB, below(TOP, "Sub"))
    with pytest.raises(ArmError):
        await arm.put(path, body)


async def test_two_moves_at_once_make_no_circle(arm: World) -> None:
    await arm.put(TOP, below(None, "Top"))
    await arm.put(SUB, below(None, "Sub"))
    moves = await asyncio.gather(
        arm.ask("PATCH", TOP, {"parentGroupId": SUB}),
        arm.ask("PATCH", SUB, {"parentGroupId": TOP}),
        return_exceptions=True,
    )
    refused = [move for move in moves if isinstance(move, ArmError)]
    assert [error.status for error in refused] == [400]
    found = (await arm.ask("POST", "/providers/Microsoft.Management/getEntities")).body["value"]
    assert len(found) == 4


async def test_what_is_below_a_group_that_moves_counts_too(arm: World) -> None:
    for name in ("a", "b"):
        above: str | None = None
        for level in range(4):
            path = f"{GROUPS}/{name}{level}"
            await arm.put(path, below(above, path))
            above = path
    with pytest.raises(ArmError, match="at most 6 levels"):
        await arm.ask("PATCH", f"{GROUPS}/b0", {"parentGroupId": f"{GROUPS}/a2"})
    await arm.ask("PATCH", f"{GROUPS}/b0", {"parentGroupId": f"{GROUPS}/a1"})
    details = (await arm.get(f"{GROUPS}/b3"))["properties"]["details"]
    assert len(details["path"]) == 7


async def test_the_root_is_a_scope_like_others(arm: World) -> None:
    lock = f"{GROUPS}/{TENANT}/providers/Microsoft.Authorization/locks/stay"
    await arm.put(lock, {"properties": {"level": "CanNotDelete"}})
    assert (await arm.get(lock))["properties"]["level"] == "CanNotDelete"
    with pytest.raises(ArmError) as caught:
        await arm.put(lock.replace(TENANT, "nowhere"), {"properties": {"level": "CanNotDelete"}})
    assert caught.value.status == 404


async def test_roles_at_a_group_hold_for_what_lies_in_it(arm: World) -> None:
    await arm.put(TOP, below(None, "Top"))
    await arm.put(SUB, below(TOP, "Sub"))
    await arm.group()
    for scope in (TOP, f"{GROUPS}/{TENANT}"):
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        role = f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"
        who = str(uuid.uuid4())
        await arm.put(path, {"properties": {"roleDefinitionId": role, "principalId": who}})
        access = Access(arm.arm.store, built_in, above=partial(scopes_above, arm.arm.store, TENANT))
        read = "Microsoft.Resources/subscriptions/resourceGroups/read"
        assert access.allows(who, read, SUB.upper())
        assert access.allows(who, read, GROUP) is (scope != TOP)
        await arm.put(f"{SUB}/subscriptions/{SUBSCRIPTION}")
        assert access.allows(who, read, GROUP)
        assert access.has_any(who, GROUP)
        assert access.permissions(who, GROUP)
        assert access.allows(who, read, f"{GROUPS}/other") is (scope != TOP)
        await arm.ask("DELETE", f"{SUB}/subscriptions/{SUBSCRIPTION}")


async def test_who_asks_is_told_of_what_they_may_see(arm: World) -> None:
    for path, above in ((TOP, None), (SUB, TOP), (f"{GROUPS}/other", None)):
        await arm.put(path, below(above, path))
    await arm.put(f"{SUB}/subscriptions/{SUBSCRIPTION}")
    role = "/providers/Microsoft.Authorization/roleDefinitions"
    who = {"principalId": str(uuid.UUID(int=7)), "roleDefinitionId": f"{role}/{READER}"}
    at = f"{SUB}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    await arm.put(at, {"properties": who})
    store = arm.arm.store
    arm.arm.access = Access(store, built_in, ["someone"], partial(scopes_above, store, TENANT))

    async def entities() -> dict[str, Any]:
        found = (await arm.ask("POST", "/providers/Microsoft.Management/getEntities")).body["value"]
        return {it["name"]: it["properties"] for it in found}

    assert set(await entities()) == {TENANT, "top", "sub", "other", SUBSCRIPTION}
    assert (await entities())["sub"]["permissions"] == "delete"
    arm.caller = who["principalId"]
    mine = await entities()
    assert set(mine) == {"sub", SUBSCRIPTION}
    assert mine["sub"]["permissions"] == "view"
    assert mine["sub"]["inheritedPermissions"] == "noaccess"
    assert mine[SUBSCRIPTION]["inheritedPermissions"] == "view"
    assert [it["name"] for it in (await arm.get(GROUPS))["value"]] == ["sub"]
    arm.caller = "nobody"
    assert await entities() == {}
