"""What is wrong between a file and the modules, parameters files and content that it uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_params, kinds
from tests.unit.bicep.compiling import at, refused, template, write

EMPTY = {"$schema": "https://x/deploymentTemplate.json#", "resources": []}
CHOICE = "@allowed(['a', 'b'])\nparam x string\n"


def test_what_a_module_allows(tmp_path: Path) -> None:
    (found,) = refused(
        tmp_path,
        "module m 'm.bicep' = { name: 'm', params: { x: 'c' } }\n",
        m__bicep=CHOICE,
    )
    assert (found.code, found.line, found.column) == ("BCP036", 1, 48)
    assert "'a' | 'b'" in found.message


@pytest.mark.parametrize("what", ["* as sys", "* as az", "{ v as sys }", "{ v as this }"])
def test_an_import_leaves_the_names_of_namespaces(tmp_path: Path, what: str) -> None:
    (found,) = refused(
        tmp_path, f"import {what} from 'm.bicep'\n", m__bicep="@export()\nvar v = 1\n"
    )
    assert (found.code, found.line) == ("BCP084", 1)


def test_a_text_that_is_known_late_may_be_what_is_allowed(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        "param y string\nmodule m 'm.bicep' = { name: 'm', params: { x: y } }\n",
        m__bicep=CHOICE,
    )
    assert at(found, "resources/0/properties/parameters/x/value") == "[parameters('y')]"


def test_what_a_template_allows_in_a_parameters_file(tmp_path: Path) -> None:
    files = {"p.bicepparam": "using 'm.bicep'\nparam x = 'c'\n", "m.bicep": CHOICE}
    with pytest.raises(BicepError) as caught:
        compile_params(write(tmp_path, files))
    assert caught.value.diagnostics[0].code == "BCP033"


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ("{ type: 'SystemAssigned' }", "BCP036"),
        ("{ userAssignedIdentities: {} }", "BCP035"),
        ("{ type: 'None', more: 1 }", "BCP037"),
        ("{ type: 'UserAssigned', userAssignedIdentities: { '${n.outputs.o}': {} } }", "BCP120"),
    ],
)
def test_the_identity_of_a_module(tmp_path: Path, identity: str, code: str) -> None:
    found = refused(
        tmp_path,
        f"module n 'm.bicep' = {{ name: 'n' }}\n"
        f"module m 'm.bicep' = {{\n  name: 'm'\n  identity: {identity}\n}}\n",
        m__bicep="output o string = 'x'\n",
    )
    assert [one.code for one in found] == [code]


def test_a_secret_of_one_of_two_modules(tmp_path: Path) -> None:
    (found,) = refused(
        tmp_path,
        """
        param c bool
        module a 'm.bicep' = { name: 'a' }
        module b 'm.bicep' = { name: 'b' }
        var one = c ? a : b
        @secure()
        output o string = one.outputs.secret
        """,
        m__bicep="@secure()\noutput secret string = 'x'\n",
    )
    assert (found.code, found.line) == ("BCP426", 6)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("output o string = loadJsonContent('v.json').nmae\n", "BCP083"),
        ("output o int = loadJsonContent('v.json').name\n", "BCP033"),
        ("param p { size: int } = loadJsonContent('v.json')\n", "BCP033"),
        ("output o string = loadJsonContent('v.json').list[0].other\n", "BCP053"),
    ],
)
def test_what_a_loaded_file_holds(tmp_path: Path, source: str, code: str) -> None:
    content = json.dumps({"name": "x", "list": [{"a": 1}], "half": 0.5, "none": None})
    (found,) = refused(tmp_path, source, v__json=content)
    assert found.code == code


def test_a_path_may_be_put_together_of_texts_that_the_file_holds(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        var folder = 'parts'
        var names = { script: 'run' }
        output o string = loadTextContent('${folder}/${names.script}.sh')
        """,
        **{"parts/run__sh": "echo"},
    )
    assert at(found, "variables/$fxv#0") == "echo\n" or at(found, "variables/$fxv#0") == "echo"


@pytest.mark.parametrize(
    "document",
    [
        {"$schema": "foo"},
        {"$schema": "https://x/deploymentTemplate.json#"},
        {"$schema": "https://x/deploymentTemplate.json#", "resources": [], "parameters": []},
        {"$schema": "https://x/deploymentTemplate.json#", "resources": [], "functions": {"a": 1}},
        {"$schema": "https://x/deploymentTemplate.json#", "resources": [], "metadata": 1},
        {"$schema": 1, "resources": []},
        [],
        {**EMPTY, "parameters": {"a": {"$ref": ["#/definitions/b"]}}},
        {**EMPTY, "parameters": {"a": {"type": "object", "properties": {"b": "string"}}}},
        {**EMPTY, "outputs": {"a": {"type": "object", "properties": "none"}}},
        {**EMPTY, "definitions": {"a": ["b"]}},
        {**EMPTY, "parameters": {"a": {"type": "string", "allowedValues": [["b"]]}}},
        {**EMPTY, "functions": [{"namespace": "a", "members": {"b": {"output": 1}}}]},
        {**EMPTY, "variables": {"copy": [{"name": ["a"]}]}},
        {**EMPTY, "outputs": {"a": {"$ref": "#/definitions/none"}}},
        {**EMPTY, "metadata": {"__bicep_exported_variables!": [{"name": "none"}]}},
    ],
)
def test_a_json_file_that_is_no_template(tmp_path: Path, document: object) -> None:
    (found,) = refused(
        tmp_path, "module m 'm.json' = { name: 'm' }\n", m__json=json.dumps(document)
    )
    assert (found.code, found.line, found.column) == ("BCP188", 1, 10)


