"""Whatever stands in a template: it is understood or refused, and never breaks the server."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from tests.unit.deployments.test_deployments import module
from tests.unit.deployments.world import DEPLOYMENTS, STACKS, deploying, machine
from tests.unit.templates.world import template

ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**20, "", "x", "[x]", "[concat(", "[createObject()]"),
    *("[reference('a').x]", [], [1], [None], ["a"], {}, {"a": 1}),
    {"copy": [{"name": 1, "count": "x", "input": None}]},
]


def whole() -> dict[str, Any]:
    """A request with something of everything."""
    discriminator = {"propertyName": "k", "mapping": {"x": {"type": "object"}}}
    raw = template(
        definitions={
            "d": {
                "type": "object",
                "properties": {"a": {"type": "int"}},
                "discriminator": discriminator,
            }
        },
        parameters={
            "p": {"type": "string", "defaultValue": "x", "allowedValues": ["x"]},
            "q": {"$ref": "#/definitions/d", "nullable": True},
            "t": {"type": "array", "prefixItems": [{"type": "int"}], "defaultValue": [1]},
        },
        variables={
            "copy": [{"name": "v", "count": 2, "input": "[copyIndex('v')]"}],
            "w": {"copy": [{"name": "z", "count": 1, "input": 1}]},
        },
        functions=[
            {
                "namespace": "n",
                "members": {
                    "f": {
                        "parameters": [{"name": "a", "type": "int"}],
                        "output": {"type": "int", "value": "[parameters('a')]"},
                    }
                },
            }
        ],
        resources=[
            machine("a", x="[n.f(1)]"),
            {
                **machine("[concat('b', copyIndex())]", dependsOn=["a"], condition=True),
                "copy": {"name": "l", "count": 2, "mode": "serial", "batchSize": 1},
                "scope": "/",
                "tags": {},
                "location": "x",
            },
            module("m", template(resources=[machine("q")]), resourceGroup="g"),
            {**machine("c"), "resources": [{"type": "k", "name": "k", "apiVersion": "1"}]},
        ],
        outputs={
            "o": {"type": "array", "copy": {"count": 1, "input": 1}},
            "r": {"type": "int", "condition": True, "value": "[reference('a').speed]"},
        },
    )
    return {
        "properties": {
            "mode": "Incremental",
            "template": raw,
            "parameters": {"p": {"value": "x"}},
            "actionOnUnmanage": {"resources": "delete"},
            "denySettings": {"mode": "none"},
        }
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from places(item, (*path, at))


def with_odd(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return value


async def test_an_odd_value_anywhere_is_refused_or_understood(tmp_path: Path) -> None:
    chance = random.Random(7)
    verbs = (f"{DEPLOYMENTS}/v/validate", f"{DEPLOYMENTS}/v/whatIf", f"{STACKS}/s/validate")
    request = whole()
    statuses: list[int] = []
    async with deploying(tmp_path) as d:
        for path in places(request):
            for odd in chance.sample(ODD, 3):
                try:
                    await d.world.ask("POST", chance.choice(verbs), with_odd(request, path, odd))
                except ArmError as error:
                    statuses.append(error.status)
    assert len(statuses) > 100
    assert all(400 <= status < 500 for status in statuses)
