"""Diagnostic settings: whose they are, and what can be chosen in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.insights.diagnostics import Diagnostics
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world

REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acr123"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
SETTINGS = "providers/Microsoft.Insights/diagnosticSettings"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    providers = [Diagnostics(), OperationalInsights(), ContainerRegistry()]
    async with world(tmp_path, *providers) as made:
        await made.group()
        await made.put(WORKSPACE, {"location": "westeurope"})
        await made.put(REGISTRY, {"location": "westeurope"})
        yield made


def setting(category: str) -> dict[str, Any]:
    logs = [{"category": category, "enabled": True}]
    return {"properties": {"workspaceId": WORKSPACE, "logs": logs}}


async def test_a_subscription_lists_its_own_and_not_those_of_its_resources(arm: World) -> None:
    await arm.put(f"{REGISTRY}/{SETTINGS}/its", setting("ContainerRegistryLoginEvents"))
    await arm.put(f"/subscriptions/{SUBSCRIPTION}/{SETTINGS}/own", setting("Administrative"))
    listed = (await arm.get(f"/subscriptions/{SUBSCRIPTION}/{SETTINGS}"))["value"]
    assert [it["name"] for it in listed] == ["own"]
    [its] = (await arm.get(f"{REGISTRY}/{SETTINGS}"))["value"]
    assert its["name"] == "its"


async def test_what_a_type_has_is_told_and_a_slip_of_the_pen_refused(arm: World) -> None:
    found = (await arm.get(f"{REGISTRY}/{SETTINGS}Categories"))["value"]
    kinds = {it["name"]: it["properties"]["categoryType"] for it in found}
    assert kinds == {
        "ContainerRegistryRepositoryEvents": "Logs",
        "ContainerRegistryLoginEvents": "Logs",
        "AllMetrics": "Metrics",
    }
    one = await arm.get(f"{REGISTRY}/{SETTINGS}Categories/allmetrics")
    assert one["properties"]["categoryGroups"] == []
    with pytest.raises(ArmError, match="Category 'LoginEvents' is not supported"):
        await arm.put(f"{REGISTRY}/{SETTINGS}/its", setting("LoginEvents"))
    await arm.put(f"{WORKSPACE}/{SETTINGS}/its", setting("SomethingNew"))


async def test_metrics_may_be_named_by_their_grain(arm: World) -> None:
    metrics = [{"timeGrain": "PT1M", "enabled": True}]
    body = {"properties": {"workspaceId": WORKSPACE, "metrics": metrics}}
    made = await arm.put(f"{REGISTRY}/{SETTINGS}/its", body)
    assert made["properties"]["metrics"][0]["category"] == "AllMetrics"
