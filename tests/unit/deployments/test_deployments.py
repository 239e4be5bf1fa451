"""Template deployments through the Resource Manager, as a client meets them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.deployments.kinds import DeploymentType
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    GROUP,
    LAB,
    SUBSCRIPTION,
    SUBSCRIPTION_SCHEMA,
    deploying,
    machine,
    module,
)
from tests.unit.templates.world import template


async def test_resources_are_deployed_in_their_order_with_outputs(tmp_path: Path) -> None:
    raw = template(
        parameters={"pw": {"type": "securestring"}, "n": {"type": "int", "defaultValue": 2}},
        resources=[
            machine("b", near="[reference('a').speed]", key="[listKeys('a', '1').key]"),
            machine("a", speed="[parameters('n')]", secret="[parameters('pw')]"),
        ],
        outputs={
            "speed": {"type": "int", "value": "[reference('b').near]"},
            "key": {"type": "securestring", "value": "[reference('b').key]"},
            "none": {"type": "string", "condition": False, "value": "[fail('no')]"},
        },
    )
    async with deploying(tmp_path) as d:
        first = await d.begin("d", raw, parameters={"pw": "hush"})
        assert first["properties"]["provisioningState"] == "Accepted"
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert d.lab.machine.puts == ["a", "b"]
        assert found["outputs"] == {
            "speed": {"type": "Int", "value": 2},
            "key": {"type": "SecureString"},
        }
        assert found["parameters"]["pw"] == {"type": "SecureString"}
        assert [item["id"] for item in found["outputResources"]] == [
            f"{LAB}/machines/b",
            f"{LAB}/machines/a",
        ]
        assert found["dependencies"][0]["dependsOn"][0]["resourceName"] == "a"
        assert found["duration"].startswith("PT")
        secure = await d.world.ask("POST", f"{DEPLOYMENTS}/d/listOutputsWithSecureValues")
        assert secure.body == {"speed": 2, "key": "key-of-a"}
        operations = (await d.world.get(f"{DEPLOYMENTS}/d/operations"))["value"]
        kinds = sorted(item["properties"]["provisioningOperation"] for item in operations)
        assert kinds == ["Create", "Create", "EvaluateDeploymentOutput"]
        one = await d.world.get(operations[0]["id"])
        assert one["operationId"] == operations[0]["operationId"]
        exported = await d.world.ask("POST", f"{DEPLOYMENTS}/d/exportTemplate")
        assert exported.body == {"template": raw}
        # A secret is kept only as long as the deployment may have to go on, or be run again.
        assert "hush" not in json.dumps(await d.world.get(f"{DEPLOYMENTS}/d"))
        raw["resources"].append(machine("x", broken=True))
        assert (await d.run("d", raw, parameters={"pw": "hush"}))["error"]
        assert "hush" not in json.dumps(d.world.arm.store.get(f"{DEPLOYMENTS}/d"))


async def test_one_failure_stops_what_waits_for_it_only(tmp_path: Path) -> None:
    raw = template(
        resources=[
            machine("bad", broken=True),
            machine("after", dependsOn=["bad"]),
            machine("beside"),
        ],
    )
    async with deploying(tmp_path) as d:
        found = await d.run("d", raw)
        assert found["provisioningState"] == "Failed"
        assert d.lab.machine.puts == ["beside"]
        assert found["error"]["code"] == "DeploymentFailed"
        (detail,) = found["error"]["details"]
        assert (detail["code"], detail["message"]) == ("MachineBroken", "The machine is broken.")
        assert detail["target"] == f"{LAB}/machines/bad"
        again = await d.run("d", template(resources=[machine("bad")]))
        assert again["provisioningState"] == "Succeeded"


async def test_a_module_that_fails_tells_why(tmp_path: Path) -> None:
    raw = template(resources=[module("m", template(resources=[machine("x", broken=True)]))])
    async with deploying(tmp_path) as d:
        found = await d.run("d", raw)
        (nested,) = found["error"]["details"]
        assert nested["code"] == "DeploymentFailed"
        assert nested["target"] == f"{DEPLOYMENTS}/m"
        assert nested["details"][0]["code"] == "MachineBroken"


async def test_expressions_that_fail_late_are_told_with_their_place(tmp_path: Path) -> None:
    raw = template(
        resources=[machine("a"), machine("b", x="[reference('a').nope]")],
        outputs={"o": {"type": "string", "value": "[reference('a').speed]"}},
    )
    async with deploying(tmp_path) as d:
        (detail,) = (await d.run("d", raw))["error"]["details"]
        assert detail["code"] == "InvalidTemplate"
        assert "property 'nope' doesn't exist, available properties are" in detail["message"]
        raw["resources"].pop()
        found = await d.run("d", raw)
        assert found["error"]["code"] == "DeploymentOutputEvaluationFailed"
        assert "Expected a value of type 'String'" in found["error"]["details"][0]["message"]


async def test_an_existing_resource_that_may_be_missing_is_null(tmp_path: Path) -> None:
    there = {**machine("none"), "existing": True}
    raw = template(
        languageVersion="2.0",
        resources={"there": there},
        outputs={"o": {"type": "bool", "value": "[equals(reference('there'), null())]"}},
    )
    async with deploying(tmp_path) as d:
        found = await d.run("d", raw)
        assert "was not found" in found["error"]["details"][0]["message"]
        there["@options"] = {"nullIfNotFound": []}
        found = await d.run("d", raw)
        assert found["outputs"]["o"]["value"] is True


async def test_a_subscription_deployment_makes_a_group_and_fills_it(tmp_path: Path) -> None:
    inner = template(
        resources=[machine("x", where="[resourceGroup().location]")],
        outputs={"id": {"type": "string", "value": "[resourceId('Contoso.Lab/machines', 'x')]"}},
    )
    raw = template(
        languageVersion="2.0",
        resources={
            "group": {
                "type": "Microsoft.Resources/resourceGroups",
                "apiVersion": "2024-03-01",
                "name": "made",
                "location": "[deployment().location]",
            },
            "fill": module("fill", inner, resourceGroup="made", dependsOn=["group"]),
        },
        outputs={"id": {"type": "string", "value": "[reference('fill').outputs.id.value]"}},
    )
    raw["$schema"] = SUBSCRIPTION_SCHEMA
    at = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments"
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError, match="'location' property must be specified for 's'"):
            await d.begin("s", raw, at=at)
        with pytest.raises(ArmError, match="'location' property is not allowed for 'g'") as caught:
            await d.begin("g", template(), location="westeurope")
        assert (caught.value.status, caught.value.code) == (400, "InvalidDeployment")
        found = await d.run("s", raw, at=at, location="northeurope")
        path = GROUP.replace("/g", "/made") + "/providers/Contoso.Lab/machines/x"
        assert found["outputs"]["id"]["value"].lower() == path.lower()
        assert (await d.world.get(path))["properties"]["where"] == "northeurope"
        listed = (await d.world.get(at))["value"]
        assert [item["name"] for item in listed] == ["s"]


async def test_the_tenant_has_deployments_too(tmp_path: Path) -> None:
    raw = template(resources=[{"type": "Contoso.Lab/things", "apiVersion": "1", "name": "t"}])
    raw["$schema"] = raw["$schema"].replace("deploymentTemplate", "tenantDeploymentTemplate")
    at = "/providers/Microsoft.Resources/deployments"
    async with deploying(tmp_path) as d:
        reply = await d.world.ask(
            "PUT",
            f"{at}/t",
            {"location": "x", "properties": {"mode": "Incremental", "template": raw}},
        )
        link = reply.headers["Azure-AsyncOperation"].removeprefix("https://here")
        assert (await d.ended(f"{at}/t"))["provisioningState"] == "Succeeded"
        assert (await d.world.get(link))["status"] == "Succeeded"
        assert (await d.world.get("/providers/Contoso.Lab/things/t"))["name"] == "t"


async def test_complete_mode_deletes_what_the_template_does_not_have(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("d", template(resources=[machine("a"), machine("b")]))
        await d.run("d", template(resources=[machine("b")]), mode="Complete")
        left = (await d.world.get(f"{LAB}/machines"))["value"]
        assert [item["name"] for item in left] == ["b"]


async def test_a_deployment_is_canceled(tmp_path: Path) -> None:
    raw = template(resources=[machine("a"), machine("b", dependsOn=["a"])])
    async with deploying(tmp_path) as d:
        d.lab.machine.gate.clear()
        await d.begin("d", raw)
        with pytest.raises(ArmError) as caught:
            await d.begin("d", raw)
        assert caught.value.code == "DeploymentActive"
        reply = await d.world.ask("POST", f"{DEPLOYMENTS}/d/cancel")
        assert reply.status == 204
        d.lab.machine.gate.set()
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Canceled"
        assert d.lab.machine.puts == ["a"]
        with pytest.raises(ArmError) as caught:
            await d.world.ask("POST", f"{DEPLOYMENTS}/d/cancel")
        assert caught.value.code == "DeploymentCannotBeCancelled"


async def test_an_interrupted_deployment_goes_on_after_a_restart(tmp_path: Path) -> None:
    raw = template(
        parameters={"id": {"type": "string", "defaultValue": "[newGuid()]"}},
        resources=[
            machine("a"),
            machine("b", id="[parameters('id')]", dependsOn=["a"]),
        ],
        outputs={"id": {"type": "string", "value": "[parameters('id')]"}},
    )
    async with deploying(tmp_path) as d:
        record = await d.begin("first", template(resources=[machine("a")]))
        gate = d.lab.machine.gate
        gate.clear()
        record = await d.begin("d", raw)
        before = record["properties"]["parameters"]["id"]["value"]
    async with deploying(tmp_path) as d:
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Succeeded"
        assert found["outputs"]["id"]["value"] == before
        assert d.lab.machine.puts == ["a", "b"]


async def test_a_deployment_whose_scope_went_away_is_told_as_failed(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        d.lab.machine.gate.clear()
        await d.begin("d", template(resources=[machine("a")]))
        record = d.world.arm.store.get(f"{DEPLOYMENTS}/d")
        assert record is not None
        record["private"]["template"]["resources"] = [machine("a", x="[nope()]")]
        await d.world.arm.store.write(put=[(parse(record["id"]), record, "e")])
    async with deploying(tmp_path) as d:
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Failed"
        assert found["error"]["code"] == "InvalidTemplate"


async def test_failed_deployments_are_found_by_filter(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("good", template())
        await d.run("bad", template(resources=[machine("a", broken=True)]))
        for state, name in (("Failed", "bad"), ("Succeeded", "good")):
            reply = await d.world.ask(
                "GET", f"{DEPLOYMENTS}?$filter=provisioningState eq '{state}'"
            )
            assert [item["name"] for item in reply.body["value"]] == [name]


async def test_deployments_are_none_of_a_groups_resources_and_go_with_it(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("d", template(resources=[machine("a")]))
        names = [item["name"] for item in (await d.world.get(f"{GROUP}/resources"))["value"]]
        assert names == ["a"]
        assert (await d.world.ask("HEAD", f"{DEPLOYMENTS}/d")).status == 204
        d.lab.machine.gate.clear()
        await d.begin("running", template(resources=[machine("a"), machine("z")]))
        deleting = asyncio.create_task(d.world.ask("DELETE", GROUP))
        await asyncio.sleep(0.01)
        d.lab.machine.gate.set()
        await deleting
        for _ in range(400):
            if not list(d.world.arm.store.all()):
                break
            await asyncio.sleep(0.005)
        assert list(d.world.arm.store.all()) == []


async def test_a_group_is_exported_as_a_template_that_makes_it_again(tmp_path: Path) -> None:
    raw = template(
        resources=[
            machine("a", speed=7, text="[[brackets]"),
            {**machine("a/p"), "type": "Contoso.Lab/machines/parts"},
            machine("b", near="[resourceId('Contoso.Lab/machines', 'a')]"),
            {
                "type": "Contoso.Ext/notes",
                "apiVersion": "2023-05-05",
                "scope": "Contoso.Lab/machines/a",
                "name": "n",
                "properties": {},
                "dependsOn": ["a"],
            },
        ]
    )
    raw["resources"][1]["dependsOn"] = ["a"]
    export = f"{GROUP}/exportTemplate"
    async with deploying(tmp_path) as d:
        await d.run("d", raw)
        made = (await d.world.ask("POST", export, {"resources": ["*"]})).body["template"]
        assert made["parameters"]["machines_a_name"] == {"defaultValue": "a", "type": "String"}
        before = {record.id.key: record.read()["properties"] for record in _made(d)}
        assert len(before) == 4
        for record in _made(d):
            if len(record.id.names) == 1 and record.id.type.startswith("Contoso.Lab"):
                await d.world.ask("DELETE", record.id.text)
        assert _made(d) == []
        found = await d.run("again", made)
        assert found["provisioningState"] == "Succeeded"
        after = {record.id.key: record.read()["properties"] for record in _made(d)}
        for properties in (*before.values(), *after.values()):
            properties.pop("seen", None)
        assert after == before
        one = f"{LAB}/machines/b"
        body = {"resources": [one], "options": "SkipAllParameterization"}
        only = (await d.world.ask("POST", export, body)).body["template"]
        assert [item["name"] for item in only["resources"]] == ["b"]
        assert only["parameters"] == {}


def _made(d: Any) -> list[Any]:
    return [item for item in d.world.arm.store.all() if "contoso" in item.id.key]


def test_bodies_are_read_as_az_sends_them() -> None:
    raw = b'{"properties": {"mode": "Incremental", template: { // mine\n "resources": [],\n}}}'
    found = DeploymentType(None).parse(raw)  # type: ignore[arg-type]
    assert found["properties"]["template"] == {"resources": []}
    with pytest.raises(ArmError) as caught:
        DeploymentType(None).parse(b"{ nothing }")  # type: ignore[arg-type]
    assert caught.value.status == 400
