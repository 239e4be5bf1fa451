"""Modules, and what is imported while compiling."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.bicep import compile_file
from tests.unit.bicep.compiling import at, refused, template, write

MODULE = """
param name string
param tags object = {}
param more string?
output id string = name
output upper string = toUpper(name)
"""
DEPLOYMENTS = "Microsoft.Resources/deployments"


def test_a_module_is_a_nested_deployment(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        module one 'mod.bicep' = {
          name: 'the-one'
          params: { name: 'a' }
        }
        output o string = one.outputs.id
        output n string = one.name
        """,
        mod__bicep=MODULE.replace("param more string?\n", ""),
    )
    (one,) = found["resources"]
    assert one["type"] == DEPLOYMENTS
    assert one["apiVersion"] == "2025-04-01"
    assert one["name"] == "the-one"
    assert one["properties"]["mode"] == "Incremental"
    assert one["properties"]["expressionEvaluationOptions"] == {"scope": "inner"}
    assert one["properties"]["parameters"] == {"name": {"value": "a"}}
    assert at(one, "properties/template/parameters/name/type") == "string"
    assert at(found, "outputs/o/value") == (
        f"[reference(resourceId('{DEPLOYMENTS}', 'the-one'), '2025-04-01').outputs.id.value]"
    )
    assert at(found, "outputs/n/value") == "the-one"


def test_a_module_without_a_name_gets_one(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        module one 'mod.bicep' = { params: { name: 'a' } }
        module many 'mod.bicep' = [for i in range(0, 2): { params: { name: 'a${i}' } }]
        output o string = many[1].outputs.id
        output all array = map(many, m => m.outputs.id)
        """,
        mod__bicep=MODULE,
    )
    assert found["languageVersion"] == "2.0"
    assert at(found, "resources/one/name") == (
        "[format('one-{0}', uniqueString('one', deployment().name))]"
    )
    assert at(found, "resources/many/name") == (
        "[format('many-{0}-{1}', copyIndex(), uniqueString('many', deployment().name))]"
    )
    assert at(found, "outputs/o/value") == "[reference(format('many[{0}]', 1)).outputs.id.value]"
    assert at(found, "outputs/all/value") == (
        "[map(references('many'), lambda('m', lambdaVariables('m').outputs.id.value))]"
    )


def test_scopes_of_modules(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        targetScope = 'subscription'
        resource group 'Microsoft.Resources/resourceGroups@2023-07-01' = {
          name: 'g'
          location: 'westeurope'
        }
        module inside 'group.bicep' = {
          name: 'inside'
          scope: group
        }
        module there 'group.bicep' = {
          name: 'there'
          scope: resourceGroup('sub', 'other')
        }
        module here 'subscription.bicep' = { name: 'here' }
        output o string = inside.name
        """,
        group__bicep="output o string = 'x'\n",
        subscription__bicep="targetScope = 'subscription'\n",
    )
    _, inside, there, here = found["resources"]
    assert inside["resourceGroup"] == "g"
    assert "location" not in inside
    assert inside["dependsOn"] == [
        "[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'g')]"
    ]
    assert (there["subscriptionId"], there["resourceGroup"]) == ("sub", "other")
    assert here["location"] == "[deployment().location]"


def test_secrets_from_a_key_vault(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        param useVault bool
        resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = { name: 'v' }
        module one 'mod.bicep' = {
          name: 'one'
          params: {
            password: vault.getSecret('pw', 'v1')
            other: useVault ? vault.getSecret('pw') : 'none'
          }
        }
        """,
        mod__bicep="@secure()\nparam password string\n@secure()\nparam other string\n",
    )
    vault = "resourceId('Microsoft.KeyVault/vaults', 'v')"
    assert at(found, "resources/0/properties/parameters") == {
        "password": {
            "reference": {
                "keyVault": {"id": f"[{vault}]"},
                "secretName": "pw",
                "secretVersion": "v1",
            }
        },
        "other": f"[if(parameters('useVault'), createObject('reference', createObject('keyVault', "
        f"createObject('id', {vault}), 'secretName', 'pw')), createObject('value', 'none'))]",
    }


def test_secure_outputs_are_listed(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        module one 'mod.bicep' = { name: 'one' }
        module two 'mod2.bicep' = {
          name: 'two'
          params: { a: one.outputs.secret, b: one.outputs.plain }
        }
        """,
        mod__bicep="@secure()\noutput secret string = 's'\noutput plain string = 'p'\n",
        mod2__bicep="@secure()\nparam a string\nparam b string\n",
    )
    assert found["languageVersion"] == "2.0"
    assert at(found, "resources/two/properties/parameters") == {
        "a": {"value": "[listOutputsWithSecureValues('one', '2025-04-01').secret]"},
        "b": {"value": "[reference('one').outputs.plain.value]"},
    }
    assert at(found, "resources/one/properties/template/outputs/secret/type") == "securestring"
    assert at(found, "resources/two/dependsOn") == ["one"]


