"""`this`: the resource that is deployed, as it was before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.bicep.compiling import at, refused, template

HEAD = "resource a 'Microsoft.Rp/things@2020-01-01' = {\n  name: 'a'\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("this.exists()", "[not(empty(target('full')))]"),
        ("this.exists() ? 1 : 2", "[if(not(empty(target('full'))), 1, 2)]"),
        (
            "this.existingResource().?properties.x",
            "[tryGet(target('full'), 'properties', 'x')]",
        ),
        (
            "this.existingResource().?properties.x ?? 'no'",
            "[coalesce(tryGet(target('full'), 'properties', 'x'), 'no')]",
        ),
    ],
)
def test_what_was_there_before(tmp_path: Path, value: str, expected: str) -> None:
    found = template(tmp_path, f"{HEAD}  properties: {{ x: {value} }}\n}}\n")
    assert found["languageVersion"] == "2.1-experimental"
    assert found["metadata"]["_EXPERIMENTAL_FEATURES_ENABLED"] == []
    assert at(found, "resources/a/properties/x") == expected


def test_in_a_loop_and_in_a_nested_resource(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        resource a 'Microsoft.Rp/things@2020-01-01' = [for i in range(0, 2): {
          name: 'a${i}'
          properties: { x: this.exists() }
        }]
        resource b 'Microsoft.Rp/things@2020-01-01' = {
          name: 'b'
          resource c 'parts' = {
            name: 'c'
            properties: { x: this.exists() }
          }
        }
        """,
    )
    for place in ("a", "b::c"):
        assert at(found, f"resources/{place}/properties/x") == "[not(empty(target('full')))]"


def test_a_loop_variable_may_be_called_this(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        resource a 'Microsoft.Rp/things@2020-01-01' = [for this in range(0, 2): {
          name: 'a${this}'
        }]
        """,
    )
    assert at(found, "resources/0/name") == "[format('a{0}', range(0, 2)[copyIndex()])]"


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        ("var this = 1\n", "BCP084", 1, 5),
        ("param this string\n", "BCP084", 1, 7),
        ("type this = string\n", "BCP084", 1, 6),
        ("resource this 'Microsoft.Rp/things@2020-01-01' = { name: 'a' }\n", "BCP084", 1, 10),
        ("output o bool = this.exists()\n", "BCP057", 1, 17),
        (
            "resource a 'Microsoft.Rp/things@2020-01-01' = if (this.exists()) { name: 'a' }\n",
            "BCP057",
            1,
            51,
        ),
        (
            "resource a 'Microsoft.Rp/things@2020-01-01' existing = { name: this.exists() ? '' : 'a' }\n",
            "BCP057",
            1,
            64,
        ),
        (HEAD + "  tags: { x: this.existingResource().?kind }\n}\n", "BCP120", 3, 14),
        (HEAD + "  properties: { x: this.missing() }\n}\n", "BCP107", 3, 25),
        ("output o bool = exists()\n", "BCP057", 1, 17),
    ],
)
def test_where_there_is_no_this(
    tmp_path: Path, source: str, code: str, line: int, column: int
) -> None:
    found = refused(tmp_path, source)
    assert [(one.code, one.line, one.column) for one in found] == [(code, line, column)]


def test_tags_and_sku_may_use_it_where_the_configuration_says_so(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        HEAD + "  tags: { x: this.existingResource().?kind }\n}\n",
        bicepconfig__json='{"experimentalFeaturesEnabled": {"runtimeValuesInTagsAndSku": true}}',
    )
    assert at(found, "resources/a/tags/x") == "[tryGet(target('full'), 'kind')]"
    assert at(found, "metadata/_EXPERIMENTAL_FEATURES_ENABLED") == [
        "Enable runtime values in tags and SKU"
    ]


def test_a_function_of_a_file_may_be_named_as_those_of_the_service(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        import * as lib from 'lib.bicep'
        var names = lib.listNames('a')
        output o array = names
        """,
        lib__bicep="@export()\nfunc listNames(x string) array => [x]\n",
    )
    assert at(found, "variables/names") == "[_1.listNames('a')]"
    assert at(found, "outputs/o/value") == "[variables('names')]"
