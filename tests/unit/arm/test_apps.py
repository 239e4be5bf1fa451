"""Container apps, which are kept and do not run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.provider import Provider
from orchestrator.localcloud.providers.apps import APPS, Apps
from tests.unit.arm.world import GROUP, World, world

ENVIRONMENT = f"{GROUP}/providers/Microsoft.App/managedEnvironments/env"
APP = f"{GROUP}/providers/{APPS}/web"


class OnlyApps(Provider):
    namespace = "Microsoft.App"

    def types(self) -> list[Any]:
        return [Apps()]


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, OnlyApps()) as made:
        await made.group()
        body = {"location": "westeurope", "properties": {"defaultDomain": "x.example"}}
        await made.put(ENVIRONMENT, body)
        yield made


async def test_a_secret_with_an_empty_vault_is_one_with_a_value(arm: World) -> None:
    """Terraform's azurerm provider sends both, and shows no value of one that names a vault."""
    secret = {"name": "s", "value": "hush", "keyVaultUrl": "", "identity": ""}
    body = {
        "location": "westeurope",
        "properties": {"environmentId": ENVIRONMENT, "configuration": {"secrets": [secret]}},
    }
    made = await arm.put(APP, body)
    assert made["properties"]["configuration"]["secrets"] == [{"name": "s"}]
    told = (await arm.ask("POST", f"{APP}/listSecrets")).body
    assert told == {"value": [{"name": "s", "value": "hush"}]}