def test_loops_of_a_modules_parameters(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        param names array
        module one 'mod.bicep' = {
          name: 'one'
          params: { list: [for (name, i) in names: { n: name, i: i }] }
        }
        """,
        mod__bicep="param list array\n",
    )
    assert at(found, "resources/0/properties/parameters/list") == {
        "copy": [
            {
                "name": "value",
                "count": "[length(parameters('names'))]",
                "input": "[createObject('n', parameters('names')[copyIndex('value')], "
                "'i', copyIndex('value'))]",
            }
        ]
    }


def test_imports_by_name_and_all(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        import { size as Size, twice, prefix } from 'shared.bicep'
        import * as shared from 'shared.bicep'
        param p Size
        param q shared.box?
        output o string = twice(prefix)
        output r string = shared.twice(shared.names[0])
        """,
        shared__bicep="""
        @export()
        type size = 'S' | 'L'
        type inner = { size: size }
        @export()
        type box = { inner: inner, *: string }
        @export()
        var prefix = 'p-${hidden}'
        var hidden = 'h'
        @export()
        var names = [for i in range(0, 2): '${prefix}${i}']
        @export()
        func twice(s string) string => join([s, s], dash())
        func dash() string => '-'
        """,
    )
    origin = {"sourceTemplate": "shared.bicep"}
    assert found["definitions"] == {
        "Size": {
            "type": "string",
            "allowedValues": ["L", "S"],
            "metadata": {
                "__bicep_imported_from!": {**origin, "originalIdentifier": "size"},
            },
        },
        "_1.box": {
            "type": "object",
            "properties": {"inner": {"$ref": "#/definitions/_1.inner"}},
            "additionalProperties": {"type": "string"},
            "metadata": {"__bicep_imported_from!": origin},
        },
        "_1.inner": {
            "type": "object",
            "properties": {"size": {"$ref": "#/definitions/Size"}},
            "metadata": {"__bicep_imported_from!": origin},
        },
    }
    assert found["parameters"] == {
        "p": {"$ref": "#/definitions/Size"},
        "q": {"$ref": "#/definitions/_1.box", "nullable": True},
    }
    assert found["variables"] == {
        "copy": [
            {
                "name": "_1.names",
                "count": "[length(range(0, 2))]",
                "input": "[format('{0}{1}', variables('prefix'), "
                "range(0, 2)[copyIndex('_1.names')])]",
            }
        ],
        "prefix": "[format('p-{0}', variables('_1.hidden'))]",
        "_1.hidden": "h",
    }
    spaces = {space["namespace"]: space["members"] for space in found["functions"]}
    assert at(spaces, "__bicep/twice/output/value") == (
        "[join(createArray(parameters('s'), parameters('s')), _1.dash())]"
    )
    assert list(spaces["_1"]) == ["dash"]
    assert at(found, "outputs/r/value") == "[__bicep.twice(variables('_1.names')[0])]"


def test_compiled_templates_are_modules_and_export(tmp_path: Path) -> None:
    compiled = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "metadata": {"__bicep_exported_variables!": [{"name": "list"}]},
        "definitions": {
            "kind": {
                "type": "string",
                "allowedValues": ["a", "b"],
                "metadata": {"__bicep_export!": True, "description": "a kind"},
            }
        },
        "parameters": {"kind": {"$ref": "#/definitions/kind"}},
        "variables": {
            "base": "x",
            "copy": [
                {
                    "name": "list",
                    "count": 2,
                    "input": "[format('{0}{1}', variables('base'), copyIndex('list'))]",
                }
            ],
        },
        "resources": [],
        "outputs": {"o": {"type": "string", "value": "[parameters('kind')]"}},
    }
    found = template(
        tmp_path,
        """
        import { kind, list } from 'other.json'
        param k kind = 'a'
        module one 'other.json' = { name: 'one', params: { kind: k } }
        output o string = '${list[0]}${one.outputs.o}'
        """,
        other__json=json.dumps(compiled),
    )
    assert at(found, "resources/one/properties/template") == compiled
    assert found["definitions"]["kind"] == {
        "type": "string",
        "allowedValues": ["a", "b"],
        "metadata": {
            "description": "a kind",
            "__bicep_imported_from!": {"sourceTemplate": "other.json"},
        },
    }
    assert found["variables"]["copy"] == [
        {
            "name": "list",
            "count": "[length(range(0, 2))]",
            "input": "[format('{0}{1}', variables('_1.base'), copyIndex('list'))]",
        }
    ]
    wrong = refused(
        tmp_path,
        "module one 'other.json' = { name: 'one', params: { kind: 'c' } }\n",
        other__json=json.dumps(compiled),
    )
    assert [found.code for found in wrong] == ["BCP036"]


