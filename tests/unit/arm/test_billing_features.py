"""The daily cap of an Application Insights component."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Handler, Provider
from orchestrator.localcloud.providers.insights.billing_features import billing_routes
from tests.unit.arm.world import GROUP, World, world

COMPONENT = f"{GROUP}/providers/Microsoft.Insights/components/web"
FEATURES = f"{COMPONENT}/CurrentBillingFeatures"


class OnlyCaps(Provider):
    namespace = "Microsoft.Insights"

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        return billing_routes()


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, OnlyCaps()) as made:
        await made.group()
        await made.put(COMPONENT, {"location": "westeurope", "kind": "web"})
        yield made


async def test_the_cap_of_a_component_is_set_and_read(arm: World) -> None:
    assert (await arm.get(FEATURES))["DataVolumeCap"]["Cap"] == 100
    body = {"CurrentBillingFeatures": ["Basic"], "DataVolumeCap": {"Cap": 5, "ResetTime": None}}
    reply = await arm.ask("PUT", FEATURES, body)
    assert reply.status == 200
    found = await arm.get(FEATURES)
    assert (found["DataVolumeCap"]["Cap"], found["DataVolumeCap"]["ResetTime"]) == (5, 0)
    assert found["CurrentBillingFeatures"] == ["Basic"]
    await arm.ask("DELETE", COMPONENT)
    await arm.put(COMPONENT, {"location": "westeurope", "kind": "web"})
    assert (await arm.get(FEATURES))["DataVolumeCap"]["Cap"] == 100


@pytest.mark.parametrize("body", [{"DataVolumeCap": 5}, {"CurrentBillingFeatures": "Basic"}])
async def test_a_cap_of_another_form_is_refused(arm: World, body: Any) -> None:
    with pytest.raises(ArmError) as caught:
        await arm.ask("PUT", FEATURES, body)
    assert caught.value.status == 400


async def test_what_is_not_there_has_no_cap(arm: World) -> None:
    for method in ("GET", "PUT"):
        with pytest.raises(ArmError) as caught:
            await arm.ask(method, FEATURES.replace("web", "other"), {})
        assert caught.value.status == 404
