"""Key vaults, as Resource Manager knows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.vaults import VAULTS, KeyVault
from tests.unit.arm.world import GROUP, TENANT, World, world

VAULT = f"{GROUP}/providers/{VAULTS}/lab-vault"
BODY = {"location": "westeurope", "properties": {"tenantId": TENANT, "accessPolicies": []}}
ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, KeyVault()) as made:
        await made.group()
        await made.put(VAULT, BODY)
        yield made


def policy(who: str, **permissions: list[str]) -> dict[str, Any]:
    return {"objectId": who, "tenantId": TENANT, "permissions": permissions}


async def change(arm: World, how: str, *policies: Any) -> dict[str, dict[str, list[str]]]:
    """Whose permissions stand in the vault after a change."""
    body = {"properties": {"accessPolicies": list(policies)}}
    reply = await arm.ask("PUT", f"{VAULT}/accessPolicies/{how}", body)
    assert reply.status in (200, 201)
    found = (await arm.get(VAULT))["properties"]["accessPolicies"]
    return {item["objectId"]: item["permissions"] for item in found}


async def test_access_policies_are_added_replaced_and_removed(arm: World) -> None:
    await change(arm, "add", policy(ONE, secrets=["Get"], keys=["list"]))
    both = await change(
        arm, "add", policy(TWO, secrets=["set"]), policy(ONE.upper(), secrets=["get", "List"])
    )
    assert both == {ONE: {"secrets": ["Get", "List"], "keys": ["list"]}, TWO: {"secrets": ["set"]}}
    replaced = await change(arm, "replace", policy(ONE, secrets=["Get", "Delete"]))
    assert replaced[ONE] == {"secrets": ["Get", "Delete"]}
    less = await change(arm, "REMOVE", policy(ONE, secrets=["get"]), policy("x", keys=["get"]))
    assert less == {ONE: {"secrets": ["Delete"]}, TWO: {"secrets": ["set"]}}
    assert await change(arm, "remove", policy(ONE, secrets=["all"])) == {TWO: {"secrets": ["set"]}}


@pytest.mark.parametrize(
    ("how", "policies"),
    [
        ("grow", []),
        ("add", None),
        ("add", "all"),
        ("add", ["x"]),
        ("add", [{"objectId": ONE}]),
        ("add", [{"objectId": ONE, "tenantId": TENANT, "permissions": "get"}]),
    ],
)
async def test_a_change_that_is_none_is_refused(arm: World, how: str, policies: Any) -> None:
    with pytest.raises(ArmError) as caught:
        await arm.put(f"{VAULT}/accessPolicies/{how}", {"properties": {"accessPolicies": policies}})
    assert caught.value.status == 400
    assert (await arm.get(VAULT))["properties"]["accessPolicies"] == []
