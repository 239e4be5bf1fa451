"""The lists of what roles may allow: of a provider, and of all of them by resource type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.storage.accounts import Storage
from tests.unit.arm.world import World, world

LISTS = "/providers/Microsoft.Authorization/providerOperations"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Authorization(), Network(), Storage()) as made:
        yield made


def names(operations: list[Any]) -> set[str]:
    return {it["name"] for it in operations}


async def test_a_provider_lists_what_can_be_done_to_its_types(arm: World) -> None:
    listed = (await arm.get("/providers/microsoft.storage/operations"))["value"]
    assert {
        "Microsoft.Storage/storageAccounts/read",
        "Microsoft.Storage/storageAccounts/write",
        "Microsoft.Storage/storageAccounts/delete",
        "Microsoft.Storage/storageAccounts/listKeys/action",
        "Microsoft.Storage/checkNameAvailability/action",
        "Microsoft.Storage/register/action",
    } <= names(listed)
    keys = [str(it["name"]).lower() for it in listed]
    assert keys == sorted(set(keys))
    (found,) = [it for it in listed if it["name"].endswith("/storageAccounts/regenerateKey/action")]
    assert found["display"] == {
        "provider": "Microsoft.Storage",
        "resource": "storageAccounts",
        "operation": "Regenerate key storageAccounts",
        "description": "Regenerate key storageAccounts.",
    }
    data = {it["name"] for it in listed if it["isDataAction"]}
    assert "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read" in data
    assert "Microsoft.Storage/storageAccounts/read" not in data


async def test_what_is_only_kept_has_operations_too(arm: World) -> None:
    listed = (await arm.get("/providers/Microsoft.Maps/operations"))["value"]
    assert {"Microsoft.Maps/accounts/write", "Microsoft.Maps/accounts/listKeys/action"} <= names(
        listed
    )


async def test_children_that_lie_in_their_parent_can_be_written(arm: World) -> None:
    listed = names((await arm.get("/providers/Microsoft.Network/operations"))["value"])
    subnets = "Microsoft.Network/virtualNetworks/subnets"
    assert {f"{subnets}/{verb}" for verb in ("read", "write", "delete")} <= listed


async def test_all_are_listed_by_type(arm: World) -> None:
    one = await arm.get(f"{LISTS}/MICROSOFT.storage?api-version=2022-04-01")
    assert one["id"] == f"{LISTS}/Microsoft.Storage"
    types = {it["name"]: it for it in one["resourceTypes"]}
    assert "Microsoft.Storage/storageAccounts/listKeys/action" in names(
        types["storageAccounts"]["operations"]
    )
    assert "Microsoft.Storage/checkNameAvailability/action" in names(one["operations"])
    every = (await arm.get(LISTS))["value"]
    assert one in every


async def test_there_is_no_list_of_a_provider_that_is_not(arm: World) -> None:
    for path in (f"{LISTS}/Microsoft.Nothing", "/providers/Microsoft.Nothing/operations"):
        with pytest.raises(ArmError) as refused:
            await arm.get(path)
        assert refused.value.status == 404


async def test_anybody_reads_them(arm: World) -> None:
    arm.arm.access = Access(arm.arm.store, built_in)
    assert (await arm.get("/providers/Microsoft.Storage/operations"))["value"]
    assert (await arm.get(LISTS))["value"]
