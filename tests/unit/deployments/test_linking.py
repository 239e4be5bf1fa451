"""Templates that are named instead of sent, and deployments that stay in their location."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from tests.file_server import file_server
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    GROUP,
    LAB,
    STACKS,
    SUBSCRIPTION,
    SUBSCRIPTION_SCHEMA,
    Deploying,
    deploying,
    machine,
    module,
)
from tests.unit.templates.world import template

SPEC = f"{GROUP}/providers/Microsoft.Resources/templateSpecs/spec"
VERSION = f"{SPEC}/versions/1.0"


async def keep(d: Deploying, main: dict[str, Any], **packed: dict[str, Any]) -> None:
    """The template as a version of a template spec."""
    await d.world.put(SPEC, {"location": "westeurope"})
    artifacts = [
        {"path": f"artifacts/{name}.json", "template": inner} for name, inner in packed.items()
    ]
    properties = {"mainTemplate": main, "linkedTemplates": artifacts}
    await d.world.put(VERSION, {"location": "westeurope", "properties": properties})


def named(link: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"properties": {"mode": "Incremental", "templateLink": link, **more}}


async def test_a_version_of_a_template_spec_is_deployed(tmp_path: Path) -> None:
    inner = template(resources=[machine("deep")])
    nested = module("in", {})
    nested["properties"]["templateLink"] = {"relativePath": "artifacts/deep.json"}
    del nested["properties"]["template"]
    main = template(
        parameters={"n": {"type": "string"}}, resources=[machine("[parameters('n')]"), nested]
    )
    async with deploying(tmp_path) as d:
        await keep(d, main, deep=inner)
        body = named({"id": VERSION}, parameters={"n": {"value": "top"}})
        valid = (await d.world.ask("POST", f"{DEPLOYMENTS}/d/validate", body)).body
        assert valid["properties"]["templateLink"] == {"id": VERSION}
        await d.world.ask("PUT", f"{DEPLOYMENTS}/d", body)
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Succeeded", found
        assert found["templateLink"] == {"id": VERSION}
        made = {item["id"] for item in found["outputResources"]}
        assert made == {f"{LAB}/machines/top", f"{LAB}/machines/deep"}
        body["properties"]["parameters"] = {"n": {"value": "other"}}
        reply = await d.world.ask("POST", f"{DEPLOYMENTS}/w/whatIf", body)
        path = reply.headers["Location"].removeprefix("https://here")
        changes = (await d.world.get(path))["properties"]["changes"]
        kinds = {it["resourceId"].rpartition("/")[2]: it["changeType"] for it in changes}
        assert (kinds["other"], kinds["deep"]) == ("Create", "NoChange")


async def test_a_module_and_a_stack_link_too(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await keep(d, template(resources=[machine("a")]))
        nested = module("in", {})
        del nested["properties"]["template"]
        nested["properties"]["templateLink"] = {"id": VERSION}
        found = await d.run("d", template(resources=[nested]))
        assert [it["id"] for it in found["outputResources"]] == [f"{LAB}/machines/a"]
        unmanage = {"resources": "delete"}
        deny = {"mode": "none"}
        stack = {
            "templateLink": {"id": VERSION},
            "actionOnUnmanage": unmanage,
            "denySettings": deny,
        }
        valid = (await d.world.ask("POST", f"{STACKS}/s/validate", {"properties": stack})).body
        assert valid["properties"]["templateLink"] == {"id": VERSION}
        await d.world.ask("PUT", f"{STACKS}/s", {"properties": stack})
        made = await d.ended(f"{STACKS}/s")
        assert made["provisioningState"] == "succeeded"
        assert made["templateLink"] == {"id": VERSION}


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ({}, "InvalidContentLink"),
        ({"relativePath": "deep.json"}, "InvalidContentLink"),
        ({"uri": "file:///etc/hostname"}, "InvalidContentLink"),
        ({"uri": "main.json"}, "InvalidContentLink"),
        ({"id": SPEC}, "InvalidTemplateSpecLink"),
        ({"id": f"{SPEC}/versions/2.0"}, "ResourceNotFound"),
    ],
)
async def test_what_cannot_be_had_is_refused(
    tmp_path: Path, link: dict[str, Any], code: str
) -> None:
    async with deploying(tmp_path) as d:
        await keep(d, template())
        with pytest.raises(ArmError) as caught:
            await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named(link))
        assert caught.value.code == code


def linked(name: str, link: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """A nested deployment that links to its template."""
    nested = module(name, {})
    del nested["properties"]["template"]
    nested["properties"] |= {
        "templateLink": link,
        "parameters": {key: {"value": value} for key, value in parameters.items()},
    }
    return nested


async def test_what_is_packed_sees_its_own_parameters(tmp_path: Path) -> None:
    nested = linked("in", {"relativePath": "artifacts/deep.json"}, n="[parameters('n')]")
    nested["properties"].pop("expressionEvaluationOptions", None)
    inner = template(
        parameters={"n": {"type": "string"}},
        variables={"name": "[concat(parameters('n'), '-own')]"},
        resources=[machine("[variables('name')]")],
    )
    main = template(
        parameters={"n": {"type": "string", "defaultValue": "x"}},
        variables={"name": "outer"},
        resources=[nested],
    )
    async with deploying(tmp_path) as d:
        await keep(d, main, deep=inner)
        await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named({"id": VERSION}))
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert [it["id"] for it in found["outputResources"]] == [f"{LAB}/machines/x-own"]


async def test_templates_and_parameters_at_addresses_are_deployed(tmp_path: Path) -> None:
    inner = template(parameters={"n": {"type": "string"}}, resources=[machine("[parameters('n')]")])
    mark = {"type": "string", "value": "[deployment().properties.templateLink.uri]"}
    base = "[uri(deployment().properties.templateLink.uri, 'nested/deep.json')]"
    main = template(
        parameters={"n": {"type": "string"}},
        resources=[
            linked("one", {"uri": base, "contentVersion": "1.0.0.0"}, n="[parameters('n')]"),
            linked("two", {"relativePath": "nested/deep.json"}, n="beside"),
        ],
        outputs={"mark": mark},
    )
    with file_server() as served:
        served.files["/t/main.json"] = json.dumps(main).encode()
        served.files["/t/nested/deep.json"] = (
            b"\xef\xbb\xbf// a comment\n" + json.dumps(inner).encode()
        )
        values = {"parameters": {"n": {"value": "given"}}, "contentVersion": "1.0.0.0"}
        served.files["/p.json"] = json.dumps(values).encode()
        link = {"uri": f"{served.address}/t/main.json", "queryString": "sig=secret"}
        body = named(link, parametersLink={"uri": f"{served.address}/p.json?sig=secret"})
        async with deploying(tmp_path) as d:
            await d.world.ask("PUT", f"{DEPLOYMENTS}/d", body)
            found = await d.ended(f"{DEPLOYMENTS}/d")
            assert found["provisioningState"] == "Succeeded", found
            made = {item["id"] for item in found["outputResources"]}
            assert made == {f"{LAB}/machines/given", f"{LAB}/machines/beside"}
            told = {"uri": f"{served.address}/t/main.json", "contentVersion": "1.0.0.0"}
            assert found["templateLink"] == told
            assert found["outputs"]["mark"]["value"] == link["uri"]
            nested = (await d.world.get(f"{DEPLOYMENTS}/two"))["properties"]["templateLink"]
            assert nested["uri"] == f"{served.address}/t/nested/deep.json"
            assert nested["relativePath"] == "nested/deep.json"
            whole = [d.world.arm.store.get(f"{DEPLOYMENTS}/{name}") for name in ("d", "two")]
            shown = [await d.world.get(f"{DEPLOYMENTS}/{name}") for name in ("d", "two")]
            assert "secret" not in str(shown)
            assert [bool(it and it["private"].get("link")) for it in whole] == [True, True]
            # What lies beside a template is asked for with what the template was asked for.
            assert "/t/nested/deep.json?sig=secret" in served.asked
            reply = await d.world.ask("POST", f"{DEPLOYMENTS}/w/whatIf", body)
            path = reply.headers["Location"].removeprefix("https://here")
            changes = (await d.world.get(path))["properties"]["changes"]
            assert {it["changeType"] for it in changes} == {"NoChange"}
            valid = (await d.world.ask("POST", f"{DEPLOYMENTS}/d/validate", body)).body
            assert valid["properties"]["templateLink"] == told


@pytest.mark.parametrize(
    ("path", "more", "code", "words"),
    [
        ("none.json", {}, "InvalidContentLink", "Unable to download deployment content from 'http"),
        ("none.json", {}, "InvalidContentLink", "404"),
        ("big.json", {}, "InvalidContentLink", "more than"),
        ("list.json", {}, "InvalidContentLink", "no JSON object"),
        ("text.json", {}, "InvalidContentLink", "no JSON"),
        ("good.json", {"contentVersion": "2.0.0.0"}, "InvalidTemplate", "'1.0.0.0' does not match"),
    ],
)
async def test_what_no_address_gives_is_said(
    tmp_path: Path, path: str, more: dict[str, Any], code: str, words: str
) -> None:
    with file_server() as served:
        served.files["/big.json"] = b" " * (4 * 1024 * 1024 + 1)
        served.files["/list.json"] = b"[]"
        served.files["/text.json"] = b"{ text"
        served.files["/good.json"] = json.dumps(template()).encode()
        link = {"uri": f"{served.address}/{path}?sig=secret", **more}
        async with deploying(tmp_path) as d:
            with pytest.raises(ArmError) as caught:
                await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named(link))
            assert caught.value.code == code
            assert words in caught.value.message
            assert "secret" not in caught.value.message
            # A nested one is told before anything is deployed.
            raw = template(resources=[linked("in", link), machine("a")])
            with pytest.raises(ArmError) as caught:
                await d.world.ask("PUT", f"{DEPLOYMENTS}/d", {"properties": sent(raw)})
            assert caught.value.details[0].code == code
            with pytest.raises(ArmError):
                await d.world.get(f"{LAB}/machines/a")
    (tmp_path / "later").mkdir()
    async with deploying(tmp_path / "later") as d:
        with pytest.raises(ArmError, match="cannot be reached"):
            await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named(link))


def sent(raw: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mode": "Incremental", "template": raw, **more}


async def test_a_template_that_links_to_itself_is_refused(tmp_path: Path) -> None:
    with file_server() as served:
        link = {"uri": f"{served.address}/self.json"}
        served.files["/self.json"] = json.dumps(template(resources=[linked("in", link)])).encode()
        async with deploying(tmp_path) as d:
            with pytest.raises(ArmError) as caught:
                await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named(link))
            assert "more than 5 deep" in str(caught.value.details[0].message)


async def test_parameters_and_a_link_to_them_are_one_too_many(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        body = sent(template(), parameters={"a": {"value": 1}}, parametersLink={"uri": "http://x"})
        with pytest.raises(ArmError, match="parametersLink"):
            await d.world.ask("PUT", f"{DEPLOYMENTS}/d", {"properties": body})


async def test_a_deployment_to_a_subscription_stays_in_its_location(tmp_path: Path) -> None:
    at = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments"
    empty = template(**{"$schema": SUBSCRIPTION_SCHEMA})
    async with deploying(tmp_path) as d:
        await d.run("d", empty, at=at, location="westeurope")
        await d.run("d", empty, at=at, location="West Europe")
        body = {
            "location": "eastus",
            "properties": {"mode": "Incremental", "template": empty},
        }
        asks = (("PUT", f"{at}/d"), ("POST", f"{at}/d/validate"), ("POST", f"{at}/d/whatIf"))
        for method, path in asks:
            with pytest.raises(ArmError) as caught:
                await d.world.ask(method, path, body)
            assert (caught.value.status, caught.value.code) == (409, "InvalidDeploymentLocation")


async def test_operations_keep_requests_and_answers_where_that_is_asked_for(tmp_path: Path) -> None:
    raw = template(resources=[machine("a", speed=7)])
    async with deploying(tmp_path) as d:
        debug = {"detailLevel": "requestContent,ResponseContent"}
        found = await d.run("d", raw, debugSetting=debug)
        assert found["debugSetting"] == {"detailLevel": "requestContent, responseContent"}
        [operation] = (await d.world.get(f"{DEPLOYMENTS}/d/operations"))["value"]
        assert operation["properties"]["request"]["content"]["properties"] == {"speed": 7}
        assert operation["properties"]["response"]["content"]["name"] == "a"
        await d.run("e", raw)
        [plain] = (await d.world.get(f"{DEPLOYMENTS}/e/operations"))["value"]
        assert not {"request", "response"} & set(plain["properties"])
        odd = {"mode": "Incremental", "template": raw, "debugSetting": {"detailLevel": "all"}}
        for method, path in (("PUT", f"{DEPLOYMENTS}/f"), ("POST", f"{DEPLOYMENTS}/f/validate")):
            with pytest.raises(ArmError) as caught:
                await d.world.ask(method, path, {"properties": odd})
            assert caught.value.code == "InvalidDeploymentDebugSetting"


async def test_a_version_that_links_to_itself_is_refused(tmp_path: Path) -> None:
    nested = module("in", {})
    nested["properties"]["templateLink"] = {"id": VERSION}
    del nested["properties"]["template"]
    async with deploying(tmp_path) as d:
        await keep(d, template(resources=[nested]))
        with pytest.raises(ArmError, match="more than 5 deep"):
            await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named({"id": VERSION}))


async def test_modules_in_modules_are_no_links(tmp_path: Path) -> None:
    inner = template(resources=[machine("deep")])
    for level in range(7):
        inner = template(resources=[module(f"level{level}", inner)])
    async with deploying(tmp_path) as d:
        await keep(d, inner)
        await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named({"id": VERSION}))
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert found["provisioningState"] == "Succeeded", found
        assert await d.world.get(f"{LAB}/machines/deep")


async def test_a_template_spec_tells_its_versions(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await keep(d, template())
        made = await d.world.ask("PUT", SPEC, {"location": "westeurope", "properties": {}})
        assert (made.status, made.body["properties"]) == (200, {})
        body = {"description": "the second", "mainTemplate": template()}
        second = f"{SPEC}/versions/2.0"
        reply = await d.world.ask("PUT", second, {"location": "westeurope", "properties": body})
        assert (reply.status, "Azure-AsyncOperation" in reply.headers) == (201, False)
        assert "versions" not in (await d.world.get(SPEC))["properties"]
        versions = (await d.world.get(f"{SPEC}?$expand=versions"))["properties"]["versions"]
        assert set(versions) == {"1.0", "2.0"}
        assert versions["2.0"]["description"] == "the second"
        assert versions["1.0"]["timeCreated"].startswith("2026-")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (SPEC + "2", {"properties": {}}, "LocationRequired"),
        (VERSION, {"location": "westeurope", "properties": {}}, "InvalidTemplateSpecVersion"),
        (
            f"{SPEC}/versions/3.0",
            {"location": "eastus", "properties": {"mainTemplate": {}}},
            "InvalidTemplateSpecVersionLocation",
        ),
        (
            SPEC,
            {"location": "westeurope", "properties": {"description": "x" * 4097}},
            "InvalidTemplateSpecDescription",
        ),
    ],
)
async def test_what_no_template_spec_is_is_refused(
    tmp_path: Path, path: str, body: dict[str, Any], code: str
) -> None:
    async with deploying(tmp_path) as d:
        await keep(d, template())
        with pytest.raises(ArmError) as caught:
            await d.world.ask("PUT", path, body)
        assert (caught.value.status, caught.value.code) == (400, code)


async def test_a_stack_that_is_not_there_is_told_as_one(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError) as caught:
            await d.world.get(f"{STACKS}/none")
        assert (caught.value.status, caught.value.code) == (404, "DeploymentStackNotFound")


async def test_a_version_of_the_first_preview_is_kept(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await keep(d, template())
        older = {"template": template(resources=[machine("a")]), "artifacts": []}
        second = f"{SPEC}/versions/2.0"
        await d.world.put(second, {"location": "westeurope", "properties": older})
        await d.world.ask("PUT", f"{DEPLOYMENTS}/d", named({"id": second}))
        found = await d.ended(f"{DEPLOYMENTS}/d")
        assert [it["id"] for it in found["outputResources"]] == [f"{LAB}/machines/a"]
