"""Key vaults, as Resource Manager knows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.key_vault.vaults import VAULTS, KeyVault
from tests.unit.arm.world import GROUP, SUBSCRIPTION, TENANT, World, world

VAULT = f"{GROUP}/providers/{VAULTS}/lab-vault"
BODY: dict[str, Any] = {
    "location": "westeurope",
    "properties": {"tenantId": TENANT, "accessPolicies": []},
}
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


LOCATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/locations/westeurope"
DELETED = f"{LOCATION}/deletedVaults/lab-vault"
ALL = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/deletedVaults"


async def refused(arm: World, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(ArmError) as caught:
        await arm.ask(method, path, body)
    return caught.value.status, caught.value.code


async def test_a_deleted_vault_keeps_its_name_until_it_is_purged(arm: World) -> None:
    assert (await refused(arm, "GET", DELETED))[0] == 404
    assert (await refused(arm, "POST", f"{DELETED}/purge"))[0] == 404
    await arm.put(f"{VAULT}/secrets/s", {"properties": {"value": "hush"}})
    await arm.ask("DELETE", VAULT)
    found = await arm.get(DELETED)
    assert found["type"] == "Microsoft.KeyVault/deletedVaults"
    assert found["properties"]["vaultId"] == VAULT
    assert found["properties"]["deletionDate"] < found["properties"]["scheduledPurgeDate"]
    assert "hush" not in str(found)
    assert (await arm.get(ALL))["value"] == [found]
    assert await refused(arm, "PUT", VAULT, BODY) == (409, "ConflictError")
    assert (await arm.ask("POST", f"{DELETED}/purge")).status == 200
    assert (await refused(arm, "GET", DELETED))[0] == 404
    assert (await arm.ask("PUT", VAULT, BODY)).status == 200
    assert (await refused(arm, "GET", f"{VAULT}/secrets/s"))[0] == 404


async def test_a_deleted_vault_is_recovered_with_what_lay_in_it(arm: World) -> None:
    await arm.put(f"{VAULT}/secrets/s", {"properties": {"value": "hush"}})
    await change(arm, "add", policy(ONE, secrets=["Get"]))
    before = (await arm.get(VAULT))["properties"]
    await arm.ask("DELETE", VAULT)
    again = {"location": "westeurope", "properties": {"createMode": "recover"}}
    elsewhere = VAULT.replace("lab-vault", "other-vault")
    assert await refused(arm, "PUT", elsewhere, again) == (404, "VaultNotFound")
    assert (await arm.put(VAULT, again))["properties"] == before
    assert (await arm.get(f"{VAULT}/secrets/s"))["name"] == "s"
    assert (await arm.get(ALL))["value"] == []


async def test_a_deleted_vault_is_gone_when_its_time_is_up(arm: World) -> None:
    days = {**BODY["properties"], "softDeleteRetentionInDays": 7, "enablePurgeProtection": True}
    await arm.put(VAULT, {**BODY, "properties": days})
    await arm.ask("DELETE", VAULT)
    assert (await refused(arm, "POST", f"{DELETED}/purge"))[0] == 409
    arm.clock.jump(7 * 86400 - 1)
    assert (await arm.get(DELETED))["properties"]["purgeProtectionEnabled"] is True
    arm.clock.jump(2)
    assert (await refused(arm, "GET", DELETED))[0] == 404
    assert (await arm.ask("PUT", VAULT, BODY)).status == 200
