"""Locks, tags, role definitions and assignments, the activity log, registrations."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.store import MAX_EVENTS, ResourceStore
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.authorization.roles import BUILT_IN
from orchestrator.localcloud.providers.insights.activity_log import ActivityLog
from tests.unit.arm.world import GROUP, SUBSCRIPTION, TENANT, THINGS, World, world

SUB = f"/subscriptions/{SUBSCRIPTION}"
AUTH = "providers/Microsoft.Authorization"
TAGS = "providers/Microsoft.Resources/tags/default"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
LOG = f"{SUB}/providers/Microsoft.Insights/eventtypes/management/values"
SINCE = "eventTimestamp ge '2000-01-01T00:00:00Z'"
PEOPLE = {"aaaaaaaa-0000-0000-0000-000000000001": "User"}
SOMEBODY = "aaaaaaaa-0000-0000-0000-000000000001"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Authorization(PEOPLE.get), ActivityLog()) as made:
        await made.group()
        yield made


async def refused(arm: World, method: str, path: str, body: Any = None) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await arm.ask(method, path, body)
    return caught.value


# --------------------------------------------------------------------------- locks ----


@pytest.mark.parametrize(
    ("level", "method", "allowed"),
    [
        ("CanNotDelete", "PUT", True),
        ("CanNotDelete", "PATCH", True),
        ("CanNotDelete", "DELETE", False),
        ("ReadOnly", "PUT", False),
        ("ReadOnly", "PATCH", False),
        ("ReadOnly", "DELETE", False),
        ("readonly", "GET", True),
    ],
)
@pytest.mark.parametrize("at", [SUB, GROUP, f"{THINGS}/x"])
async def test_a_lock_forbids_what_it_says(
    arm: World, level: str, method: str, allowed: bool, at: str
) -> None:
    await arm.put(f"{THINGS}/x", {})
    lock = f"{at}/{AUTH}/locks/keep"
    made = await arm.ask("PUT", lock, {"properties": {"level": level, "notes": "why"}})
    assert made.status == 201
    if allowed:
        await arm.ask(method, f"{THINGS}/x", {} if method != "GET" else None)
    else:
        error = await refused(arm, method, f"{THINGS}/x", {})
        assert (error.code, error.status) == ("ScopeLocked", 409)
        assert f"'{at}'" in error.message
    # What lies beside the lock, and the lock itself, are free.
    await arm.ask("DELETE", lock)
    assert (await arm.ask("DELETE", f"{THINGS}/x")).status == 204
    assert f"{THINGS}/x" not in arm.arm.store


async def test_what_contains_a_locked_resource_is_not_deleted(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    await arm.put(f"{THINGS}/x/parts/y", {})
    body = {"properties": {"level": "CanNotDelete"}}
    await arm.put(f"{THINGS}/x/parts/y/{AUTH}/locks/keep", body)
    for outer in (GROUP, f"{THINGS}/x"):
        assert (await refused(arm, "DELETE", outer)).code == "ScopeLocked"
    assert [it["name"] for it in (await arm.get(f"{GROUP}/{AUTH}/locks"))["value"]] == ["keep"]
    await arm.ask("DELETE", f"{THINGS}/x/parts/y/{AUTH}/locks/keep")
    assert (await arm.ask("DELETE", GROUP)).status == 202


async def test_a_lock_has_a_known_level(arm: World) -> None:
    error = await refused(arm, "PUT", f"{GROUP}/{AUTH}/locks/l", {"properties": {"level": "Some"}})
    assert error.code == "InvalidLockLevel"


# ---------------------------------------------------------------------------- tags ----


@pytest.mark.parametrize("scope", [SUB, GROUP, f"{THINGS}/x"])
async def test_tags_are_merged_replaced_and_deleted(arm: World, scope: str) -> None:
    await arm.put(f"{THINGS}/x", {})
    path = f"{scope}/{TAGS}"

    async def patch(operation: str, tags: dict[str, str]) -> Any:
        body = {"operation": operation, "properties": {"tags": tags}}
        return (await arm.ask("PATCH", path, body)).body["properties"]["tags"]

    assert await patch("Merge", {"Team": "a", "cost": "1"}) == {"Team": "a", "cost": "1"}
    assert await patch("merge", {"team": "b"}) == {"Team": "b", "cost": "1"}
    assert await patch("Delete", {"TEAM": "b", "cost": "2"}) == {"cost": "1"}
    assert await patch("Replace", {"x": "y"}) == {"x": "y"}
    assert (await arm.put(path, {"properties": {"tags": {"p": "q"}}}))["properties"]["tags"] == {
        "p": "q"
    }
    assert (await arm.get(scope))["tags"] == {"p": "q"}
    assert (await arm.ask("DELETE", path)).status == 200
    assert (await arm.get(path))["properties"]["tags"] == {}
    assert "tags" not in await arm.get(scope)


async def test_tags_need_something_to_be_on(arm: World) -> None:
    assert (await refused(arm, "GET", f"{THINGS}/none/{TAGS}")).code == "ResourceNotFound"
    body = {"operation": "Grow", "properties": {"tags": {}}}
    assert (await refused(arm, "PATCH", f"{GROUP}/{TAGS}", body)).code == "InvalidTagsOperation"


# --------------------------------------------------------------------------- roles ----


def assignment(principal: str, role: str = READER, **more: str) -> dict[str, Any]:
    definition = f"/subscriptions/{SUBSCRIPTION}/{AUTH}/roleDefinitions/{role}"
    return {"properties": {"roleDefinitionId": definition, "principalId": principal, **more}}


async def test_an_empty_type_of_principal_says_nothing(arm: World) -> None:
    path = f"{GROUP}/{AUTH}/roleAssignments/{uuid.uuid4()}"
    made = await arm.ask("PUT", path, assignment(SOMEBODY, principalType=""))
    assert made.body["properties"]["principalType"] == "User"


async def test_an_assignment_is_checked_as_azure_checks_it(arm: World) -> None:
    base = f"{GROUP}/{AUTH}/roleAssignments"
    first = f"{base}/{uuid.uuid4()}"
    made = await arm.ask("PUT", first, assignment(SOMEBODY))
    assert made.status == 201
    assert made.body["properties"]["principalType"] == "User"
    assert made.body["properties"]["scope"] == GROUP
    assert made.body["id"] == first
    # A role has one id, however a template in a group has made it up.
    definition = f"/{AUTH}/roleDefinitions/{READER}"
    for place in ("", f"/subscriptions/{SUBSCRIPTION}", GROUP):
        body = assignment(SOMEBODY)
        body["properties"]["roleDefinitionId"] = place + definition
        kept = await arm.put(first, body)
        assert kept["properties"]["roleDefinitionId"] == (
            f"/subscriptions/{SUBSCRIPTION}{definition}"
        )
    again = await refused(arm, "PUT", f"{base}/{uuid.uuid4()}", assignment(SOMEBODY))
    assert (again.code, again.status) == ("RoleAssignmentExists", 409)
    stranger = str(uuid.uuid4())
    for body, code in [
        (assignment(stranger), "PrincipalNotFound"),
        (assignment(SOMEBODY, principalType="ServicePrincipal"), "UnmatchedPrincipalType"),
        (assignment(stranger, principalType="Robot"), "InvalidPrincipalType"),
        (assignment("nobody", principalType="User"), "InvalidPrincipalId"),
        (assignment(SOMEBODY, str(uuid.uuid4())), "RoleDefinitionDoesNotExist"),
        ({"properties": {"principalId": SOMEBODY}}, "InvalidCreateRoleAssignmentRequest"),
    ]:
        assert (await refused(arm, "PUT", f"{base}/{uuid.uuid4()}", body)).code == code
    # An identity that is only just being made is taken at its word.
    body = assignment(stranger, principalType="ServicePrincipal")
    assert (await arm.ask("PUT", f"{base}/{uuid.uuid4()}", body)).status == 201
    moved = await refused(arm, "PUT", first, assignment(stranger, principalType="User"))
    assert moved.code == "RoleAssignmentUpdateNotPermitted"
    gone = await arm.ask("DELETE", first)
    assert (gone.status, gone.body["id"]) == (200, first)
    assert (await arm.ask("DELETE", first)).status == 204
    assert (await refused(arm, "PUT", f"{base}/x", assignment(SOMEBODY))).code == (
        "InvalidRoleAssignmentId"
    )


async def test_assignments_are_listed_by_scope_and_filter(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    other = str(uuid.uuid4())
    for scope, who in [("", SOMEBODY), (SUB, SOMEBODY), (GROUP, other), (f"{THINGS}/x", SOMEBODY)]:
        body = assignment(who, principalType="User")
        await arm.put(f"{scope}/{AUTH}/roleAssignments/{uuid.uuid4()}", body)

    async def scopes(at: str, text: str = "") -> list[str]:
        query = f"?$filter={text}" if text else ""
        found = await arm.get(f"{at}/{AUTH}/roleAssignments{query}")
        return sorted(item["properties"]["scope"] for item in found["value"])

    assert await scopes(GROUP) == ["/", SUB, GROUP, f"{THINGS}/x"]
    assert await scopes(GROUP, "atScope()") == ["/", SUB, GROUP]
    assert await scopes(f"{THINGS}/x", "atScope()") == ["/", SUB, GROUP, f"{THINGS}/x"]
    assert await scopes(GROUP, f"principalId eq '{other.upper()}'") == [GROUP]
    assert await scopes(SUB, f"assignedTo('{SOMEBODY}')") == ["/", SUB, f"{THINGS}/x"]
    assert await scopes(SUB, f"atScope() and assignedTo('{SOMEBODY}')") == ["/", SUB]


async def test_roles_built_in_and_of_ones_own(arm: World) -> None:
    base = f"{SUB}/{AUTH}/roleDefinitions"
    listed = (await arm.get(f"{base}?$filter=roleName eq 'acrpull'"))["value"]
    assert [role["name"] for role in listed] == ["7f951dda-4ed3-4680-a7ca-43fe172d538d"]
    assert listed[0]["id"].startswith(SUB)
    guid = str(uuid.uuid4())
    own = {
        "properties": {
            "roleName": "Job starter",
            "assignableScopes": [GROUP],
            "permissions": [{"actions": ["Microsoft.App/jobs/start/action"]}],
        }
    }
    for _ in range(2):
        # The service's only status, for a change as well.
        assert (await arm.ask("PUT", f"{base}/{guid}", own)).status == 201
    found = await arm.get(f"{GROUP}/{AUTH}/roleDefinitions?$filter=type eq 'CustomRole'")
    assert [role["properties"]["roleName"] for role in found["value"]] == ["Job starter"]
    assert found["value"][0]["properties"]["permissions"][0]["notActions"] == []
    twice = await refused(arm, "PUT", f"{base}/{uuid.uuid4()}", own)
    assert twice.code == "RoleDefinitionWithSameNameExists"
    body = assignment(SOMEBODY, guid)
    held = f"{GROUP}/{AUTH}/roleAssignments/{uuid.uuid4()}"
    await arm.put(held, body)
    assert (await refused(arm, "DELETE", f"{base}/{guid}")).code == "RoleDefinitionHasAssignments"
    await arm.ask("DELETE", held)
    assert (await arm.ask("DELETE", f"{base}/{guid}")).body["name"] == guid
    changed = await refused(arm, "PUT", f"{base}/{READER}", own)
    assert (changed.code, changed.status) == ("RoleDefinitionCannotBeChanged", 403)


def test_built_in_roles_have_guids_and_names_of_their_own() -> None:
    assert len({role.name for role in BUILT_IN.values()}) == len(BUILT_IN)
    for guid, role in BUILT_IN.items():
        assert str(uuid.UUID(guid)) == guid
        assert role.name.strip() == role.name != ""


async def test_a_built_in_role_allows_what_it_allows_on_azure(arm: World) -> None:
    admin, operator = (role_named(name) for name in ("Security Admin", JOBS_OPERATOR))
    base = f"{GROUP}/{AUTH}/roleDefinitions"
    (found,) = (await arm.get(f"{base}?$filter=roleName eq 'Security Admin'"))["value"]
    assert (found["name"], found["properties"]["type"]) == (admin, "BuiltInRole")
    access = Access(arm.arm.store, built_in)
    for role in (admin, operator):
        await arm.put(f"{GROUP}/{AUTH}/roleAssignments/{uuid.uuid4()}", assignment(SOMEBODY, role))
    assert access.allows(SOMEBODY, "Microsoft.Security/pricings/write", GROUP)
    assert access.allows(SOMEBODY, "Microsoft.App/jobs/start/action", GROUP)
    assert access.allows(SOMEBODY, "Microsoft.App/jobs/logstream/action", GROUP, data=True)
    assert not access.allows(SOMEBODY, "Microsoft.App/jobs/write", GROUP)


JOBS_OPERATOR = "Container Apps Jobs Operator"


async def test_all_roles_are_one_page(arm: World) -> None:
    listed = await arm.get(f"{GROUP}/{AUTH}/roleDefinitions")
    assert "nextLink" not in listed
    assert len(listed["value"]) == len(BUILT_IN)


def role_named(name: str) -> str:
    [guid] = [guid for guid, role in BUILT_IN.items() if role.name == name]
    return guid


def test_what_built_in_roles_allow_can_be_read() -> None:
    """All but a few that allow nothing, or of which the names alone are known."""
    silent = []
    for role in BUILT_IN.values():
        permissions = role.permissions()
        if not any(kind for permission in permissions for kind in permission.values()):
            silent.append(role.name)
        for permission in permissions:
            for operations in permission.values():
                assert all("/" in it or it == "*" for it in operations), role.name
    assert len(silent) < 10, silent


# -------------------------------------------------------------------- activity log ----


async def test_the_activity_log_tells_what_was_changed(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    await arm.get(f"{THINGS}/x")
    await refused(arm, "PUT", f"{GROUP}/{AUTH}/locks/l", {"properties": {"level": "no"}})
    await arm.ask("DELETE", f"{THINGS}/x")

    async def names(text: str = SINCE) -> list[tuple[str, str]]:
        found = (await arm.get(f"{LOG}?$filter={text}"))["value"]
        return [(it["operationName"]["value"], it["status"]["value"]) for it in found]

    group = "Microsoft.Resources/subscriptions/resourceGroups/write"
    assert await names() == [
        ("Microsoft.Portal/dashboards/delete", "Succeeded"),
        ("Microsoft.Authorization/locks/write", "Failed"),
        ("Microsoft.Portal/dashboards/write", "Succeeded"),
        (group, "Succeeded"),
    ]
    assert len(await names(f"{SINCE} and resourceUri eq '{THINGS.upper()}/X'")) == 2
    assert len(await names(f"{SINCE} and resourceGroupName eq 'G'")) == 4
    assert len(await names(f"{SINCE} and resourceProvider eq 'microsoft.portal'")) == 2
    assert len(await names(f"{SINCE} and status eq 'Failed'")) == 1
    assert await names("eventTimestamp ge '2099-01-01T00:00:00Z'") == []
    assert (await refused(arm, "GET", LOG)).status == 400
    event = (await arm.get(f"{LOG}?$filter={SINCE} and status eq 'Failed'"))["value"][0]
    assert event["properties"]["statusCode"] == "BadRequest"
    assert "InvalidLockLevel" in event["properties"]["statusMessage"]
    assert event["caller"] == "someone"
    assert event["tenantId"] == TENANT
    chosen = (await arm.get(f"{LOG}?$filter={SINCE}&$select=caller"))["value"][0]
    assert set(chosen) == {"caller", "id"}


async def test_the_activity_log_is_kept_and_bounded(tmp_path: Path) -> None:
    store = ResourceStore(tmp_path / "arm.sqlite")
    store.open()
    for number in range(MAX_EVENTS + 7):
        store.note({"number": number})
    await asyncio.sleep(0)
    store.close()
    again = ResourceStore(tmp_path / "arm.sqlite")
    again.open()
    kept = [event["number"] for event in again.events()]
    again.close()
    assert kept == list(range(MAX_EVENTS + 6, 6, -1))


# ----------------------------------------------------------- registrations, lists ----


async def test_an_unregistered_provider_takes_no_new_resources(arm: World) -> None:
    providers = f"{SUB}/providers/Microsoft.Portal"
    await arm.put(f"{THINGS}/x", {})
    error = await refused(arm, "POST", f"{providers}/unregister")
    assert (error.code, error.status) == ("CannotUnregisterProvider", 409)
    await arm.ask("DELETE", f"{THINGS}/x")
    reply = await arm.ask("POST", f"{providers}/unregister")
    assert reply.body["registrationState"] == "Unregistered"
    assert (await arm.get(providers))["registrationState"] == "Unregistered"
    error = await refused(arm, "PUT", f"{THINGS}/x", {})
    assert (error.code, error.status) == ("MissingSubscriptionRegistration", 409)
    reply = await arm.ask("POST", f"{providers}/register")
    assert reply.body["registrationState"] == "Registered"
    assert (await arm.ask("PUT", f"{THINGS}/x", {})).status == 200


async def test_the_list_of_resources_expands_what_is_asked_for(arm: World) -> None:
    await arm.put(f"{THINGS}/x", {})
    plain = (await arm.get(f"{SUB}/resources"))["value"][0]
    assert not {"createdTime", "changedTime", "provisioningState"} & set(plain)
    query = "$expand=createdTime,changedTime,provisioningState"
    full = (await arm.get(f"{SUB}/resources?{query}"))["value"][0]
    assert full["createdTime"] == full["changedTime"]
    assert full["provisioningState"] == "Succeeded"