def test_a_template_with_comments_and_a_last_comma(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        "module m 'm.json' = { name: 'm', params: { x: 'a' } }\n",
        m__json="""
        {
          // of a template, "quoted" or not
          "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
          "contentVersion": "1.0.0.0",
          "parameters": {"x": {"type": "string"},},
          "resources": [ /* none */ ],
        }
        """,
    )
    assert at(found, "resources/0/properties/template/parameters/x/type") == "string"


def test_a_parameter_that_is_left_to_the_template_has_no_value_yet(tmp_path: Path) -> None:
    files = {
        "p.bicepparam": "using 'm.bicep'\nparam x = null\nparam y = '${x}!'\n",
        "m.bicep": "param x string = newGuid()\nparam y string\n",
    }
    with pytest.raises(BicepError) as caught:
        compile_params(write(tmp_path, files))
    (found,) = caught.value.diagnostics
    assert (found.code, found.line) == ("BCP338", 3)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "BCP050"),
        ("/m.bicep", "BCP051"),
        ("C:/m.bicep", "BCP051"),
        ("a\\\\m.bicep", "BCP098"),
        ("a*m.bicep", "BCP085"),
        ("a\\u{0}m.bicep", "BCP111"),
        ("m.bicep.", "BCP086"),
    ],
)
def test_paths_that_do_not_work_everywhere(tmp_path: Path, path: str, code: str) -> None:
    for source in (
        f"module m '{path}' = {{ name: 'm' }}\n",
        f"output o string = loadTextContent('{path}')\n",
    ):
        (found,) = refused(tmp_path, source)
        assert found.code == code


def test_items_of_a_long_list_in_a_file_are_not_compared_one_by_one() -> None:
    """A kind for each of thousands, at each place where one is read, took seconds."""
    short, long = (kinds.of_value([{"n": i} for i in range(count)]) for count in (3, 5000))
    assert short.item is not None
    assert [one.name for one in short.item().members] == ["object"] * 3
    assert long.item is None


def test_a_vaults_secret_is_a_string_of_a_vault(tmp_path: Path) -> None:
    module = "@secure()\nparam text string = ''\n@secure()\nparam thing object = {}\n"
    source = """
    resource kv 'Microsoft.KeyVault/vaults@2022-07-01' existing = { name: 'kv' }
    resource st 'Microsoft.Storage/storageAccounts@2022-09-01' existing = { name: 'st' }
    module m 'm.bicep' = { params: {
      text: st.getSecret('a')
      thing: kv.getSecret('a')
    } }
    """
    found = refused(tmp_path, source, m__bicep=module)
    assert [(one.code, one.line) for one in found] == [("BCP109", 4), ("BCP036", 5)]


def test_a_template_that_refers_to_nothing_is_none(tmp_path: Path) -> None:
    text = """{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "resources": {}, "definitions": {"t": {"$ref": "#/definitions/none", "metadata": {"__bicep_export!": true}}}}"""
    (found,) = refused(tmp_path, "import { t } from 'm.json'\nparam p t\n", m__json=text)
    assert (found.code, found.line) == ("BCP188", 1)
    assert "#/definitions/none" in found.message


TESTED = "param env 'dev' | 'prod'\nparam size int = 1\n"


def test_tests_are_checked_and_not_written(tmp_path: Path) -> None:
    enabled = '{"experimentalFeaturesEnabled": {"testFramework": true}}'
    good = "test one 'm.bicep' = {\n  params: { env: 'dev', size: 2 }\n}\ntest two 'e.bicep' = {}\n"
    found = template(tmp_path, good, bicepconfig__json=enabled, m__bicep=TESTED, e__bicep="")
    assert found["resources"] == []
    wrong = (
        "test one 'm.bicep' = { params: { env: 'x', siz: 2 }, name: 'a' }\n"
        "test two 'm.bicep' = { params: {} }\n"
        "test three 'n.bicep' = {}\n"
        "output o object = one\n"
    )
    said = refused(tmp_path, wrong, bicepconfig__json=enabled, m__bicep=TESTED)
    assert [(one.code, one.line, one.column) for one in said] == [
        ("BCP036", 1, 39),
        ("BCP037", 1, 44),
        ("BCP037", 1, 54),
        ("BCP035", 2, 32),
        ("BCP091", 3, 12),
        ("BCP063", 4, 19),
    ]


def test_a_wildcard_for_a_template_that_exports_a_name_twice(tmp_path: Path) -> None:
    document = {
        **EMPTY,
        "definitions": {"a": {"type": "string", "metadata": {"__bicep_export!": True}}},
        "metadata": {"__bicep_exported_variables!": [{"name": "a"}]},
        "variables": {"a": 1},
    }
    (found,) = refused(tmp_path, "import * as m from 'm.json'\n", m__json=json.dumps(document))
    assert (found.code, found.line) == ("BCP374", 1)


def test_tests_are_experimental(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, "test one 'none.bicep' = {}\n")
    assert (found.code, found.line, found.column) == ("BCP348", 1, 1)