def test_a_scope_that_a_variable_names(tmp_path: Path) -> None:
    source = """
    var there = resourceGroup('x')
    module a 'mod.bicep' = { name: 'a', scope: there }
    module b 'mod.bicep' = { name: 'b', scope: false ? resourceGroup() : resourceGroup('y') }
    """
    main = write(tmp_path, {"main.bicep": source, "mod.bicep": "output o string = 'x'\n"})
    a, b = compile_file(main).template["resources"]
    assert a["resourceGroup"] == "x"
    assert b["resourceGroup"] == "y"


def test_a_scope_that_a_condition_chooses_is_refused(tmp_path: Path) -> None:
    """The kind and the name of a scope stand in the template, which no condition can change."""
    source = """
    param other string
    var either = empty(other) ? resourceGroup() : resourceGroup(other)
    module a 'mod.bicep' = { name: 'a', scope: either }
    resource s 'Microsoft.Rp/things@2020-01-01' existing = {
      name: 's'
      scope: empty(other) ? resourceGroup('x') : resourceGroup(other)
    }
    """
    (tmp_path / "mod.bicep").write_text("output o string = 'x'\n")
    found = refused(tmp_path, source)
    assert [one.code for one in found] == ["BCP420", "BCP420"]
    assert "before the deployment" in found[0].message


def test_a_function_uses_the_files_variables_and_what_is_known_early(tmp_path: Path) -> None:
    source = """
    import { f } from 'lib.bicep'
    var sizes = { a: 1 }
    resource s 'Microsoft.Rp/things@2020-01-01' existing = { name: 's' }
    func size(key string) int => sizes[key]
    func id() string => s.id
    output o string = f('x')
    """
    lib = "var prefix = 'p'\n@export()\nfunc f(a string) string => '${prefix}-${a}'\n"
    found = template(tmp_path, source, lib__bicep=lib)
    members = found["functions"][0]["members"]
    assert members["size"]["output"]["value"] == "[variables('sizes')[parameters('key')]]"
    assert members["id"]["output"]["value"] == "[resourceId('Microsoft.Rp/things', 's')]"
    assert members["f"]["output"]["value"] == (
        "[format('{0}-{1}', variables('_1.prefix'), parameters('a'))]"
    )
    assert found["variables"]["_1.prefix"] == "p"


def test_what_is_waited_for_may_be_chosen(tmp_path: Path) -> None:
    source = """
    param on bool
    resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a' }
    resource b 'Microsoft.Rp/things@2020-01-01' = { name: 'b', dependsOn: [ on ? a : null ] }
    """
    b = template(tmp_path, source)["resources"][1]
    assert b["dependsOn"] == ["[resourceId('Microsoft.Rp/things', 'a')]"]


def test_a_scope_may_stand_in_what_is_waited_for(tmp_path: Path) -> None:
    """The real compiler takes it, and waits for nothing: the scope is there."""
    source = """
    resource a 'Microsoft.Rp/things@2020-01-01' = {
      name: 'a'
      dependsOn: [ resourceGroup(), subscription() ]
    }
    module b 'mod.bicep' = { name: 'b', dependsOn: [ resourceGroup('x'), a ] }
    """
    a, b = template(tmp_path, source, mod__bicep="output o string = 'x'\n")["resources"]
    assert "dependsOn" not in a
    assert b["dependsOn"] == ["[resourceId('Microsoft.Rp/things', 'a')]"]


def test_symbolic_names_are_written_where_the_configuration_asks(tmp_path: Path) -> None:
    source = "resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a' }\n"
    asked = '{"experimentalFeaturesEnabled": {"symbolicNameCodegen": true}}'
    found = template(tmp_path, source, bicepconfig__json=asked)
    assert found["languageVersion"] == "2.0"
    assert list(found["resources"]) == ["a"]
