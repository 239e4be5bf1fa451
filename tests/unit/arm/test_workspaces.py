"""Log Analytics workspaces beside their keys: saved searches, tables, tiers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world

WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, OperationalInsights()) as made:
        await made.group()
        await made.put(WORKSPACE, {"location": "westeurope"})
        yield made


async def test_a_saved_search_is_made_with_200_and_carries_its_tag(arm: World) -> None:
    """The SDK takes nothing but 200 for it."""
    path = f"{WORKSPACE}/savedSearches/mine"
    properties = {"category": "c", "displayName": "d", "query": "Usage | take 1"}
    made = await arm.ask("PUT", path, {"properties": properties})
    assert made.status == 200
    assert made.body["properties"]["version"] == 2
    headers = {"if-match": made.body["etag"]}
    await arm.ask("PUT", path, {"properties": properties}, headers)
    with pytest.raises(ArmError) as caught:
        await arm.ask("PUT", path, {"properties": properties}, headers)
    assert caught.value.status == 412
    with pytest.raises(ArmError, match="needs a 'query'"):
        await arm.put(path, {"properties": {"category": "c", "displayName": "d"}})


async def test_what_the_service_fills_in_stays_the_same(arm: World) -> None:
    """What-if of the same template tells of no change."""
    before = (await arm.get(WORKSPACE))["properties"]["workspaceCapping"]
    arm.clock.jump(60)
    again = await arm.put(WORKSPACE, {"location": "westeurope"})
    assert again["properties"]["workspaceCapping"] == before
    capped = {"workspaceCapping": {"dailyQuotaGb": 2}}
    made = await arm.put(WORKSPACE, {"location": "westeurope", "properties": capped})
    assert made["properties"]["workspaceCapping"] == {**before, "dailyQuotaGb": 2}


async def test_a_retention_of_0_days_asks_for_the_default(arm: World) -> None:
    body = {"location": "westeurope", "properties": {"retentionInDays": 0}}
    other = await arm.put(f"{WORKSPACE}-2", body)
    assert other["properties"]["retentionInDays"] == 30
    with pytest.raises(ArmError, match="retentionInDays"):
        await arm.put(f"{WORKSPACE}-3", {**body, "properties": {"retentionInDays": 6}})


async def test_some_lists_are_bare_arrays(arm: World) -> None:
    tiers = await arm.get(f"{WORKSPACE}/availableServiceTiers")
    assert "PerGB2018" in [it["serviceTier"] for it in tiers if it["enabled"]]
    assert await arm.get(f"{WORKSPACE}/intelligencePacks") == []


async def test_nothing_that_was_deleted_can_be_recovered(arm: World) -> None:
    await arm.ask("DELETE", WORKSPACE)
    tail = "providers/Microsoft.OperationalInsights/deletedWorkspaces"
    for scope in (f"/subscriptions/{SUBSCRIPTION}", GROUP):
        assert await arm.get(f"{scope}/{tail}") == {"value": []}


async def test_a_table_tells_its_columns(arm: World) -> None:
    table = await arm.get(f"{WORKSPACE}/tables/ContainerAppConsoleLogs_CL")
    columns = {it["name"]: it["type"] for it in table["properties"]["schema"]["columns"]}
    assert columns["TimeGenerated"] == columns["time_t"] == "datetime"
    assert (columns["_timestamp_d"], columns["Log_s"]) == ("real", "string")
    assert columns["ContainerGroupId_g"] == "guid"
