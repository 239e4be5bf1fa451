"""Bodies of another form are refused with the place, and never fail inside."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.shapes import check_shape
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.arm.world import GROUP, World, world

NET = f"{GROUP}/providers/Microsoft.Network"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/acr123"
WHERE = {"location": "westeurope"}
SUBNET = {
    "name": "one",
    "properties": {
        "addressPrefix": "10.0.0.0/24",
        "delegations": [{"name": "d", "properties": {"serviceName": "Microsoft.App/environments"}}],
    },
}
CONNECTION = {
    "name": "c",
    "properties": {"privateLinkServiceId": REGISTRY, "groupIds": ["registry"]},
}
GOOD: dict[str, dict[str, Any]] = {
    f"{NET}/virtualNetworks/net": {
        **WHERE,
        "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [SUBNET]},
    },
    f"{NET}/virtualNetworks/net/subnets/two": {
        "properties": {"addressPrefix": "10.0.1.0/24", "delegations": []}
    },
    f"{NET}/networkSecurityGroups/nsg": {
        **WHERE,
        "properties": {
            "securityRules": [
                {
                    "name": "r",
                    "properties": {
                        "direction": "Inbound",
                        "access": "Allow",
                        "protocol": "*",
                        "priority": 100,
                    },
                }
            ]
        },
    },
    f"{NET}/publicIPAddresses/ip": {**WHERE, "sku": {"name": "Standard"}},
    f"{NET}/privateEndpoints/pe": {
        **WHERE,
        "properties": {
            "subnet": {"id": f"{NET}/virtualNetworks/net/subnets/one"},
            "privateLinkServiceConnections": [CONNECTION],
        },
    },
    f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs": {
        **WHERE,
        "properties": {"features": {}, "sku": {"name": "PerGB2018"}},
    },
}
ODD: list[Any] = [1, -1, 1.5, "", "x", True, [], [1], [None], {}, {"a": 1}]


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Network(), ContainerRegistry(), OperationalInsights()) as made:
        await made.group()
        await made.put(REGISTRY, {**WHERE, "sku": {"name": "Premium"}})
        for path, body in GOOD.items():
            await made.put(path, copy.deepcopy(body))
        yield made


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


async def answered(arm: World, method: str, path: str, body: Any) -> int:
    """The status of an answer, a refusal's too."""
    try:
        return (await arm.ask(method, path, body)).status
    except ArmError as error:
        return error.status


@pytest.mark.parametrize("path", GOOD)
async def test_an_odd_value_anywhere_is_refused_or_understood(arm: World, path: str) -> None:
    for place in places(GOOD[path]):
        for odd in ODD:
            body = copy.deepcopy(GOOD[path])
            holder: Any = body
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = odd
            for method in ("PUT", "PATCH"):
                status = await answered(arm, method, path, copy.deepcopy(body))
                assert status < 500, (method, place, odd)
            await arm.get(path)


def test_the_place_is_named() -> None:
    shape = {"properties": {"items": [{"name": str}]}}
    check_shape({"properties": {"items": [{"name": "x", "more": 1}], "other": 5}}, shape)
    check_shape({}, shape)
    for body, place in (
        ({"properties": 1}, "'properties' must be an object"),
        ({"properties": {"items": {}}}, "'properties.items' must be a list"),
        ({"properties": {"items": [{}, {"name": 1}]}}, r"'properties.items\[1\].name' must be"),
        ({"properties": {"items": [None]}}, r"'properties.items\[0\]' must be no null"),
    ):
        with pytest.raises(ArmError, match=place):
            check_shape(body, shape)
