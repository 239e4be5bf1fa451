"""What-if: what a deployment would change."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.deployments.world import (
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
