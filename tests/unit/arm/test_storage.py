"""Storage accounts, as Resource Manager knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.storage import ACCOUNTS, Storage
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
