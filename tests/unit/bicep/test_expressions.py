"""Expressions, as the real compiler writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.bicep.compiling import Json, template

PREAMBLE = """
param name string
param count int = 2
param flag bool = true
param list array = []
param map object = {}
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("'plain'", "plain"),
        ("'[in brackets]'", "[[in brackets]"),
        ("'[open'", "[open"),
        ("'it\\'s \\u{1F600} \\${x}'", "it's 😀 ${x}"),
        ("42", 42),
        ("-42", -42),
        ("9223372036854775807", 9223372036854775807),
        ("[9223372036854775807 + 1]", ["[add(json('9223372036854775807'), 1)]"]),
        ("true", True),
        ("null", None),
        ("{ a: 1, 'b c': [ null ] }", {"a": 1, "b c": [None]}),
        ("{ '${name}': 1 }", {"[format('{0}', parameters('name'))]": 1}),
        ("{ copy: 1 }", {"[string('copy')]": 1}),
        ("'a${name}{b}'", "[format('a{0}{{b}}', parameters('name'))]"),
        ("'''\nraw ${name}\n'''", "raw ${name}\n"),
        ("$'''\nraw ${name}\n'''", "[format('raw {0}\n', parameters('name'))]"),
        ("$$'''${name}$${name}'''", "[format('${{name}}{0}', parameters('name'))]"),
        ("flag ? 'yes' : 'no'", "[if(parameters('flag'), 'yes', 'no')]"),
        (
            "flag\n  ? 'yes'\n  : 'no'",
            "[if(parameters('flag'), 'yes', 'no')]",
        ),
        ("1 + 2 * 3 - 4", "[sub(add(1, mul(2, 3)), 4)]"),
        ("(1 + 2) * 3", "[mul(add(1, 2), 3)]"),
        ("!flag && count >= 2 || false", "[or(and(not(parameters('flag')), greaterOrEquals(parameters('count'), 2)), false())]"),
        ("name != 'a'", "[not(equals(parameters('name'), 'a'))]"),
        ("name =~ 'a'", "[equals(toLower(parameters('name')), toLower('a'))]"),
        ("-count", "[sub(0, parameters('count'))]"),
        ("map.?a ?? 'b'", "[coalesce(tryGet(parameters('map'), 'a'), 'b')]"),
        ("map.?a.b[0]", "[tryGet(parameters('map'), 'a', 'b', 0)]"),
        ("map.?a!.b", "[tryGet(parameters('map'), 'a', 'b')]"),
        ("(map.?a).b", "[tryGet(parameters('map'), 'a').b]"),
        ("map[?'a b']", "[tryGet(parameters('map'), 'a b')]"),
        ("map['a'].b", "[parameters('map').a.b]"),
        ("map['a b']", "[parameters('map')['a b']]"),
        ("list[^1]", "[indexFromEnd(parameters('list'), 1)]"),
        ("list[?^1]", "[tryIndexFromEnd(parameters('list'), 1)]"),
        ("list[count]", "[parameters('list')[parameters('count')]]"),
        ("any(list)", "[parameters('list')]"),
        ("sys.concat('a', name)", "[concat('a', parameters('name'))]"),
        ("az.resourceGroup().name", "[resourceGroup().name]"),
        ("nameof(map.some.thing)", "thing"),
        ("nameof(map['thing'])", "thing"),
        ("sys.map(list, x => x.name)", "[map(parameters('list'), lambda('x', lambdaVariables('x').name))]"),
        (
            "reduce(list, 0, (sum, x) => sum + x)",
            "[reduce(parameters('list'), 0, lambda('sum', 'x', add(lambdaVariables('sum'), lambdaVariables('x'))))]",
        ),
        ("{ ...map, a: 1 }", "[shallowMerge(createArray(parameters('map'), createObject('a', 1)))]"),
        ("[ 1, ...list, 2 ]", "[flatten(createArray(createArray(1), parameters('list'), createArray(2)))]"),
        ("['a', 'b'][1]", "[createArray('a', 'b')[1]]"),
        ("{ a: 's' }.a", "[createObject('a', 's').a]"),
        ("[ 1, flag ]", [1, "[parameters('flag')]"]),
        ("'''it's'''", "it's"),
        ("concat(\n  name,\n  'b'\n)", "[concat(parameters('name'), 'b')]"),
        ("/* a */ 'b' // c", "b"),
    ],
)  # fmt: skip
def test_expression(tmp_path: Path, source: str, expected: Json) -> None:
    found = template(tmp_path, f"{PREAMBLE}\nvar x = {source}\noutput o int = 1\n")
    assert found["variables"]["x"] == expected


