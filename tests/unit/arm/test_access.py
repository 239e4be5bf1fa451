"""Who may do what: permissions, scopes, what a request is called."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.localcloud.arm.access import Access, operation
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import Call
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.service_bus_access import ServiceBusAccess
from orchestrator.localcloud.servicebus.model import Right
from tests.unit.arm.world import GROUP, SUBSCRIPTION, THINGS, World, world

SUB = f"/subscriptions/{SUBSCRIPTION}"
WHO = "aaaaaaaa-0000-0000-0000-000000000001"
BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/Bus"
ROLES = {
    "owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "job operator": "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b",
    "data owner": "090c5cfd-751d-490a-894a-3ce6f1109419",
    "sender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "receiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
}


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Authorization()) as made:
        await made.group()
        yield made


async def give(arm: World, role: str, scope: str, who: str = WHO) -> str:
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
    await arm.put(path, {"properties": {"roleDefinitionId": definition, "principalId": who}})
    return path


@pytest.mark.parametrize(
    ("method", "path", "name", "scope"),
    [
        ("GET", f"{GROUP}/providers/Microsoft.App/jobs/j", "Microsoft.App/jobs/read", "same"),
        ("GET", f"{GROUP}/providers/Microsoft.App/jobs", "Microsoft.App/jobs/read", GROUP),
        ("PATCH", f"{GROUP}/providers/Microsoft.App/jobs/j", "Microsoft.App/jobs/write", "same"),
        (
            "POST",
            f"{GROUP}/providers/Microsoft.App/jobs/j/start",
            "Microsoft.App/jobs/start/action",
            f"{GROUP}/providers/Microsoft.App/jobs/j",
        ),
        ("DELETE", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/delete", GROUP),
        (
            "GET",
            f"{GROUP}/resources",
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
            GROUP,
        ),
        (
            "POST",
            f"{SUB}/providers/Microsoft.ServiceBus/checkNameAvailability",
            "Microsoft.ServiceBus/checkNameAvailability/action",
            SUB,
        ),
    ],
)
def test_a_request_is_called_as_roles_call_it(
    method: str, path: str, name: str, scope: str
) -> None:
    found = operation(method, parse(path))
    assert (found[0], found[1].text) == (name, path if scope == "same" else scope)


@pytest.mark.parametrize(
    ("role", "action", "allowed"),
    [
        ("owner", "Microsoft.Authorization/roleAssignments/write", True),
        ("contributor", "Microsoft.App/jobs/write", True),
        ("contributor", "Microsoft.Authorization/roleAssignments/write", False),
        ("contributor", "microsoft.authorization/roleassignments/READ", True),
        ("reader", "Microsoft.App/jobs/read", True),
        ("reader", "Microsoft.App/jobs/start/action", False),
        ("job operator", "Microsoft.App/jobs/start/action", True),
        ("job operator", "Microsoft.App/jobs/executions/read", True),
        ("job operator", "Microsoft.App/jobs/write", False),
    ],
)
async def test_roles_allow_what_their_permissions_name(
    arm: World, role: str, action: str, allowed: bool
) -> None:
    access = Access(arm.arm.store, built_in)
    scope = f"{GROUP}/providers/Microsoft.App/jobs/j"
    assert not access.allows(WHO, action, scope)
    path = await give(arm, role, GROUP)
    assert access.allows(WHO.upper(), action, scope) is allowed
    assert not access.allows(WHO, action, f"{SUB}/resourceGroups/g2")
    assert not access.allows(str(uuid.uuid4()), action, scope)
    # Data actions are something else.
    assert not access.allows(WHO, action, scope, data=True)
    await arm.ask("DELETE", path)
    assert not access.allows(WHO, action, scope)


async def test_a_role_of_ones_own_holds_and_changes(arm: World) -> None:
    access = Access(arm.arm.store, built_in)
    guid = str(uuid.uuid4())
    definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{guid}"

    async def define(*not_actions: str) -> None:
        permission = {"actions": ["Microsoft.Portal/*"], "notActions": list(not_actions)}
        body = {"properties": {"roleName": "lab", "permissions": [permission]}}
        await arm.put(definition, body)

    await define("*/delete")
    ROLES["lab"] = guid
    await give(arm, "lab", SUB)
    assert access.allows(WHO, "Microsoft.Portal/dashboards/write", f"{THINGS}/x")
    assert not access.allows(WHO, "Microsoft.Portal/dashboards/delete", f"{THINGS}/x")
    await define()
    assert access.allows(WHO, "Microsoft.Portal/dashboards/delete", f"{THINGS}/x")


async def test_requests_without_a_role_are_refused(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    await arm.group("other")
    await give(arm, "reader", GROUP)
    arm.arm.access = Access(arm.arm.store, built_in, ["someone"])

    async def ask(method: str, path: str, who: str = WHO) -> object:
        call = Call(method, parse(path), arm.arm, body={}, claims={"oid": who, "appid": "app"})
        return (await arm.arm.dispatch(call)).body

    assert await ask("GET", f"{THINGS}/x")
    for method, path in [
        ("PUT", f"{THINGS}/x"),
        ("DELETE", GROUP),
        ("GET", f"{SUB}/providers/C/t"),
    ]:
        with pytest.raises(ArmError) as caught:
            await ask(method, path)
        assert (caught.value.code, caught.value.status) == ("AuthorizationFailed", 403)
        assert f"with object id '{WHO}'" in caught.value.message
    assert await ask("PUT", f"{THINGS}/x", "someone")
    # Lists show what one may see.
    groups = await ask("GET", f"{SUB}/resourceGroups")
    assert [group["name"] for group in groups["value"]] == ["g"]  # type: ignore[index]
    stranger = str(uuid.uuid4())
    assert (await ask("GET", "/subscriptions", stranger))["value"] == []  # type: ignore[index]
    assert len((await ask("GET", "/subscriptions"))["value"]) == 1  # type: ignore[index]


SEND, LISTEN, MANAGE = Right.SEND, Right.LISTEN, Right.MANAGE


@pytest.mark.parametrize(
    ("role", "scope", "on_a", "on_b"),
    [
        ("sender", f"{BUS}/queues/a", {SEND}, set()),
        ("receiver", f"{BUS}/queues/a", {LISTEN}, set()),
        ("data owner", f"{BUS}/queues/a", {SEND, LISTEN, MANAGE}, set()),
        ("sender", BUS, {SEND}, {SEND}),
        ("receiver", GROUP, {LISTEN}, {LISTEN}),
        ("data owner", SUB, {SEND, LISTEN, MANAGE}, {SEND, LISTEN, MANAGE}),
        ("owner", SUB, set(), set()),
        ("contributor", BUS, set(), set()),
    ],
)
async def test_data_roles_give_rights_on_service_bus(
    arm: World, role: str, scope: str, on_a: set[Right], on_b: set[Right]
) -> None:
    await arm.put(BUS, {})
    for name in ("a", "b~c"):
        await arm.put(f"{BUS}/queues/{name}", {})
    bus = ServiceBusAccess(arm.arm.store, Access(arm.arm.store, built_in))
    assert bus.rights(WHO, "bus", "a") == set()
    await give(arm, role, scope)
    assert bus.rights(WHO, "bus", "a") == on_a
    assert bus.rights(WHO, "BUS", "A/$DeadLetterQueue") == on_a
    assert bus.rights(WHO, "bus", "b/c") == on_b
    assert bus.rights(WHO, "other", "a") == set()


async def test_a_scaler_needs_to_manage(arm: World) -> None:
    identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/scaler"
    made = await arm.put(identity, {"location": "westeurope"})
    await arm.put(BUS, {})
    await arm.put(f"{BUS}/queues/a", {})
    job = f"{GROUP}/providers/Microsoft.App/jobs/j"
    bus = ServiceBusAccess(arm.arm.store, Access(arm.arm.store, built_in))
    assert "'Manage' claim(s) are required" in str(bus.refuses(job, identity, "bus", "a"))
    principal = made["properties"]["principalId"]
    await give(arm, "receiver", BUS, principal)
    assert bus.refuses(job, identity, "bus", "a")
    await give(arm, "data owner", f"{BUS}/queues/a", principal)
    assert bus.refuses(job, identity, "bus", "a") is None
    assert ServiceBusAccess(arm.arm.store, None).refuses(job, "none", "bus", "a") is None
