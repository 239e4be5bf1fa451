"""What clients ask beside the resources themselves: previews, reserved names, licensed roles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.deployments.stacks import DeploymentStacks
from orchestrator.localcloud.providers.authorization.provider import Authorization
from orchestrator.localcloud.providers.features import Features
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world
from tests.unit.deployments.world import LAB, STACKS, Deploying, Lab, machine
from tests.unit.templates.world import template

SUB = f"/subscriptions/{SUBSCRIPTION}"
AUTH = "providers/Microsoft.Authorization"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Authorization(), Features()) as made:
        await made.group()
        yield made


async def refused(arm: World, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(ArmError) as caught:
        await arm.ask(method, path, body)
    return caught.value.status, caught.value.code


async def test_there_are_no_previews(arm: World) -> None:
    base = f"{SUB}/providers/Microsoft.Features"
    assert (await arm.get(f"{base}/features"))["value"] == []
    assert (await arm.get(f"{base}/providers/Microsoft.App/features"))["value"] == []
    one = f"{base}/providers/Microsoft.App/features/x"
    for method, path in (("GET", one), ("POST", f"{one}/register"), ("POST", f"{one}/unregister")):
        assert await refused(arm, method, path) == (404, "FeatureNotFound")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("jobs", "Allowed"),
        ("Azure", "Reserved"),
        ("azure-jobs", "Allowed"),
        ("my-microsoft-jobs", "Reserved"),
        ("LoginPage", "Reserved"),
        ("page-login", "Allowed"),
    ],
)
async def test_azure_keeps_some_names(arm: World, name: str, status: str) -> None:
    path = "/providers/Microsoft.Resources/checkResourceName"
    body = {"name": name, "type": "Microsoft.App/jobs"}
    assert (await arm.ask("POST", path, body)).body == body | {"status": status}
    assert await refused(arm, "POST", path, {"name": name}) == (400, "InvalidRequestContent")


async def test_roles_for_a_while_need_a_licence(arm: World) -> None:
    path = f"{GROUP}/{AUTH}/roleEligibilityScheduleRequests"
    assert (await arm.get(path))["value"] == []
    body = {"properties": {"principalId": "p", "requestType": "AdminAssign"}}
    assert await refused(arm, "PUT", f"{path}/x", body) == (400, "AadPremiumLicenseRequired")


async def test_an_encoded_scope_is_a_scope(arm: World) -> None:
    """As azure-mgmt-resource-locks sends it."""
    await arm.put(f"{GROUP}/{AUTH}/locks/l", {"properties": {"level": "CanNotDelete"}})
    encoded = GROUP.replace("/", "%2F")
    assert (await arm.get(f"/{encoded}/{AUTH}/locks/l"))["name"] == "l"


async def test_what_a_stack_denies_is_listed(tmp_path: Path) -> None:
    lab = Lab()
    async with world(tmp_path, Authorization(), Deployments(), DeploymentStacks(), lab) as made:
        await made.group()
        d = Deploying(made, lab)
        body: dict[str, Any] = {
            "template": template(resources=[machine("a")]),
            "actionOnUnmanage": {"resources": "delete"},
            "denySettings": {"mode": "denyDelete", "excludedPrincipals": ["p"]},
        }
        await made.ask("PUT", f"{STACKS}/s", {"properties": body})
        await d.ended(f"{STACKS}/s")
        with pytest.raises(ArmError) as caught:
            await made.ask("DELETE", f"{LAB}/machines/a")
        assert caught.value.code == "DenyAssignmentAuthorizationFailed"
        for scope in (SUB, GROUP, f"{LAB}/machines/a", f"{LAB}/machines/a/parts/b"):
            [found] = (await made.get(f"{scope}/{AUTH}/denyAssignments"))["value"]
        await made.put(f"{LAB}/machines/b", {"properties": {}})
        assert (await made.get(f"{LAB}/machines/b/{AUTH}/denyAssignments"))["value"] == []
        assert await made.get(found["id"]) == found
        properties = found["properties"]
        assert properties["denyAssignmentName"] in caught.value.message
        assert properties["permissions"][0]["actions"] == ["*/delete"]
        assert properties["excludePrincipals"] == [{"id": "p"}]
        assert properties["doNotApplyToChildScopes"] is True
        assert await refused(made, "PUT", f"{GROUP}/{AUTH}/denyAssignments/x", {}) == (
            405,
            "MethodNotAllowed",
        )
