"""Managed identities as resources: the one of a resource's own, and who has a shared one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.arm.world import GROUP, SUBSCRIPTION, TENANT, THINGS, World, world

SHARED = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shared"
OWN = "providers/Microsoft.ManagedIdentity/identities/default"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acr123"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, ContainerRegistry()) as made:
        await made.group()
        yield made


async def test_the_identity_of_a_resource_is_found_at_it(arm: World) -> None:
    """As older templates refer to it: `reference('…/identities/default').principalId`."""
    made = await arm.put(f"{THINGS}/a", {"identity": {"type": "SystemAssigned"}})
    own = await arm.get(f"{THINGS}/a/{OWN}")
    assert own["properties"]["principalId"] == made["identity"]["principalId"]
    assert own["properties"]["tenantId"] == TENANT
    assert own["properties"]["clientId"]
    await arm.put(f"{THINGS}/b")
    for path in (f"{THINGS}/b/{OWN}", f"{THINGS}/nowhere/{OWN}"):
        with pytest.raises(ArmError) as caught:
            await arm.get(path)
        assert caught.value.status == 404


async def test_who_has_a_shared_identity_is_told(arm: World) -> None:
    await arm.put(SHARED, {"location": "westeurope"})
    given = {"type": "UserAssigned", "userAssignedIdentities": {SHARED: {}}}
    await arm.put(f"{THINGS}/a", {"identity": given})
    await arm.put(f"{THINGS}/b")
    told = (await arm.ask("POST", f"{SHARED}/listAssociatedResources")).body
    assert (told["totalCount"], [it["name"] for it in told["value"]]) == (1, ["a"])


async def test_the_resource_types_of_a_provider_are_listed(arm: World) -> None:
    base = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.App"
    listed = (await arm.get(f"{base}/resourceTypes"))["value"]
    assert "jobs" in [it["resourceType"] for it in listed]
    # The tenant's view of a provider is of no subscription.
    tenant = await arm.get("/providers/Microsoft.App")
    assert tenant["id"] == "/providers/Microsoft.App"
    assert "registrationState" not in tenant


async def test_a_registry_says_what_its_tier_includes_and_what_it_has_not(arm: World) -> None:
    await arm.put(REGISTRY, {"location": "westeurope", "sku": {"name": "Standard"}})
    await arm.put(f"{REGISTRY}/webhooks/one", {"location": "westeurope"})
    usages = {it["name"]: it for it in (await arm.get(f"{REGISTRY}/listUsages"))["value"]}
    assert usages["Size"]["limit"] == 100 * 2**30
    assert (usages["Webhooks"]["limit"], usages["Webhooks"]["currentValue"]) == (10, 1)
    for action in ("importImage", "generateCredentials", "listBuildSourceUploadUrl", "scheduleRun"):
        with pytest.raises(ArmError, match="No image lies in the registry"):
            await arm.ask("POST", f"{REGISTRY}/{action}", {})
