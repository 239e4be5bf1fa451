"""Changes at the same time: of one resource, and of those that want one name in the whole cloud."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Call, Provider, ResourceType
from orchestrator.localcloud.providers.key_vault.vaults import KeyVault
from orchestrator.localcloud.providers.registries import ContainerRegistry
from orchestrator.localcloud.providers.storage.accounts import Storage
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world


class Strict(ResourceType):
    type: ClassVar[str] = "Microsoft.Portal/strict"

    def busy(self, call: Call) -> ArmError:
        return ArmError("Busy", "One change at a time.", 409)


class Lab(Provider):
    namespace: ClassVar[str] = "Microsoft.Portal"

    def types(self) -> list[ResourceType]:
        return [Strict()]


@pytest.mark.parametrize(("kind", "refused"), [("strict", 4), ("things", 0)])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_changes_at_the_same_time(
    tmp_path: Path, kind: str, refused: int, method: str
) -> None:
    async with world(tmp_path, Lab()) as arm:
        await arm.group()
        path = f"{GROUP}/providers/Microsoft.Portal/{kind}/x"
        await arm.put(path, {})
        body = {"properties": {"n": 1}}
        asked = [arm.ask(method, path, body) for _ in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        errors = [it for it in found if isinstance(it, ArmError)]
        assert [error.code for error in errors] == ["Busy"] * refused
        # It is free again, and others were never held up.
        assert (await arm.ask(method, path, body)).status == 200
        await _beside(arm, kind)


async def _beside(arm: World, kind: str) -> None:
    paths = [f"{GROUP}/providers/Microsoft.Portal/{kind}/y{number}" for number in range(3)]
    await asyncio.gather(*(arm.put(path, {}) for path in paths))


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("ContainerRegistry/registries", "Taken1", "AlreadyInUse"),
        ("KeyVault/vaults", "Taken1", "VaultAlreadyExists"),
        ("Storage/storageAccounts", "taken1", "StorageAccountAlreadyTaken"),
    ],
)
async def test_a_name_that_is_asked_for_at_once_is_given_once(
    tmp_path: Path, kind: str, name: str, code: str
) -> None:
    body = {"location": "westeurope", "sku": {"name": "Standard"}, "kind": "StorageV2"}
    async with world(tmp_path, ContainerRegistry(), KeyVault(), Storage()) as arm:
        asked = []
        for number in range(4):
            await arm.group(f"g{number}")
            group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g{number}"
            asked.append(arm.put(f"{group}/providers/Microsoft.{kind}/{name}", body))
        found = await asyncio.gather(*asked, return_exceptions=True)
        errors = [it for it in found if isinstance(it, ArmError)]
        assert [(error.code, error.status) for error in errors] == [(code, 409)] * 3
