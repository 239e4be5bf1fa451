"""Parameters, variables, loops, conditions, nested templates, dependencies of a template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown, Request
from orchestrator.localcloud.templates.reading import read
from tests.unit.templates.world import GROUP, plan, template, thing, value

THING = f"{GROUP}/providers/Contoso.Lab/things"


def refusal(raw: dict[str, Any], **given: Any) -> str:
    with pytest.raises(ArmError) as caught:
        plan(raw, **given)
    return caught.value.message


# ------------------------------------------------------------------- parameters ----


def test_names_are_compared_without_regard_to_case() -> None:
    raw = template(
        parameters={"Size": {"type": "INT", "defaultValue": 3}},
        variables={"Twice": "[mul(Parameters('size'), 2)]"},
        resources=[thing("[concat('a', VARIABLES('tWICE'))]")],
    )
    assert [item.name for item in plan(raw).instances.values()] == ["a6"]
    assert [item.name for item in plan(raw, SIZE=4).instances.values()] == ["a8"]


def test_defaults_know_other_parameters_the_time_and_new_guids() -> None:
    raw = template(
        parameters={
            "b": {"type": "string", "defaultValue": "[concat(parameters('a'), '!')]"},
            "a": {"type": "string", "defaultValue": "[utcNow('yyyy-MM-dd')]"},
            "g": {"type": "string", "defaultValue": "[newGuid()]"},
        }
    )
    made = plan(raw)
    assert made.inputs.values()["b"] == "2026-01-02!"
    assert made.inputs.values()["g"].startswith("11111111-")


@pytest.mark.parametrize(
    ("definition", "given", "words"),
    [
        ({"type": "string"}, None, "'p' is not provided"),
        ({"type": "int"}, "x", "Expected a value of type 'Integer', but received"),
        ({"type": "bool"}, 1, "Expected a value of type 'Boolean'"),
        ({"type": "string", "allowedValues": ["a", "b"]}, "c", "allowed value(s): 'a,b'"),
        ({"type": "string", "minLength": 3}, "ab", "greater than or equal to '3'"),
        ({"type": "array", "maxLength": 1}, [1, 2], "less than or equal to '1'"),
        ({"type": "int", "maxValue": 3}, 4, "less than or equal to '3'"),
        ({"$ref": "#/definitions/pet"}, {"kind": "cow"}, "must be one of 'cat, dog'"),
        ({"$ref": "#/definitions/pet"}, {"kind": "cat"}, "The property 'lives' is required"),
        ({"$ref": "#/definitions/pet"}, {"kind": "dog", "x": 1}, "'x' is not permitted"),
        ({"$ref": "#/definitions/none"}, 1, "could not be resolved"),
        ({"type": "array", "items": {"type": "int"}}, [1, "a"], "'p'[1] is not valid"),
        ({"type": "array", "prefixItems": [{"type": "int"}], "items": False}, [1, 2], "at most 1"),
    ],
)
def test_a_value_that_is_not_of_its_type(definition: Any, given: Any, words: str) -> None:
    raw = template(
        definitions={
            "pet": {
                "type": "object",
                "discriminator": {
                    "propertyName": "kind",
                    "mapping": {
                        "cat": {"type": "object", "properties": {"lives": {"type": "int"}}},
                        "dog": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"kind": {"type": "string"}},
                        },
                    },
                },
            }
        },
        parameters={"p": definition},
    )
    message = refusal(raw, **({} if given is None else {"p": given}))
    assert words in message
    assert message.startswith("Deployment template validation failed: '")


def test_nullable_and_secure_values() -> None:
    raw = template(
        parameters={
            "n": {"type": "string", "nullable": True},
            "s": {"type": "secureString"},
        }
    )
    made = plan(raw, s="hush")
    assert made.evaluation.parameter("n") is None
    assert made.inputs.shown() == {
        "n": {"type": "String", "value": None},
        "s": {"type": "SecureString"},
    }
    assert made.inputs.secrets() == {"hush"}


def test_parameters_that_the_template_does_not_have() -> None:
    message = refusal(template(parameters={"a": {"type": "int", "defaultValue": 1}}), b=1)
    assert "'b' in the parameters file are not valid" in message
    assert "supported parameters for this template are 'a'" in message


def test_variables_in_a_circle() -> None:
    raw = template(variables={"a": "[variables('b')]", "b": "[variables('a')]"})
    with pytest.raises(ExpressionError, match="circular dependency"):
        plan(raw).evaluation.variable("a")


def test_user_defined_functions() -> None:
    functions = [
        {
            "namespace": "contoso",
            "members": {
                "shout": {
                    "parameters": [{"name": "what", "type": "string"}],
                    "output": {"type": "string", "value": "[concat(parameters('what'), '!')]"},
                },
                "twice": {
                    "parameters": [{"name": "what", "type": "string"}],
                    "output": {
                        "type": "string",
                        "value": "[contoso.shout(contoso.shout(parameters('what')))]",
                    },
                },
            },
        }
    ]
    assert value("[contoso.twice('hey')]", functions=functions) == "hey!!"
    with pytest.raises(ExpressionError, match="Expected a value of type 'String'"):
        value("[contoso.shout(1)]", functions=functions)


# ------------------------------------------------------------------------ loops ----


def test_loops_of_variables_properties_resources_and_outputs() -> None:
    raw = template(
        variables={
            "copy": [{"name": "names", "count": 3, "input": "[concat('n', copyIndex('names'))]"}],
            "inner": {"copy": [{"name": "x", "count": 2, "input": "[copyIndex('x', 5)]"}]},
        },
        resources=[
            thing(
                "[variables('names')[copyIndex()]]",
                copy={"name": "all", "count": "[length(variables('names'))]"},
                properties={
                    "copy": [
                        {
                            "name": "pairs",
                            "count": 2,
                            "input": "[createArray(copyIndex(), copyIndex('pairs'))]",
                        }
                    ]
                },
            )
        ],
        outputs={"o": {"type": "array", "copy": {"count": 2, "input": "[copyIndex(1)]"}}},
    )
    made = plan(raw)
    bodies = [item.body() for item in made.instances.values()]
    assert [item.name for item in made.instances.values()] == ["n0", "n1", "n2"]
    assert bodies[2] == {"properties": {"pairs": [[2, 0], [2, 1]]}}
    assert made.evaluation.variable("inner") == {"x": [5, 6]}
    assert made.output("o", raw["outputs"]["o"]) == [1, 2]


def test_a_serial_loop_goes_batch_by_batch() -> None:
    raw = template(
        resources=[
            thing(
                "[concat('a', copyIndex())]",
                copy={"name": "l", "count": 5, "mode": "Serial", "batchSize": 2},
            )
        ]
    )
    made = plan(raw)
    waits = [{made.instances[k].index for k in i.depends} for i in made.instances.values()]
    assert waits == [set(), set(), {0, 1}, {0, 1}, {2, 3}]


def test_too_many_turns() -> None:
    raw = template(
        resources=[thing("[concat('a', copyIndex())]", copy={"name": "l", "count": 801})]
    )
    assert "exceeds the maximum, 800" in refusal(raw)


# ----------------------------------------------------------- resources and order ----


def test_dependencies_by_id_name_loop_and_relative_path() -> None:
    raw = template(
        resources=[
            thing("a"),
            thing("b", dependsOn=["a"]),
            thing("c", dependsOn=["[resourceId('Contoso.Lab/things', 'b')]"]),
            thing("d", dependsOn=["Contoso.Lab/things/c"]),
            thing("[concat('e', copyIndex())]", copy={"name": "loop", "count": 2}),
            thing("f", dependsOn=["loop", "g"]),
            thing("g", condition=False),
        ]
    )
    made = plan(raw)
    names = {
        item.name: sorted(made.instances[key].name for key in item.depends)
        for item in made.instances.values()
    }
    assert names["b"] == ["a"]
    assert names["c"] == ["b"]
    assert names["d"] == ["c"]
    assert names["f"] == ["e0", "e1", "g"]


def test_reference_waits_for_what_the_template_deploys() -> None:
    raw = template(
        languageVersion="2.0",
        resources={
            "first": thing("a"),
            "second": thing(
                "b",
                properties={
                    "x": "[reference('first').x]",
                    "y": "[listKeys('first', '2024-01-01').k]",
                    "z": "[reference(resourceId('Contoso.Lab/things', 'else'), '1').z]",
                },
            ),
        },
    )
    made = plan(raw)
    second = made.instances["second"]
    assert second.depends == {"first"}
    with pytest.raises(NotYetKnown) as caught:
        second.body()
    assert caught.value.request == Request("reference", f"{THING}/a", "2024-01-01")
    made.inputs.answers.keep(caught.value.request, {"properties": {"x": 1}})
    made.inputs.answers.keep(Request("list", f"{THING}/A", "", "listkeys"), {"k": 2})
    made.inputs.answers.keep(Request("reference", f"{THING}/else"), {"properties": {"z": 3}})
    assert second.body() == {"properties": {"x": 1, "y": 2, "z": 3}}


def test_nobody_waits_for_an_existing_resource_but_for_what_it_waits_for() -> None:
    raw = template(
        languageVersion="2.0",
        resources={
            "made": thing("m"),
            "there": thing("t", existing=True, dependsOn=["made"]),
            "user": thing("u", dependsOn=["there"]),
        },
    )
    assert plan(raw).instances["user"].depends == {"made"}


def test_what_is_not_deployed_has_no_properties() -> None:
    raw = template(
        languageVersion="2.0",
        resources={"off": thing("a", condition=False)},
        outputs={
            "safe": {
                "type": "string",
                "nullable": True,
                "value": "[tryGet(reference('off'), 'outputs', 'x')]",
            },
            "hard": {"type": "string", "value": "[reference('off').outputs]"},
        },
    )
    made = plan(raw)
    assert made.output("safe", raw["outputs"]["safe"]) is None
    with pytest.raises(ExpressionError, match="'outputs' doesn't exist"):
        made.output("hard", raw["outputs"]["hard"])


def test_circles_duplicates_and_unknown_names_are_refused() -> None:
    circle = template(resources=[thing("a", dependsOn=["b"]), thing("b", dependsOn=["a"])])
    assert "Circular dependency detected on resource" in refusal(circle)
    assert "defined multiple times" in refusal(template(resources=[thing("a"), thing("A")]))
    missing = template(resources=[thing("a", dependsOn=["zz"])])
    assert "The resource 'zz' is not defined in the template" in refusal(missing)
    assert "incorrect segment lengths" in refusal(template(resources=[thing("a/b")]))
    early = template(resources=[thing("[reference('/providers/Contoso.Lab/a/b').y]")])
    assert "'reference' is not expected at this location" in refusal(early)


def test_of_several_with_one_name_the_deployed_one_is_meant() -> None:
    """One at most may be deployed; whoever waits for any of them waits for that one."""
    raw = template(
        parameters={"which": {"type": "string", "defaultValue": "b"}},
        resources=[
            thing("a", condition="[equals(parameters('which'), 'a')]", properties={"x": 1}),
            thing("a", condition="[equals(parameters('which'), 'b')]", properties={"x": 2}),
            thing("a", condition=False, properties={"x": 3}),
            thing("user", dependsOn=["a"]),
        ],
    )
    made = plan(raw)
    one = made.instances[f"{THING}/a".lower()]
    assert one.condition
    assert one.body() == {"properties": {"x": 2}}
    assert made.instances[f"{THING}/user".lower()].depends == {one.key}
    raw["resources"][2]["condition"] = True
    assert "defined multiple times" in refusal(raw)


def test_a_default_may_use_a_variable() -> None:
    """As Bicep writes it for the content of a file."""
    raw = template(
        parameters={"p": {"type": "object", "defaultValue": "[variables('$fxv#0')]"}},
        variables={"$fxv#0": {"a": 1}, "circle": "[parameters('q')]"},
    )
    assert plan(raw).inputs.parameter("p") == {"a": 1}
    raw["parameters"]["q"] = {"type": "string", "defaultValue": "[variables('circle')]"}
    assert "circular dependency" in refusal(raw)


def test_what_exists_in_the_subscription_is_looked_for_there() -> None:
    """`scope: subscription()` of an existing resource leaves the resource group out."""
    raw = template(
        languageVersion="2.0",
        resources={
            "group": {
                "existing": True,
                "type": "Microsoft.Resources/resourceGroups",
                "apiVersion": "2024-03-01",
                "subscriptionId": "[subscription().subscriptionId]",
                "name": "[resourceGroup().name]",
            }
        },
    )
    assert plan(raw).instances["group"].id == GROUP


def test_children_extensions_and_other_scopes_have_their_ids() -> None:
    child = {"type": "parts", "name": "p", "apiVersion": "1"}
    raw = template(
        resources=[
            thing("a", resources=[child]),
            thing("b", scope="Contoso.Lab/things/a"),
            {"type": "Contoso.Lab/things/providers/locks", "apiVersion": "1",
             "name": "a/Contoso.Ext/l"},
            thing("t", scope="/"),
        ]
    )  # fmt: skip
    ids = [item.id for item in plan(raw).instances.values()]
    assert ids == [
        f"{THING}/a",
        f"{THING}/a/parts/p",
        f"{THING}/a/providers/Contoso.Lab/things/b",
        f"{THING}/a/providers/Contoso.Ext/locks/l",
        "/providers/Contoso.Lab/things/t",
    ]


def test_what_is_not_deployed_need_not_have_a_name() -> None:
    raw = template(
        parameters={"id": {"type": "string", "nullable": True}},
        resources=[thing("[split(parameters('id'), '/')[8]]", condition=False)],
    )
    assert [item.condition for item in plan(raw).instances.values()] == [False]


# ------------------------------------------------------------- nested templates ----


def nested(scope: str | None) -> dict[str, Any]:
    options = {"expressionEvaluationOptions": {"scope": scope}} if scope else {}
    inner = template(
        variables={"v": "inside"},
        resources=[
            thing("[concat(variables('v'), copyIndex())]", copy={"name": "l", "count": 2}),
        ],
        outputs={"o": {"type": "string", "value": "[variables('v')]"}},
    )
    return template(
        variables={"v": "outside's"},
        resources=[
            {
                "type": "Microsoft.Resources/deployments",
                "apiVersion": "2024-03-01",
                "name": "n",
                "properties": {"mode": "Incremental", **options, "template": inner},
            }
        ],
    )


@pytest.mark.parametrize(("scope", "word"), [("inner", "inside"), (None, "outside's")])
def test_whose_variables_a_nested_template_sees(scope: str | None, word: str) -> None:
    (deployment,) = plan(nested(scope)).instances.values()
    inner = plan(deployment.body()["properties"]["template"])
    assert [item.name for item in inner.instances.values()] == [f"{word}0", f"{word}1"]
    assert inner.output("o", inner.document.outputs["o"]) == word


# --------------------------------------------------------------------- documents ----


def test_templates_are_read_as_people_write_them() -> None:
    text = """{ // a comment
      template: {'a': 'it\\'s', /* another */ "b": "two
lines // no comment", "c": [1, 2,], },
    }"""
    assert read(text) == {"template": {"a": "it's", "b": "two\nlines // no comment", "c": [1, 2]}}
    with pytest.raises(ValueError):
        read("{ nothing }")


def test_what_is_no_template_is_refused() -> None:
    assert "Required property 'resources'" in refusal({"$schema": "x", "contentVersion": "1"})
    assert "Could not find member 'resorces'" in refusal(template(resorces=[]))


def test_evaluating_does_not_change_the_template() -> None:
    raw = nested(None)
    before = json.dumps(raw)
    for item in plan(raw).instances.values():
        item.body()
    assert json.dumps(raw) == before


def test_a_child_is_known_by_its_own_name_where_nothing_else_is() -> None:
    def child(name: str, *depends: str) -> dict[str, Any]:
        made = thing(name, dependsOn=list(depends))
        return made | {"type": "parts"}

    raw = template(
        resources=[
            thing("top", resources=[child("a", "top"), child("b", "top", "a"), child("c")]),
            thing("after", dependsOn=["b"]),
            thing("c"),
            thing("last", dependsOn=["c"]),
        ],
        outputs={"it": {"type": "string", "value": "[reference('b').x]"}},
    )
    made = plan(raw)
    waits = {
        item.name: {made.instances[key].name for key in item.depends}
        for item in made.instances.values()
    }
    assert waits["top/b"] == {"top", "top/a"}
    assert waits["after"] == {"top/b"}
    # The resource that has the whole name goes before a child that has it for its last part.
    assert waits["last"] == {"c"}
    assert [target.id for target in made.find("b")] == [f"{THING}/top/parts/b"]
