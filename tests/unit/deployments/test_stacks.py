"""Deployment stacks, as a client meets them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from tests.unit.deployments.world import (
    GROUP,
    LAB,
    STACKS,
    deploying,
    machine,
)
from tests.unit.templates.world import template


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


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *(("denySettings", odd) for odd in (1, "none", [1], True, {}, {"mode": 1})),
        ("denySettings", {"mode": "none", "excludedActions": "x"}),
        *(("deploymentScope", odd) for odd in (1, "x", [1], {"a": 1}, "/subscriptions/")),
    ],
)
async def test_an_odd_value_is_refused(tmp_path: Path, name: str, odd: object) -> None:
    body = {"template": template(), "actionOnUnmanage": {"resources": "detach"}}
    body["denySettings"] = {"mode": "none"}
    async with deploying(tmp_path) as d:
        for method, path in (("PUT", f"{STACKS}/s"), ("POST", f"{STACKS}/s/validate")):
            with pytest.raises(ArmError) as caught:
                await d.world.ask(method, path, {"properties": {**body, name: odd}})
            assert caught.value.status == 400
