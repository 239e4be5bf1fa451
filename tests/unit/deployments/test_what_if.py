"""What-if: what a deployment would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.localcloud.arm.provider import Provider, ResourceType
from orchestrator.localcloud.deployments.differences import ineffective
from orchestrator.localcloud.providers.insights.alert_rules import QueryRules
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.storage.accounts import Storage
from tests.unit.deployments.world import (
    DEPLOYMENTS,
    LAB,
    deploying,
    machine,
    module,
)
from tests.unit.templates.world import template


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
        assert all(set(item) <= {"resourceId", "changeType", "deploymentId"} for item in ids)
        own = {item.get("deploymentId") for item in ids if item["changeType"] != "Ignore"}
        assert own == {f"{DEPLOYMENTS}/w"}


async def test_what_if_finds_what_is_a_part_of_another_resource(tmp_path: Path) -> None:
    """Subnets live in their network, and the tags of a group are always there."""

    def raw(prefix: str, tag: str) -> dict[str, Any]:
        space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
        network = {
            "type": "Microsoft.Network/virtualNetworks",
            "apiVersion": "2024-05-01",
            "name": "net",
            "location": "westeurope",
            "properties": space,
        }
        subnet = {
            "type": "Microsoft.Network/virtualNetworks/subnets",
            "apiVersion": "2024-05-01",
            "name": "net/one",
            "location": "westeurope",  # a subnet has none
            "properties": {"addressPrefix": prefix},
            "dependsOn": ["net"],
        }
        tags = {
            "type": "Microsoft.Resources/tags",
            "apiVersion": "2024-03-01",
            "name": "default",
            "properties": {"tags": {"of": tag}},
        }
        return template(resources=[network, subnet, tags])

    async with deploying(tmp_path, Network()) as d:
        kinds = [item["changeType"] for item in await d.what_if(raw("10.0.1.0/24", "a"))]
        assert kinds == ["Create", "Create", "Modify"]
        await d.run("d", raw("10.0.1.0/24", "a"))
        kinds = [item["changeType"] for item in await d.what_if(raw("10.0.1.0/24", "a"))]
        assert set(kinds) == {"NoChange"}
        found = await d.what_if(raw("10.0.2.0/24", "b"))
        changed = {
            item["resourceId"].rsplit("/")[-1]: [part["path"] for part in item["delta"]]
            for item in found
            if item["changeType"] == "Modify"
        }
        assert changed == {"one": ["properties.addressPrefix"], "default": ["properties.tags.of"]}


class _Alerts(Provider):
    namespace = "Microsoft.Insights"

    def types(self) -> list[ResourceType]:
        return [QueryRules(lambda: None)]


async def test_what_a_service_notes_of_the_request_is_no_change(tmp_path: Path) -> None:
    """A log alert knows by which version of the API it was made."""
    rule = {
        "type": "Microsoft.Insights/scheduledQueryRules",
        "apiVersion": "2023-12-01",
        "name": "rule",
        "location": "westeurope",
        "properties": {
            "scopes": ["[resourceGroup().id]"],
            "severity": 3,
            "evaluationFrequency": "PT5M",
            "windowSize": "PT5M",
            "criteria": {
                "allOf": [
                    {
                        "query": "Logs",
                        "timeAggregation": "Count",
                        "operator": "GreaterThan",
                        "threshold": "5",
                    }
                ]
            },
        },
    }
    async with deploying(tmp_path, _Alerts()) as d:
        raw = template(resources=[rule])
        assert (await d.run("d", raw))["provisioningState"] == "Succeeded"
        [change] = await d.what_if(raw)
        assert (change["changeType"], change["delta"]) == ("NoChange", [])


async def test_what_comes_later_is_no_change(tmp_path: Path) -> None:
    """Keys are not asked for in advance: what holds one is taken to keep it."""

    def raw(words: str) -> dict[str, Any]:
        account = {
            "type": "Microsoft.Storage/storageAccounts",
            "apiVersion": "2024-01-01",
            "name": "lab",
            "location": "westeurope",
            "sku": {"name": "Standard_LRS"},
            "kind": "StorageV2",
        }
        keys = "listKeys(resourceId('Microsoft.Storage/storageAccounts', 'lab'), '2024-01-01')"
        board = {
            "type": "Microsoft.Portal/dashboards",
            "apiVersion": "2022-12-01-preview",
            "name": "board",
            "location": "westeurope",
            "properties": {
                "key": f"[{keys}.keys[0].value]",
                "list": [{"name": "a", "value": f"[concat('x=', {keys}.keys[0].value)]"}],
                "words": words,
            },
            "dependsOn": ["lab"],
        }
        return template(resources=[account, board])

    async with deploying(tmp_path, Storage()) as d:
        await d.run("d", raw("one"))
        assert {item["changeType"] for item in await d.what_if(raw("one"))} == {"NoChange"}
        [_, change] = sorted(
            await d.what_if(raw("two")), key=lambda it: it["changeType"] == "Modify"
        )
        assert [part["path"] for part in change["delta"]] == ["properties.words"]


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


async def test_a_module_whose_parameters_come_later_is_not_looked_into(tmp_path: Path) -> None:
    """An object that an action gives: what it will be cannot be told, nor what is made of it."""
    inner = template(
        parameters={"settings": {"type": "object"}},
        resources=[machine("x", speed="[parameters('settings').speed]")],
    )
    wired = module("m", inner)
    wired["properties"]["parameters"] = {
        "settings": "[createObject('value', reference('y').settings)]"
    }
    async with deploying(tmp_path) as d:
        raw = template(resources=[wired, machine("y", settings={"speed": 3})])
        changes = {item["changeType"]: item for item in await d.what_if(raw)}
        assert set(changes) == {"Create", "Unsupported"}
        assert "was not fully evaluated" in changes["Unsupported"]["unsupportedReason"]
        assert (await d.run("d", raw))["provisioningState"] == "Succeeded"
        assert {item["changeType"] for item in await d.what_if(raw)} == {"NoChange"}


async def test_what_if_looks_into_modules_and_groups_to_come(tmp_path: Path) -> None:
    inner = template(resources=[machine("x", where="[resourceGroup().location]")])
    raw = template(resources=[module("m", inner), machine("y", z="[reference('x2').a]")])
    raw["resources"].append(machine("x2"))
    async with deploying(tmp_path) as d:
        changes = {item["resourceId"].rsplit("/")[-1]: item for item in await d.what_if(raw)}
        assert changes["x"]["after"]["properties"]["where"] == "westeurope"
        # What does not exist yet tells nothing: the expression stands.
        assert changes["y"]["after"]["properties"]["z"] == "[reference('x2').a]"


async def test_what_must_be_given_at_each_write_and_is_never_shown_is_no_change(
    tmp_path: Path,
) -> None:
    raw = template(resources=[machine("a", wants=["secret"], secret="hush")])
    async with deploying(tmp_path) as d:
        await d.run("d", raw)
        [change] = await d.what_if(raw)
        assert change["changeType"] == "NoChange", change["delta"]
        other = template(resources=[machine("a", wants=["secret"], secret="hush", speed=9)])
        [change] = await d.what_if(other)
        assert "hush" not in json.dumps(change)
        assert [it["path"] for it in change["delta"]] == ["properties.speed"]


async def test_what_the_service_does_not_take_has_no_effect(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("d", template(resources=[machine("a", speed=1, lock="PT1M", kind="Fast")]))
        raw = template(
            resources=[
                machine("a", speed=1, lock="PT1M", kind="Fast", serial="mine", seen=0),
            ]
        )
        [change] = await d.what_if(raw)
        assert change["changeType"] == "NoChange"
        found = {it["path"]: (it["propertyChangeType"], it["after"]) for it in change["delta"]}
        assert found == {
            "properties.serial": ("NoEffect", "mine"),
            "properties.seen": ("NoEffect", 0),
        }
        raw["resources"][0]["properties"]["speed"] = 2
        [change] = await d.what_if(raw)
        assert change["changeType"] == "Modify"
        kinds = [it["propertyChangeType"] for it in change["delta"]]
        assert kinds == ["Modify", "NoEffect", "NoEffect"]
        # What was shown can be said again.
        shown = (await d.world.get(f"{LAB}/machines/a"))["properties"]
        [change] = await d.what_if(template(resources=[machine("a", **shown)]))
        assert (change["changeType"], change["delta"]) == ("NoChange", [])


def test_a_value_that_is_spelt_otherwise_is_the_same() -> None:
    shown = {"lock": "PT1M", "tier": "Premium", "n": 5, "on": True, "far": "P1D"}
    given = {"lock": "PT60S", "tier": "premium", "n": "5", "on": "true", "far": "PT24H"}
    before, said = {"properties": shown}, {"properties": given}
    assert ineffective(before, before, said, []) == []
    given |= {"lock": "PT2M", "tier": "Basic", "other": "1"}
    assert [it["path"] for it in ineffective(before, before, said, [])] == [
        "properties.lock",
        "properties.tier",
    ]


async def test_a_module_is_said_to_be_responsible_for_what_it_changes(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        raw = template(resources=[machine("a"), module("m", template(resources=[machine("b")]))])
        found = {it["resourceId"]: it["deploymentId"] for it in await d.what_if(raw)}
        assert found == {
            f"{LAB}/machines/a": f"{DEPLOYMENTS}/w",
            f"{LAB}/machines/b": f"{DEPLOYMENTS}/m",
        }


async def test_a_text_that_is_nearly_a_duration_is_a_text(tmp_path: Path) -> None:
    async with deploying(tmp_path) as d:
        await d.run("d", template(resources=[machine("a")]))
        [change] = await d.what_if(template(resources=[machine("a", serial="P1.2.3D")]))
        [noted] = change["delta"]
        assert (noted["path"], noted["propertyChangeType"]) == ("properties.serial", "NoEffect")
