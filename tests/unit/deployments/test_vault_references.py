"""Secrets of key vaults: templates write them, parameters read them, nobody is told them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.deployments.stacks import DeploymentStacks
from orchestrator.localcloud.providers.authorization.provider import built_in
from orchestrator.localcloud.providers.key_vault.vaults import KeyVault
from tests.unit.arm.world import GROUP, world
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    LAB,
    STACKS,
    Deploying,
    Lab,
    machine,
    module,
)
from tests.unit.templates.world import template

VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-lab"
SECRET = f"{VAULT}/secrets/pw"
TAKES = template(
    parameters={"p": {"type": "securestring"}},
    resources=[machine("a", secret="[parameters('p')]", length="[length(parameters('p'))]")],
)


@asynccontextmanager
async def vaulted(folder: Path, *, enabled: bool = True) -> AsyncIterator[Deploying]:
    """A world with a vault that holds one secret."""
    lab = Lab()
    async with world(folder, Deployments(), DeploymentStacks(), KeyVault(), lab) as made:
        await made.group()
        properties = {"enabledForTemplateDeployment": enabled}
        await made.put(VAULT, {"location": "westeurope", "properties": properties})
        await made.put(SECRET, {"properties": {"value": "whisper"}})
        yield Deploying(made, lab)


def refers(name: str = "pw", vault: str = VAULT, **more: str) -> dict[str, Any]:
    return {"p": {"reference": {"keyVault": {"id": vault}, "secretName": name, **more}}}


async def put(d: Deploying, parameters: dict[str, Any]) -> None:
    body = {"properties": {"mode": "Incremental", "template": TAKES, "parameters": parameters}}
    await d.world.ask("PUT", f"{DEPLOYMENTS}/d", body)


async def test_a_secret_is_told_to_nobody_and_versioned(tmp_path: Path) -> None:
    async with vaulted(tmp_path) as d:
        first = await d.world.get(SECRET)
        assert "whisper" not in json.dumps(first)
        assert first["properties"]["secretUri"] == "https://kv-lab.vault.azure.net/secrets/pw"
        same = await d.world.put(SECRET, {"properties": {"value": "whisper"}})
        other = await d.world.put(SECRET, {"properties": {"value": "shout"}})
        key = "secretUriWithVersion"
        assert first["properties"][key] == same["properties"][key] != other["properties"][key]
        assert "shout" not in json.dumps((await d.world.get(f"{VAULT}/secrets"))["value"])
        with pytest.raises(ArmError):
            await d.world.put(f"{VAULT}/secrets/empty", {"properties": {}})


async def test_a_parameter_takes_its_value_from_a_vault(tmp_path: Path) -> None:
    async with vaulted(tmp_path) as d:
        await put(d, refers())
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Succeeded", found
        assert (await d.world.get(f"{LAB}/machines/a"))["properties"]["length"] == 7
        assert "whisper" not in json.dumps(found)
        version = (await d.world.get(SECRET))["properties"]["secretUriWithVersion"]
        await put(d, refers(secretVersion=version.rpartition("/")[2]))
        await d.ended(f"{DEPLOYMENTS}/d")


async def test_a_plain_parameter_shows_the_reference_and_not_the_secret(tmp_path: Path) -> None:
    plain = template(
        parameters={"p": {"type": "string"}},
        resources=[machine("a", length="[length(parameters('p'))]")],
    )
    asked = {"template": plain, "parameters": refers()}
    shown = {"p": {"type": "String", **refers()["p"]}}
    async with vaulted(tmp_path) as d:
        body = {"properties": {"mode": "Incremental", **asked}}
        checked = (await d.world.ask("POST", f"{DEPLOYMENTS}/d/validate", body)).body
        assert checked["properties"]["parameters"] == shown
        made = (await d.world.ask("PUT", f"{DEPLOYMENTS}/d", body)).body
        assert made["properties"]["parameters"] == shown
        assert (await d.ended(f"{DEPLOYMENTS}/d"))["parameters"] == shown
        tells = [machine("a", label="[parameters('p')]")]
        told = template(parameters={"p": {"type": "string"}}, resources=tells)
        assert "whisper" not in json.dumps(await d.what_if(told, parameters=refers()))
        rules = {"actionOnUnmanage": {"resources": "detach"}, "denySettings": {"mode": "none"}}
        await d.world.ask("PUT", f"{STACKS}/s", {"properties": {**asked, **rules}})
        stack = await d.ended(f"{STACKS}/s")
        assert stack["provisioningState"] == "succeeded", stack
        assert stack["parameters"] == shown


async def test_a_module_does_so_too(tmp_path: Path) -> None:
    async with vaulted(tmp_path) as d:
        outer = template(
            parameters={"vault": {"type": "string", "defaultValue": VAULT}},
            resources=[
                module(
                    "in",
                    TAKES,
                    parameters={
                        "p": {
                            "reference": {
                                "keyVault": {"id": "[parameters('vault')]"},
                                "secretName": "pw",
                            }
                        }
                    },
                )
            ],
        )
        found = await d.run("outer", outer)
        assert found["provisioningState"] == "Succeeded", found
        assert (await d.world.get(f"{LAB}/machines/a"))["properties"]["length"] == 7


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (refers("nothing"), "KeyVaultParameterReferenceSecretRetrieveFailed"),
        (refers(secretVersion="0" * 32), "KeyVaultParameterReferenceSecretRetrieveFailed"),
        (refers(vault=f"{VAULT}x"), "KeyVaultParameterReferenceNotFound"),
        ({"p": {"reference": {"secretName": "pw"}}}, "InvalidDeploymentParameterValue"),
    ],
)
async def test_what_cannot_be_had_is_said(
    tmp_path: Path, parameters: dict[str, Any], code: str
) -> None:
    async with vaulted(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await put(d, parameters)
        assert caught.value.code == code


async def test_the_vault_and_the_roles_have_to_allow_it(tmp_path: Path) -> None:
    async with vaulted(tmp_path, enabled=False) as d:
        with pytest.raises(ArmError, match="not enabled for template deployment"):
            await put(d, refers())
        d.world.arm.access = Access(d.world.arm.store, built_in, ["another"])
        with pytest.raises(ArmError) as caught:
            await put(d, refers())
        assert caught.value.status == 403


async def test_a_secret_that_is_disabled_or_has_no_value_is_not_given(tmp_path: Path) -> None:
    async with vaulted(tmp_path) as d:
        disabled = {"properties": {"value": "whisper", "attributes": {"enabled": False}}}
        await d.world.put(SECRET, disabled)
        with pytest.raises(ArmError, match="is disabled"):
            await put(d, refers())
        record = d.world.arm.store.record(SECRET)
        assert record is not None
        # As versions kept it that did not know secrets.
        await d.world.arm.store.write(put=[(record.id, {**record.read(), "properties": {}}, "t")])
        with pytest.raises(ArmError, match="was not found in the key vault"):
            await put(d, refers())
        plain = {**record.read(), "properties": {"value": "x"}}
        await d.world.arm.store.write(put=[(record.id, plain, "t")])
        again = await d.world.put(SECRET, {"properties": {"value": "x"}})
        assert not again["properties"]["secretUriWithVersion"].endswith("/")


async def test_attributes_of_another_form_are_refused(tmp_path: Path) -> None:
    async with vaulted(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.world.put(SECRET, {"properties": {"value": "x", "attributes": 5}})
        assert caught.value.target == "properties.attributes"
