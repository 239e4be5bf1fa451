"""What a body refers to wants a right of its own, where roles are obeyed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.linked_access import links
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.deployments.stacks import DeploymentStacks
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.network.networks import Network
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world
from tests.unit.templates.world import template

SUB = f"/subscriptions/{SUBSCRIPTION}"
IDENTITY_OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CALLER = "aaaaaaaa-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"
THING = f"{SUB}/resourceGroups/mine/providers/Microsoft.Portal/dashboards/a"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    providers = [Authorization(), Network(), Deployments(), DeploymentStacks()]
    async with world(tmp_path, *providers) as made:
        await made.group()
        await made.group("mine")
        made.caller = CALLER
        yield made


async def give(arm: World, role: str, scope: str) -> None:
    """Give the caller a role, while roles are not obeyed; from then on they are."""
    arm.arm.access = None
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    definition = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    person = {"properties": {"roleDefinitionId": definition, "principalId": CALLER}}
    await arm.put(path, person)
    arm.arm.access = Access(arm.arm.store, built_in)


async def refused(arm: World, method: str, path: str, body: Any = None) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await arm.ask(method, path, body)
    return caught.value


async def test_an_identity_is_given_by_who_may_assign_it(arm: World) -> None:
    await arm.put(IDENTITY, {"location": "westeurope"})
    body = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}}
    await give(arm, CONTRIBUTOR, f"{SUB}/resourceGroups/mine")
    error = await refused(arm, "PUT", THING, body)
    assert (error.status, error.code) == (403, "LinkedAuthorizationFailed")
    assert "userAssignedIdentities/assign/action" in error.message
    assert IDENTITY in error.message
    await give(arm, IDENTITY_OPERATOR, IDENTITY)
    await arm.put(THING, body)
    assert (await arm.get(IDENTITY))["name"] == "worker"


def test_what_bodies_of_each_kind_refer_to() -> None:
    subnet = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/n/subnets/s"
    registry = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/r"
    body = {
        "properties": {
            "SUBNET": {"id": subnet},
            "privateLinkServiceConnections": [{"properties": {"privateLinkServiceId": registry}}],
        }
    }
    endpoint = parse(f"{GROUP}/providers/Microsoft.Network/privateEndpoints/e")
    found = {action: id.text for action, id in links(endpoint, body)}
    assert found == {
        "Microsoft.Network/virtualNetworks/subnets/join/action": subnet,
        "Microsoft.ContainerRegistry/registries/privateEndpointConnectionsApproval/action": (
            registry
        ),
    }
    odd: list[Any] = [{}, {"properties": 1}, {"properties": {"subnet": {"id": 5}}}]
    odd += [{"properties": {"privateLinkServiceConnections": {"a": 1}}}, {"identity": []}]
    assert [list(links(endpoint, one)) for one in odd] == [[]] * len(odd)


async def test_a_stack_that_denies_wants_a_right_of_its_own(arm: World) -> None:
    stack = f"{GROUP}/providers/Microsoft.Resources/deploymentStacks/s"
    unmanage = {"resources": "detach"}
    plain: dict[str, Any] = {"template": template(), "actionOnUnmanage": unmanage}
    plain["denySettings"] = {"mode": "none"}
    denying = {**plain, "denySettings": {"mode": "denyDelete"}}
    await give(arm, CONTRIBUTOR, GROUP)
    for method, path in (("PUT", stack), ("POST", f"{stack}/validate")):
        error = await refused(arm, method, path, {"properties": denying})
        assert "deploymentStacks/manageDenySetting/action" in error.message
    await arm.ask("PUT", f"{stack}2", {"properties": plain})
    await give(arm, OWNER, GROUP)
    await arm.ask("PUT", stack, {"properties": denying})


async def test_everybody_may_ask_what_they_may(arm: World) -> None:
    path = f"{GROUP}/providers/Microsoft.Authorization/permissions"
    [everything] = (await arm.get(path))["value"]
    assert everything["actions"] == ["*"]
    await give(arm, READER, f"{SUB}/resourceGroups/mine")
    assert (await arm.get(path))["value"] == []
    [mine] = (await arm.get(path.replace("/g/", "/mine/")))["value"]
    assert (mine["actions"], mine["notActions"]) == (["*/read"], [])


@pytest.mark.parametrize("assigned", [5, True, "text", None])
def test_a_body_of_another_form_refers_to_nothing(assigned: Any) -> None:
    body = {"identity": {"type": "UserAssigned", "userAssignedIdentities": assigned}}
    assert list(links(parse(THING), body)) == []


async def test_a_template_is_looked_at_before_it_is_deployed(arm: World) -> None:
    """A nested one too, and where not all of a body is known."""
    await arm.put(IDENTITY, {"location": "westeurope"})
    thing = {
        "type": "Microsoft.Portal/dashboards",
        "apiVersion": "2024-01-01",
        "name": "a",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {"later": "[reference('b').n]"},
    }
    other = {k: thing[k] for k in ("type", "apiVersion")} | {"name": "b", "properties": {"n": 1}}
    body = {"properties": {"mode": "Incremental", "template": template(resources=[thing, other])}}
    at = f"{SUB}/resourceGroups/mine/providers/Microsoft.Resources/deployments/d"
    await give(arm, CONTRIBUTOR, f"{SUB}/resourceGroups/mine")
    for method, path in (("PUT", at), ("POST", f"{at}/validate")):
        error = await refused(arm, method, path, body)
        assert (error.status, error.code) == (400, "InvalidTemplateDeployment")
        [inner] = error.details
        assert inner.code == "LinkedAuthorizationFailed"
        assert "userAssignedIdentities/assign/action" in inner.message
    body["properties"]["validationLevel"] = "ProviderNoRbac"
    await arm.ask("POST", f"{at}/validate", body)
    del body["properties"]["validationLevel"]
    await give(arm, IDENTITY_OPERATOR, IDENTITY)
    await arm.ask("POST", f"{at}/validate", body)