def test_a_single_quote_is_doubled_inside_an_expression(tmp_path: Path) -> None:
    found = template(tmp_path, "param p string\nvar x = concat('it\\'s', p)\n")
    assert found["variables"]["x"] == "[concat('it''s', parameters('p'))]"


def test_loops_of_variables_are_copies(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        param names string[]
        var plain = [for name in names: '${name}!']
        var indexed = [for (name, i) in names: { key: name, index: i }]
        var numbers = [for i in range(0, 3): 7]
        """,
    )
    assert found["variables"]["copy"] == [
        {
            "name": "plain",
            "count": "[length(parameters('names'))]",
            "input": "[format('{0}!', parameters('names')[copyIndex('plain')])]",
        },
        {
            "name": "indexed",
            "count": "[length(parameters('names'))]",
            "input": {
                "key": "[parameters('names')[copyIndex('indexed')]]",
                "index": "[copyIndex('indexed')]",
            },
        },
        {"name": "numbers", "count": "[length(range(0, 3))]", "input": "[int(7)]"},
    ]


def test_loaded_content_is_kept_in_variables_of_its_own(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        var whole = loadTextContent('a.txt')
        var part = '${loadTextContent('a.txt')}!'
        var data = loadJsonContent('data.json', '.list[1]')
        var yaml = loadYamlContent('data.yaml').on
        var encoded = loadFileAsBase64('a.txt')
        """,
        a__txt="hello",
        data__json='{ "list": [1, {"float": 1.5, "text": "[x]"}] } // why not',
        data__yaml="on: yes\nwhen: 2020-01-01\n",
    )
    assert found["variables"] == {
        "whole": "hello",
        "$fxv#0": "hello",
        "part": "[format('{0}!', variables('$fxv#0'))]",
        "$fxv#1": {"float": "[json('1.5')]", "text": "[[x]"},
        "data": "[variables('$fxv#1')]",
        "$fxv#2": {"on": "yes", "when": "2020-01-01"},
        "yaml": "[variables('$fxv#2').on]",
        "encoded": "aGVsbG8=",
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1.0", "1"),
        ("-2.50", "-2.5"),
        ("0.0", "0"),
        ("100.0", "100"),
        ("0.0001", "0.0001"),
        ("0.00001234", "1.234E-05"),
        ("1e3", "1000"),
        ("123456789012345.5", "123456789012345.5"),
        ("1e15", "1E+15"),
        ("1.5e300", "1.5E+300"),
    ],
)
def test_a_fraction_is_written_as_dotnet_does(tmp_path: Path, number: str, text: str) -> None:
    found = template(tmp_path, "var n = loadJsonContent('n.json')\n", n__json=f'{{"n": {number}}}')
    assert found["variables"]["$fxv#0"] == {"n": f"[json('{text}')]"}


def test_user_defined_functions(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        @description('says hello')
        @export()
        func greet(name string, times int?) string => '${name} ${times ?? 1}'
        output o string = greet('you', null)
        """,
    )
    assert found["languageVersion"] == "2.0"
    assert found["functions"] == [
        {
            "namespace": "__bicep",
            "members": {
                "greet": {
                    "parameters": [
                        {"type": "string", "name": "name"},
                        {"type": "int", "nullable": True, "name": "times"},
                    ],
                    "output": {
                        "type": "string",
                        "value": "[format('{0} {1}', parameters('name'), coalesce(parameters('times'), 1))]",
                    },
                    "metadata": {"description": "says hello", "__bicep_export!": True},
                }
            },
        }
    ]
    assert found["outputs"]["o"]["value"] == "[__bicep.greet('you', null())]"


def test_the_frame_of_a_template(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        targetScope = 'subscription'
        metadata author = 'us'
        """,
    )
    assert found["$schema"].endswith("2018-05-01/subscriptionDeploymentTemplate.json#")
    assert found["contentVersion"] == "1.0.0.0"
    assert found["metadata"]["author"] == "us"
    assert found["resources"] == []
    assert "languageVersion" not in found
