"""Template deployments through the Resource Manager, as a client meets them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.deployments.provider import DeploymentType
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    GROUP,
    LAB,
    STACKS,
    SUBSCRIPTION,
    deploying,
    machine,
)
from tests.unit.templates.world import template

SUBSCRIPTION_SCHEMA = (
    "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#"
)


ID_OF_A = {"id": {"type": "string", "value": "[resourceId('Contoso.Lab/machines', 'a')]"}}


def module(name: str, inner: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A nested deployment as Bicep writes modules."""
    parameters = members.pop("parameters", {})
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2024-03-01",
        "name": name,
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "parameters": parameters,
            "template": inner,
        },
        **members,
    }


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
        # A secret is kept only as long as the deployment may have to go on.
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
        with pytest.raises(ArmError, match="LocationRequired"):
            await d.begin("s", raw, at=at)
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


async def test_what_cannot_be_had_is_refused_before_anything_happens(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:

        async def refusal(**properties: Any) -> ArmError:
            body = {"properties": {"mode": "Incremental", **properties}}
            with pytest.raises(ArmError) as caught:
                await d.world.ask("PUT", f"{DEPLOYMENTS}/d", body)
            assert caught.value.status == 400
            return caught.value

        vault = {"p": {"reference": {"keyVault": {"id": "/x"}, "secretName": "s"}}}
        raw = template(parameters={"p": {"type": "string"}})
        assert (await refusal(template=raw, parameters=vault)).code.startswith("KeyVault")
        assert (await refusal(templateLink={"uri": "https://x/y"})).code.startswith("TemplateLink")
        assert (await refusal(template=raw)).code == "InvalidTemplate"
        assert (await refusal(template=raw, mode="Half")).code == "InvalidDeploymentMode"
        assert (await refusal(template=raw, parameters={"p": 1})).code == (
            "InvalidDeploymentParameterValue"
        )
        assert (await refusal()).code == "InvalidRequestContent"
        wrong = dict(template(resources=[machine("a")]), **{"$schema": SUBSCRIPTION_SCHEMA})
        assert "not valid for a deployment to a group" in (await refusal(template=wrong)).message
        with pytest.raises(ArmError, match="NotFound"):
            await d.world.get(f"{DEPLOYMENTS}/d")


async def test_validate_looks_into_modules_and_keeps_nothing(tmp_path: Path) -> None:
    good = template(resources=[machine("a"), module("m", template(resources=[machine("b")]))])
    inner = template(parameters={"needed": {"type": "int"}})
    bad = template(resources=[module("m", inner)])
    async with deploying(tmp_path) as d:
        path = f"{DEPLOYMENTS}/v/validate"
        body = {"properties": {"mode": "Incremental", "template": good}}
        found = (await d.world.ask("POST", path, body)).body["properties"]
        assert [item["id"].rsplit("/")[-1] for item in found["validatedResources"]] == ["a", "b"]
        body["properties"]["template"] = bad
        with pytest.raises(ArmError) as caught:
            await d.world.ask("POST", path, body)
        assert caught.value.code == "InvalidTemplateDeployment"
        assert "'needed' is not provided" in caught.value.details[0].message
        assert (await d.world.get(DEPLOYMENTS))["value"] == []
        assert d.lab.machine.puts == []


async def test_validate_asks_the_providers(tmp_path: Path) -> None:
    raw = template(resources=[machine("a", wrong=True)])
    body = {"properties": {"mode": "Incremental", "template": raw}}
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.world.ask("POST", f"{DEPLOYMENTS}/v/validate", body)
        assert caught.value.code == "InvalidTemplateDeployment"
        assert caught.value.details[0].code == "MachineWrong"
        # All that is wrong is told at once.
        inner = template(resources=[machine("b", wrong=True)])
        body["properties"]["template"] = template(
            resources=[machine("a", wrong=True), module("m", inner), machine("c")]
        )
        with pytest.raises(ArmError) as caught:
            await d.world.ask("POST", f"{DEPLOYMENTS}/v/validate", body)
        assert caught.value.code == "MultipleErrorsOccurred"
        assert "BadRequest,BadRequest" in caught.value.message
        targets = [str(one.target).rsplit("/")[-1] for one in caught.value.details]
        assert targets == ["a", "b"]


async def test_what_a_provider_would_refuse_is_refused_before_anything_is_done(
    tmp_path: Path,
) -> None:
    inner = module("m", template(resources=[machine("b", wrong=True)]))
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.begin("d", template(resources=[machine("a"), inner]))
        assert (caught.value.code, caught.value.status) == ("InvalidTemplateDeployment", 400)
        assert caught.value.target == f"{LAB}/machines/b"
        assert caught.value.details[0].code == "MachineWrong"
        assert (await d.world.get(DEPLOYMENTS))["value"] == []
        assert d.lab.machine.puts == []
        with pytest.raises(ArmError) as caught:
            await d.begin("d", template(resources=[machine("a", needs=f"{LAB}/machines/z")]))
        assert caught.value.details[0].code == "InvalidResourceReference"


async def test_what_waits_in_a_module_for_another_module_is_not_refused_beforehand(
    tmp_path: Path,
) -> None:
    first = module("first", template(resources=[machine("a")]))
    needy = template(resources=[machine("b", needs=f"{LAB}/machines/a")])
    async with deploying(tmp_path) as d:
        raw = template(resources=[first, module("then", needy) | {"dependsOn": ["first"]}])
        assert (await d.run("d", raw))["provisioningState"] == "Succeeded"
        assert d.lab.machine.puts == ["a", "b"]


async def test_what_only_the_running_cloud_can_tell_is_not_looked_over_beforehand(
    tmp_path: Path,
) -> None:
    """What is not known yet goes down to the innermost module as it is written."""
    first = module("first", template(resources=[machine("a")], outputs=ID_OF_A))
    needy = template(
        parameters={"id": {"type": "string"}},
        resources=[machine("b", needs="[parameters('id')]")],
    )
    middle = template(
        parameters={"id": {"type": "string"}},
        resources=[module("inner", needy, parameters={"id": {"value": "[parameters('id')]"}})],
    )
    told = {"id": {"value": "[reference('first').outputs.id.value]"}}
    async with deploying(tmp_path) as d:
        raw = template(resources=[first, module("then", middle, parameters=told)])
        assert (await d.run("d", raw))["provisioningState"] == "Succeeded"
        assert d.lab.machine.puts == ["a", "b"]


async def test_outputs_that_are_no_expressions_are_refused_before_anything_is_done(
    tmp_path: Path,
) -> None:
    async with deploying(tmp_path) as d:
        for value in ("[nope()]", "[concat('a']", ["[own.nope()]"]):
            raw = template(
                resources=[machine("a")], outputs={"o": {"type": "string", "value": value}}
            )
            with pytest.raises(ArmError) as caught:
                await d.begin("d", raw)
            assert caught.value.code == "InvalidTemplate"
            assert "The template output 'o' is not valid" in caught.value.message
        with pytest.raises(ArmError) as caught:
            await d.begin("d", template(resources=[{"type": "Contoso.Lab/machines"}]))
        assert "'Contoso.Lab/machines' has no valid 'name'" in caught.value.message
        with pytest.raises(ArmError) as caught:
            await d.world.get(f"{DEPLOYMENTS}/d")
        assert (caught.value.code, caught.value.status) == ("DeploymentNotFound", 404)
        assert d.lab.machine.puts == []


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


# ----------------------------------------------------------------------- stacks ----


async def stack(d: Any, raw: dict[str, Any], action: str = "delete", **deny: Any) -> dict[str, Any]:
    body = {
        "properties": {
            "template": raw,
            "actionOnUnmanage": {"resources": action},
            "denySettings": {"mode": "none"} | deny,
        }
    }
    await d.world.ask("PUT", f"{STACKS}/s", body)
    found: dict[str, Any] = await d.ended(f"{STACKS}/s")
    return found


async def test_a_stack_deletes_what_its_template_no_longer_has(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.world.put(f"{LAB}/machines/mine")
        found = await stack(d, template(resources=[machine("a"), machine("b")]))
        assert [item["id"] for item in found["resources"]] == [
            f"{LAB}/machines/a",
            f"{LAB}/machines/b",
        ]
        found = await stack(d, template(resources=[machine("b"), machine("c")]))
        assert found["deletedResources"] == [{"id": f"{LAB}/machines/a"}]
        found = await stack(d, template(resources=[machine("c")]), "detach")
        assert found["detachedResources"] == [{"id": f"{LAB}/machines/b"}]
        reply = await d.world.ask("DELETE", f"{STACKS}/s?unmanageaction.resources=delete")
        assert reply.status == 202
        for _ in range(400):
            if (await d.world.get(STACKS))["value"] == []:
                break
            await asyncio.sleep(0.005)
        left = (await d.world.get(f"{LAB}/machines"))["value"]
        assert [item["name"] for item in left] == ["b", "mine"]


async def test_a_stack_that_fails_keeps_what_it_had(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await stack(d, template(resources=[machine("a")]))
        found = await stack(d, template(resources=[machine("bad", broken=True)]))
        assert found["provisioningState"] == "failed"
        assert [item["id"] for item in found["resources"]] == [f"{LAB}/machines/a"]
        assert found["failedResources"][0]["error"]["code"] == "MachineBroken"
        assert (await d.world.get(f"{LAB}/machines/a"))["name"] == "a"


@pytest.mark.parametrize(
    ("mode", "method", "path", "denied"),
    [
        ("none", "DELETE", f"{LAB}/machines/a", False),
        ("denyDelete", "DELETE", f"{LAB}/machines/A", True),
        ("denyDelete", "DELETE", GROUP, True),
        ("denyDelete", "DELETE", f"{LAB}/machines/other", False),
        ("denyDelete", "PUT", f"{LAB}/machines/a", False),
        ("DenyWriteAndDelete", "PUT", f"{LAB}/machines/a", True),
        ("denyWriteAndDelete", "PATCH", f"{LAB}/machines/a", True),
        ("denyWriteAndDelete", "POST", f"{LAB}/machines/a/listKeys", False),
        ("denyWriteAndDelete", "GET", f"{LAB}/machines/a", False),
    ],
)
async def test_a_stack_denies_what_its_settings_say(
    tmp_path: Path, mode: str, method: str, path: str, denied: bool
) -> None:
    async with deploying(tmp_path) as d:
        await d.world.put(f"{LAB}/machines/other")
        found = await stack(d, template(resources=[machine("a")]), mode=mode)
        told = "none" if mode == "none" else mode[0].lower() + mode[1:]
        assert [item["denyStatus"] for item in found["resources"]] == [told]
        body = {"properties": {}} if method in ("PUT", "PATCH") else None
        if not denied:
            await d.world.ask(method, path, body)
            return
        with pytest.raises(ArmError) as caught:
            await d.world.ask(method, path, body)
        assert (caught.value.code, caught.value.status) == (
            "DenyAssignmentAuthorizationFailed",
            403,
        )
        assert f"created by Deployment Stack '{STACKS}/s'" in caught.value.message


async def test_a_stack_may_what_it_denies_to_others_and_the_excluded_may_too(
    tmp_path: Path,
) -> None:
    deny: dict[str, Any] = {"mode": "denyWriteAndDelete"}
    async with deploying(tmp_path) as d:
        await stack(d, template(resources=[machine("a"), machine("b")]), **deny)
        found = await stack(d, template(resources=[machine("a", speed=7)]), **deny)
        assert found["deletedResources"] == [{"id": f"{LAB}/machines/b"}]
        changed = await d.world.get(f"{LAB}/machines/a")
        assert changed["properties"]["speed"] == 7
        deny["excludedActions"] = ["Contoso.Lab/*/delete"]
        await stack(d, template(resources=[machine("a")]), **deny)
        with pytest.raises(ArmError, match="DenyAssignment"):
            await d.world.put(f"{LAB}/machines/a")
        await d.world.ask("DELETE", f"{LAB}/machines/a")
        deny |= {"excludedPrincipals": ["SOMEONE"], "excludedActions": []}
        await stack(d, template(resources=[machine("a")]), **deny)
        await d.world.put(f"{LAB}/machines/a")
        await stack(d, template(resources=[machine("a")]), mode="denyDelete")
        await d.world.ask("DELETE", f"{STACKS}/s?unmanageaction.resources=detach")
        for _ in range(400):
            if (await d.world.get(STACKS))["value"] == []:
                break
            await asyncio.sleep(0.005)
        await d.world.ask("DELETE", f"{LAB}/machines/a")


# ---------------------------------------------------------------------- what-if ----


async def test_what_if_tells_changes_and_no_noise(tmp_path: Path) -> None:
    first = template(
        parameters={"pw": {"type": "securestring", "defaultValue": "hush"}},
        resources=[
            machine("same", secret="[parameters('pw')]"),
            machine("changed", a=1, list=["x", "y"], old="gone", parts=[{"n": 1}, {"n": 2}]),
            machine("steady", parts=[{"n": 1}]),
            machine("left"),
        ],
    )
    second = template(
        parameters={"pw": {"type": "securestring", "defaultValue": "hush"}},
        resources=[
            machine("same", secret="[parameters('pw')]", speed=5),
            machine(
                "changed",
                a=2,
                list=["x", "z"],
                near="[reference('same').speed]",
                parts=[{"n": 1}, {"n": 3}],
            ),
            machine("steady", parts=[{"n": 1}]),
            machine("new", secret="[parameters('pw')]"),
        ],
    )
    async with deploying(tmp_path) as d:
        await d.run("d", first)
        d.lab.machine.puts.clear()
        changes = {item["resourceId"].rsplit("/")[-1]: item for item in await d.what_if(second)}
        assert {name: item["changeType"] for name, item in changes.items()} == {
            "new": "Create",
            "changed": "Modify",
            "same": "NoChange",
            "steady": "NoChange",
            "left": "Ignore",
        }
        delta = {item["path"]: item for item in changes["changed"]["delta"]}
        assert {path: item["propertyChangeType"] for path, item in delta.items()} == {
            "properties.a": "Modify",
            "properties.list": "Array",
            "properties.old": "Delete",
            "properties.near": "Create",
            "properties.parts": "Array",
        }
        (part,) = delta["properties.parts"]["children"]
        assert [(item["path"], item["after"]) for item in part["children"]] == [("n", 3)]
        assert (delta["properties.a"]["before"], delta["properties.a"]["after"]) == (1, 2)
        assert delta["properties.near"]["after"] == 5
        inner = [(i["propertyChangeType"], i["before"], i["after"])
                 for i in delta["properties.list"]["children"]]  # fmt: skip
        assert inner == [("Delete", "y", None), ("Create", None, "z")]
        assert changes["new"]["after"]["properties"]["secret"] == "*******"
        assert d.lab.machine.puts == []
        complete = await d.what_if(second, mode="Complete")
        assert complete[0]["changeType"] == "Delete"
        ids = await d.what_if(second, whatIfSettings={"resultFormat": "ResourceIdOnly"})
        assert {item["changeType"] for item in ids} == {"Create", "Deploy", "Ignore"}
        assert all(set(item) == {"resourceId", "changeType"} for item in ids)


async def test_what_if_knows_what_modules_will_give_each_other(tmp_path: Path) -> None:
    first = template(
        resources=[machine("x")],
        outputs={
            "name": {"type": "string", "value": "x"},
            "later": {"type": "string", "value": "[string(reference('x').speed)]"},
        },
    )
    second = template(
        parameters={"name": {"type": "string"}, "later": {"type": "string"}},
        resources=[
            machine("[uniqueString(parameters('name'))]", speed="[parameters('later')]"),
        ],
    )
    outputs = "reference(resourceId('Microsoft.Resources/deployments','a')).outputs"
    wired = module("b", second)
    wired["properties"]["parameters"] = {
        name: {"value": f"[{outputs}.{name}.value]"} for name in ("name", "later")
    }
    async with deploying(tmp_path) as d:
        # The one that needs the other's outputs stands before it.
        changes = await d.what_if(template(resources=[wired, module("a", first)]))
        assert {item["changeType"] for item in changes} == {"Create"}
        found = {item["resourceId"].rsplit("/")[-1]: item for item in changes}
        other = next(iter(found.keys() - {"x"}))
        assert found[other]["after"]["properties"]["speed"].startswith("[reference('/sub")
        await d.run("d", template(resources=[wired, module("a", first)]))
        now = await d.what_if(template(resources=[wired, module("a", first)]))
        assert {item["resourceId"].rsplit("/")[-1] for item in now} == {"x", other}
        assert {item["changeType"] for item in now} == {"NoChange"}


async def test_what_if_looks_into_modules_and_groups_to_come(tmp_path: Path) -> None:
    inner = template(resources=[machine("x", where="[resourceGroup().location]")])
    raw = template(resources=[module("m", inner), machine("y", z="[reference('x2').a]")])
    raw["resources"].append(machine("x2"))
    async with deploying(tmp_path) as d:
        changes = {item["resourceId"].rsplit("/")[-1]: item for item in await d.what_if(raw)}
        assert changes["x"]["after"]["properties"]["where"] == "westeurope"
        # What does not exist yet tells nothing: the expression stands.
        assert changes["y"]["after"]["properties"]["z"] == "[reference('x2').a]"
