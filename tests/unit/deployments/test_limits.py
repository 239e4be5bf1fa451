"""What a template and a history may hold, and where things may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.deployments.history import FULL, LEFT, MOST
from orchestrator.localcloud.providers import known_types
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    GROUP,
    SUBSCRIPTION,
    SUBSCRIPTION_SCHEMA,
    Deploying,
    deploying,
    machine,
)
from tests.unit.templates.world import template

LOOP = {"name": "c", "count": 2}


async def refused(d: Deploying, raw: dict[str, Any]) -> ArmError:
    body = {"properties": {"mode": "Incremental", "template": raw}}
    with pytest.raises(ArmError) as caught:
        await d.world.ask("POST", f"{DEPLOYMENTS}/v/validate", body)
    assert caught.value.status == 400
    return caught.value


def many(count: int, value: Any) -> dict[str, Any]:
    return {f"x{number}": value for number in range(count)}


@pytest.mark.parametrize(
    ("member", "most", "value"),
    [
        ("parameters", 256, {"type": "int", "defaultValue": 1}),
        ("variables", 512, 1),
        ("outputs", 64, {"type": "int", "value": 1}),
    ],
)
async def test_a_template_has_so_many_and_no_more(
    tmp_path: Path, member: str, most: int, value: Any
) -> None:
    async with deploying(tmp_path) as d:
        found = await d.run("d", template(**{member: many(most, value)}))
        assert found["provisioningState"] == "Succeeded"
        error = await refused(d, template(**{member: many(most + 1, value)}))
        assert error.code == "InvalidTemplate"
        assert f"The number of template {member} limit exceeded. Limit: '{most}'" in error.message


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (template(languageVersion="3.0"), "language version '3.0' is not supported"),
        (template(languageVersion=2), "language version '2' is not supported"),
        (template(resources={"a": machine("a")}), "must be an array"),
        (
            template(
                resources=[machine("a") | {"copy": {"name": "c", "count": 2, "batchSize": 0}}]
            ),
            "batchSize '0'",
        ),
        (
            template(resources=[machine("a") | {"copy": LOOP | {"mode": "odd"}}]),
            "copy mode 'odd'",
        ),
    ],
)
async def test_what_no_template_is_is_refused(
    tmp_path: Path, raw: dict[str, Any], words: str
) -> None:
    async with deploying(tmp_path) as d:
        assert words in (await refused(d, raw)).message


async def test_types_that_azure_has_not_are_told_before_anything_begins(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        d.world.arm._known = known_types.known
        for kind, code in (
            ("Contoso.Nope/things", "InvalidResourceNamespace"),
            ("Microsoft.Portal/nope", "InvalidResourceType"),
        ):
            later = machine("b") | {"type": kind, "properties": {"n": "[reference('a').speed]"}}
            error = await refused(d, template(resources=[machine("a"), later]))
            assert error.code == "InvalidTemplateDeployment"
            assert [item.code for item in error.details] == [code]


async def test_regions_that_azure_has_not_are_refused(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        d.world.arm.regions = frozenset({"westeurope", "eastus"})
        d.world.arm.geographies = frozenset({"europe"})

        async def code(method: str, path: str, body: Any) -> tuple[str, str]:
            with pytest.raises(ArmError) as caught:
                await d.world.ask(method, path, body)
            return caught.value.code, caught.value.message

        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/far"
        assert await code("PUT", group, {"location": "Mars Central"}) == (
            "LocationNotAvailableForResourceGroup",
            "The provided location 'marscentral' is not available for resource group. List of "
            "available regions is 'eastus,westeurope'.",
        )
        thing = f"{GROUP}/providers/Microsoft.Portal/dashboards/a"
        found = await code("PUT", thing, {"location": "mars"})
        assert found[0] == "LocationNotAvailableForResourceType"
        assert "resource type 'Microsoft.Portal/dashboards'" in found[1]
        at = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments/d"
        raw = template(**{"$schema": SUBSCRIPTION_SCHEMA})
        body = {"location": "mars", "properties": {"mode": "Incremental", "template": raw}}
        assert (await code("PUT", at, body))[0] == "LocationNotAvailableForDeployment"
        await d.world.put(thing, {"location": "East US"})
        await d.world.put(
            f"{GROUP}/providers/Microsoft.Portal/dashboards/b", {"location": "Global"}
        )
        # Only services that are nowhere in particular take a geography.
        directory = f"{GROUP}/providers/Microsoft.AzureActiveDirectory/b2cDirectories/d"
        await d.world.put(directory, {"location": "Europe"})
        for path in (f"{GROUP}/providers/Contoso.Lab/machines/m", group):
            assert "not available" in (await code("PUT", path, {"location": "Europe"}))[1]


async def history(d: Deploying, count: int) -> None:
    """So many deployments that have ended, the oldest first."""
    done = await d.run("d0", template())
    put = []
    for number in range(1, count):
        id = parse(f"{DEPLOYMENTS}/d{number}")
        body = {"id": id.text, "name": id.name, "type": id.type, "private": {"template": {}}}
        stamp = f"2026-01-02T00:00:00.{number:07}Z"
        put.append((id, body | {"properties": done | {"timestamp": stamp}}, "tag"))
    await d.world.arm.store.write(put=put)


async def names(d: Deploying) -> set[str]:
    return {record.id.name for record in d.world.arm.store.records(parse(f"{DEPLOYMENTS}/x").type)}


async def test_the_oldest_deployments_are_forgotten(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await history(d, FULL - 1)
        await d.run("new", template())
        left = await names(d)
        assert len(left) == LEFT
        assert {"new", f"d{FULL - 2}"} <= left
        assert not {"d0", "d1"} & left


async def test_a_lock_keeps_them_until_there_is_no_room(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        lock = f"{GROUP}/providers/Microsoft.Authorization/locks/l"
        await d.world.put(lock, {"properties": {"level": "CanNotDelete"}})
        await history(d, MOST - 1)
        await d.run("last", template())
        assert len(await names(d)) == MOST
        with pytest.raises(ArmError) as caught:
            await d.begin("one-more", template())
        assert (caught.value.status, caught.value.code) == (409, "DeploymentQuotaExceeded")
        await d.run("last", template())  # one that is there is no more


async def test_a_hash_is_of_a_template(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        path = "/providers/Microsoft.Resources/calculateTemplateHash"
        assert (await d.world.ask("POST", path, template())).body["templateHash"]
        with pytest.raises(ArmError):
            await d.world.ask("POST", path)
