"""Storage accounts, as Resource Manager knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.storage.accounts import ACCOUNTS, Storage
from tests.unit.arm.world import GROUP, SUBSCRIPTION, world

ACCOUNT = f"{GROUP}/providers/{ACCOUNTS}/lab"
BODY = {"location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}


async def test_an_account_has_addresses_and_keys_that_only_listkeys_tells(tmp_path: Path) -> None:
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        made = await arm.put(ACCOUNT, BODY)
        assert made["sku"] == {"name": "Standard_LRS", "tier": "Standard"}
        assert made["properties"]["primaryEndpoints"]["blob"] == (
            "https://lab.blob.core.windows.net/"
        )
        first = (await arm.ask("POST", f"{ACCOUNT}/listKeys")).body["keys"]
        assert [key["keyName"] for key in first] == ["key1", "key2"]
        assert first[0]["value"] not in str(await arm.get(ACCOUNT))
        path = f"{ACCOUNT}/regenerateKey"
        second = (await arm.ask("POST", path, {"keyName": "key2"})).body["keys"]
        assert second[0] == first[0]
        assert second[1] != first[1]
        again = await arm.put(ACCOUNT, BODY)
        assert again["properties"] == made["properties"]
        assert (await arm.ask("POST", f"{ACCOUNT}/listKeys")).body["keys"] == second


async def test_an_account_is_checked(tmp_path: Path) -> None:
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        await arm.put(ACCOUNT, BODY)
        for path, body, code in [
            (f"{GROUP}/providers/{ACCOUNTS}/My-Lab", BODY, "AccountNameInvalid"),
            (ACCOUNT + "2", {**BODY, "sku": None}, "InvalidValuesForRequestParameters"),
            (ACCOUNT + "2", {**BODY, "kind": "Tape"}, "InvalidValuesForRequestParameters"),
        ]:
            with pytest.raises(ArmError) as caught:
                await arm.put(path, body)
            assert caught.value.code == code
        check = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/checkNameAvailability"
        reasons = [
            (await arm.ask("POST", check, {"name": name})).body.get("reason")
            for name in ("lab", "No", "free")
        ]
        assert reasons == ["AlreadyExists", "AccountNameInvalid", None]


@pytest.mark.parametrize(
    ("service", "standing"),
    [
        (
            "blobServices",
            {"deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False}},
        ),
        ("fileServices", {"shareDeleteRetentionPolicy": {"enabled": True, "days": 7}}),
        ("queueServices", {}),
        ("tableServices", {}),
    ],
)
async def test_an_account_has_its_services(
    tmp_path: Path, service: str, standing: dict[str, object]
) -> None:
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        path = f"{ACCOUNT}/{service}/default"
        with pytest.raises(ArmError) as caught:
            await arm.get(path)
        assert caught.value.status == 404
        await arm.put(ACCOUNT, BODY)
        shown = await arm.get(path)
        assert shown["id"] == path
        assert shown["sku"] == {"name": "Standard_LRS", "tier": "Standard"}
        assert standing.items() <= shown["properties"].items()
        assert shown["properties"]["cors"] == {"corsRules": []}
        assert (await arm.get(f"{ACCOUNT}/{service}"))["value"] == [shown]
        changed = {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 3}}}
        reply = await arm.ask("PUT", path, changed)
        assert reply.status == 200
        assert (await arm.get(path))["properties"]["deleteRetentionPolicy"]["days"] == 3
        with pytest.raises(ArmError, match="'default'"):
            await arm.put(f"{ACCOUNT}/{service}/other", changed)
        with pytest.raises(ArmError):
            await arm.get(f"{ACCOUNT}/{service}/other")


@pytest.mark.parametrize(
    ("path", "made", "gone", "shown"),
    [
        ("blobServices/default/containers/box", 201, 200, {"publicAccess": "None"}),
        ("fileServices/default/shares/box", 201, 200, {"shareQuota": 5120}),
        ("queueServices/default/queues/box", 200, 204, {}),
        ("tableServices/default/tables/box", 200, 204, {"tableName": "box"}),
    ],
)
async def test_what_lies_in_an_account_is_known_by_name(
    tmp_path: Path, path: str, made: int, gone: int, shown: dict[str, object]
) -> None:
    """Nobody has to make the service first; statuses are those that the service lists."""
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        await arm.put(ACCOUNT, BODY)
        body = {"properties": {"metadata": {"a": "b"}}}
        reply = await arm.ask("PUT", f"{ACCOUNT}/{path}", body)
        assert reply.status == made
        assert (await arm.ask("PUT", f"{ACCOUNT}/{path}", body)).status == 200
        found = (await arm.get(f"{ACCOUNT}/{path}"))["properties"]
        assert shown.items() <= found.items()
        assert found["metadata"] == {"a": "b"}
        with pytest.raises(ArmError) as caught:
            await arm.put(f"{ACCOUNT}/{path.removesuffix('box')}a--b", body)
        assert (caught.value.status, caught.value.code) == (400, "InvalidResourceName")
        assert (await arm.ask("DELETE", f"{ACCOUNT}/{path}")).status == gone


async def test_an_account_is_open_until_somebody_closes_it(tmp_path: Path) -> None:
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        made = await arm.put(ACCOUNT, BODY)
        assert made["properties"]["networkAcls"] == {
            "bypass": "AzureServices",
            "defaultAction": "Allow",
            "ipRules": [],
            "virtualNetworkRules": [],
        }
        closed = {**BODY, "properties": {"networkAcls": {"defaultAction": "Deny"}}}
        found = (await arm.put(ACCOUNT, closed))["properties"]["networkAcls"]
        assert (found["defaultAction"], found["ipRules"]) == ("Deny", [])


async def test_an_account_of_the_first_api_has_its_kind(tmp_path: Path) -> None:
    async with world(tmp_path, Storage()) as arm:
        await arm.group()
        body = {"location": "westeurope", "properties": {"accountType": "Premium_LRS"}}
        made = await arm.put(ACCOUNT, body)
        assert (made["kind"], made["sku"]["name"]) == ("Storage", "Premium_LRS")
        assert "accountType" not in made["properties"]
        path = f"{ACCOUNT}/listKeys?api-version"
        old = (await arm.ask("POST", f"{path}=2015-06-15")).body
        new = (await arm.ask("POST", f"{path}=2023-01-01")).body["keys"]
        assert old == {key["keyName"]: key["value"] for key in new}
