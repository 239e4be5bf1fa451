"""What is found to be wrong before a deployment begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    ID_OF_A,
    LAB,
    SUBSCRIPTION_SCHEMA,
    deploying,
    machine,
    module,
)
from tests.unit.templates.world import template


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
        assert (await refusal(templateLink={"uri": "x/y"})).code == "InvalidContentLink"
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


async def test_where_a_module_puts_something_may_come_later(tmp_path: Path) -> None:
    """As AVM's role assignments of a resource have it: its id, an output, is their scope."""
    where = {"id": {"type": "string", "value": "[reference('a').itself]"}}
    first = template(resources=[machine("a", itself=f"{LAB}/machines/a")], outputs=where)
    lock = {
        "type": "Microsoft.Authorization/locks",
        "apiVersion": "2020-05-01",
        "scope": "[parameters('id')]",
        "name": "stays",
        "properties": {"level": "CanNotDelete"},
    }
    inner = template(parameters={"id": {"type": "string"}}, resources=[lock])
    told = {"id": {"value": "[reference('first').outputs.id.value]"}}
    raw = template(resources=[module("first", first), module("then", inner, parameters=told)])
    async with deploying(tmp_path) as d:
        [_, change] = await d.what_if(raw)
        assert change["changeType"] == "Unsupported"
        assert (
            "cannot be calculated until the deployment is under way"
            in (change["unsupportedReason"])
        )
        assert (await d.run("d", raw))["provisioningState"] == "Succeeded"
        found = await d.world.get(f"{LAB}/machines/a/providers/Microsoft.Authorization/locks/stays")
        assert found["properties"]["level"] == "CanNotDelete"


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


async def test_what_is_not_valid_is_told_of_the_deployment(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.begin("mine", template(resources=[machine("a", wrong=True)]))
        assert caught.value.code == "InvalidTemplateDeployment"
        assert caught.value.message.startswith("The template deployment 'mine' is not valid")
        assert "The tracking id is '" in caught.value.message
        assert caught.value.target == f"{LAB}/machines/a"


async def test_how_much_is_checked_may_be_said(tmp_path: Path) -> None:
    raw = template(resources=[machine("a", wrong=True)])
    async with deploying(tmp_path) as d:
        path = f"{DEPLOYMENTS}/v/validate"

        async def checked(level: str) -> dict[str, Any]:
            body = {"properties": {"mode": "Incremental", "template": raw}}
            body["properties"]["validationLevel"] = level
            found: dict[str, Any] = (await d.world.ask("POST", path, body)).body["properties"]
            return found

        assert (await checked("template"))["validationLevel"] == "Template"
        for level, code in (
            ("Provider", "InvalidTemplateDeployment"),
            ("ProviderNoRbac", "InvalidTemplateDeployment"),
            ("None", "InvalidValidationLevel"),
        ):
            with pytest.raises(ArmError) as caught:
                await checked(level)
            assert caught.value.code == code


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("[parameters('nope')]", "The template parameter 'nope' is not found"),
        ("[concat('a', variables('nope'))]", "The template variable 'nope' is not found"),
    ],
)
async def test_an_output_names_what_there_is(tmp_path: Path, value: str, words: str) -> None:
    async with deploying(tmp_path) as d:
        raw = template(
            parameters={"p": {"type": "string", "defaultValue": "x"}},
            variables={"v": 1, "copy": [{"name": "w", "count": 2, "input": "y"}]},
            outputs={
                "o": {"type": "string", "value": "[concat(parameters('P'), variables('w')[0])]"}
            },
        )
        assert (await d.run("d", raw))["outputs"]["o"]["value"] == "xy"
        raw["outputs"]["o"]["value"] = value
        with pytest.raises(ArmError) as caught:
            await d.begin("d", raw)
        assert caught.value.code == "InvalidTemplate"
        assert f"The template output 'o' is not valid: {words}" in caught.value.message


async def test_what_if_has_two_forms(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.what_if(template(), whatIfSettings={"resultFormat": "Short"})
        assert caught.value.code == "InvalidWhatIfSettings"
