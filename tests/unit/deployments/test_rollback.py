"""What `onErrorDeployment` does when a deployment fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.deployments.provider import Deployments
from tests.unit.arm.world import world
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    GROUP,
    LAB,
    SUBSCRIPTION,
    SUBSCRIPTION_SCHEMA,
    Deploying,
    Lab,
    deploying,
    machine,
    module,
)
from tests.unit.templates.world import template

LAST = {"type": "LastSuccessful"}


def named(name: str) -> dict[str, str]:
    return {"type": "SpecificDeployment", "deploymentName": name}


def good(*names: str, **properties: Any) -> dict[str, Any]:
    return template(resources=[machine(name, **properties) for name in names])


BAD = template(resources=[machine("a", speed=9), machine("c"), machine("x", broken=True)])


async def machines(d: Deploying) -> dict[str, int]:
    found = (await d.world.get(f"{LAB}/machines"))["value"]
    return {item["name"]: item["properties"]["speed"] for item in found}


async def rolled(d: Deploying, name: str) -> dict[str, Any]:
    """`onErrorDeployment` once the way back has ended."""
    for _ in range(2000):
        found = (await d.world.get(f"{DEPLOYMENTS}/{name}"))["properties"]["onErrorDeployment"]
        if found.get("provisioningState") in ("Succeeded", "Failed"):
            return dict(found)
        await asyncio.sleep(0.005)
    raise AssertionError(found)


async def test_the_last_successful_deployment_runs_again_in_the_mode_complete(
    tmp_path: Path,
) -> None:
    raw = template(
        parameters={"speed": {"type": "int"}, "pw": {"type": "securestring"}},
        resources=[machine("a", speed="[parameters('speed')]", secret="[parameters('pw')]")],
    )
    async with deploying(tmp_path) as d:
        await d.run("older", good("z"))
        await d.world.clock.advance(10)
        await d.run("old", raw, parameters={"speed": 3, "pw": "hush"})
        await d.world.clock.advance(10)
        first = await d.begin("new", BAD, onErrorDeployment=LAST)
        # Azure names what it found when it accepts the new one.
        assert first["properties"]["onErrorDeployment"] == LAST | {"deploymentName": "old"}
        found = await d.ended(f"{DEPLOYMENTS}/new")
        assert found["provisioningState"] == "Failed"
        assert found["error"]["details"][0]["code"] == "MachineBroken"
        state = {"provisioningState": "Succeeded", "deploymentName": "old"}
        assert await rolled(d, "new") == LAST | state
        assert await machines(d) == {"a": 3}
        stored = d.world.arm.store.get(f"{LAB}/machines/a")
        assert stored is not None
        assert stored["properties"]["secret"] == "hush"
        again = (await d.world.get(f"{DEPLOYMENTS}/old"))["properties"]
        assert (again["mode"], again["provisioningState"]) == ("Complete", "Succeeded")
        assert again["parameters"] == {
            "speed": {"type": "Int", "value": 3},
            "pw": {"type": "SecureString"},
        }


async def test_a_named_deployment_runs_again_and_a_success_goes_back_to_nothing(
    tmp_path: Path,
) -> None:
    async with deploying(tmp_path) as d:
        await d.run("one", good("a", "b", speed=1))
        await d.run("two", good("a", speed=2))
        found = await d.run("three", good("c"), onErrorDeployment=named("ONE"))
        assert found["onErrorDeployment"] == named("one")
        assert await machines(d) == {"a": 2, "b": 1, "c": 5}
        await d.run("four", BAD, onErrorDeployment=named("one"))
        assert (await rolled(d, "four"))["provisioningState"] == "Succeeded"
        assert await machines(d) == {"a": 1, "b": 1}


async def test_a_way_back_that_fails_is_told(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        needed = f"{LAB}/machines/needed"
        await d.world.put(needed, {"properties": {}})
        await d.run("old", good("a", needs=needed))
        await d.world.ask("DELETE", needed)
        await d.run("new", BAD, onErrorDeployment=LAST)
        assert (await rolled(d, "new"))["provisioningState"] == "Failed"
        assert (await d.ended(f"{DEPLOYMENTS}/old"))["provisioningState"] == "Failed"


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "Never"},
        {},
        "LastSuccessful",
        {"type": "SpecificDeployment"},
        LAST | {"deploymentName": "old"},
        named("nothing"),
        named("failed"),
        named("inner"),
        named("new"),
    ],
)
async def test_what_cannot_be_gone_back_to_is_refused_at_once(tmp_path: Path, wanted: Any) -> None:
    async with deploying(tmp_path) as d:
        await d.run("failed", BAD)
        await d.run("outer", template(resources=[module("inner", good("a"))]))
        await d.run("new", good("a"))
        for path, method in (
            (f"{DEPLOYMENTS}/new", "PUT"),
            (f"{DEPLOYMENTS}/new/validate", "POST"),
        ):
            body = {"properties": {"mode": "Incremental", "template": BAD}}
            body["properties"]["onErrorDeployment"] = wanted
            with pytest.raises(ArmError) as caught:
                await d.world.ask(method, path, body)
            assert (caught.value.status, caught.value.code) == (400, "InvalidOnErrorDeployment")


async def test_only_root_deployments_to_a_group_go_back(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        with pytest.raises(ArmError, match="finds no deployment"):
            await d.begin("new", good("a"), onErrorDeployment=LAST)
        inner = module("inner", good("a"))
        inner["properties"]["onErrorDeployment"] = LAST
        with pytest.raises(ArmError) as caught:
            await d.begin("new", template(resources=[inner]))
        assert caught.value.details[0].code == "InvalidOnErrorDeployment"
        raw = template(resources=[]) | {"$schema": SUBSCRIPTION_SCHEMA}
        at = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments"
        with pytest.raises(ArmError, match="to a resource group only"):
            await d.begin("s", raw, at=at, location="westeurope", onErrorDeployment=LAST)


async def test_a_way_back_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("old", good("a", speed=1))
        d.lab.machine.gate.clear()
        body = {"properties": {"mode": "Incremental", "template": BAD, "onErrorDeployment": LAST}}
        await d.world.ask("PUT", f"{DEPLOYMENTS}/new", body)
        d.lab.machine.gate.set()
        # Hold up the machine of the earlier deployment, not those of the failing one.
        while not (await d.world.get(f"{DEPLOYMENTS}/new"))["properties"].get("error"):
            await asyncio.sleep(0)
        d.lab.machine.gate.clear()
        for _ in range(20):
            await asyncio.sleep(0.01)
    lab = Lab()
    async with world(tmp_path, Deployments(), lab) as made:
        again = Deploying(made, lab)
        assert (await rolled(again, "new"))["provisioningState"] == "Succeeded"
        assert await machines(again) == {"a": 1}
        assert GROUP in LAB


async def test_a_deployment_anew_during_a_way_back_has_its_own(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("one", good("a", speed=1))
        await d.run("two", good("b", speed=2))
        d.lab.machine.gate.clear()
        await d.begin("new", BAD, onErrorDeployment=named("one"))
        d.lab.machine.gate.set()
        while not (await d.world.get(f"{DEPLOYMENTS}/new"))["properties"].get("error"):
            await asyncio.sleep(0)
        # It is on its way back, and held up there.
        d.lab.machine.gate.clear()
        for _ in range(20):
            await asyncio.sleep(0.01)
        await d.begin("new", BAD, onErrorDeployment=named("two"))
        one = d.world.arm.store.get(f"{DEPLOYMENTS}/one")
        assert one is not None
        assert one["properties"]["provisioningState"] == "Running"
        d.lab.machine.gate.set()
        found = await rolled(d, "new")
        assert found == named("two") | {"provisioningState": "Succeeded"}
        assert await machines(d) == {"b": 2}


async def test_an_operation_ends_though_the_server_ended_just_before(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        found = []
        store = d.world.arm.store
        for name, raw in (("fine", good("a")), ("failed", BAD)):
            await d.run(name, raw)
            [id] = [it["id"] for it in store.operations() if it["resource"].endswith(f"/{name}")]
            while store.operation(id)["status"] == "InProgress":
                await asyncio.sleep(0.005)
            # Stored last; the server's end may come before it.
            await store.write(operations=[store.operation(id) | {"status": "InProgress"}])
            found.append(id)
    async with world(tmp_path, Deployments(), Lab()) as made:
        for _ in range(200):
            ended = [made.arm.store.operation(id)["status"] for id in found]
            if "InProgress" not in ended:
                break
            await asyncio.sleep(0.005)
        assert ended == ["Succeeded", "Failed"]


async def test_only_what_may_run_again_keeps_its_secrets(tmp_path: Path) -> None:
    raw = template(parameters={"pw": {"type": "securestring"}}, resources=[])
    at = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments"
    async with deploying(tmp_path) as d:
        await d.run("d", raw, parameters={"pw": "hush"})
        above = raw | {"$schema": SUBSCRIPTION_SCHEMA}
        await d.run("d", above, at=at, location="westeurope", parameters={"pw": "hush"})
        kept = [d.world.arm.store.get(f"{path}/d") or {} for path in (DEPLOYMENTS, at)]
        assert ["hush" in str(stored) for stored in kept] == [True, False]
