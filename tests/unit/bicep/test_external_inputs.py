"""`externalInput`: parameters whose values whoever deploys gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_params
from tests.unit.bicep.compiling import Json, write


def document(folder: Path, text: str, **others: str) -> Json:
    files = {"dev.bicepparam": "using none\n" + text}
    files.update({name.replace("__", "."): other for name, other in others.items()})
    return compile_params(write(folder, files)).document


def test_a_parameter_becomes_an_expression_and_its_input_is_described(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        """
        param foo = externalInput('my.param.provider')
        param bar = externalInput('my.param.provider', { key: 'value', key2: 42 })
        param again = externalInput('my.param.provider')
        param plain = 'x'
        """,
    )
    assert found["parameters"] == {
        "foo": {"expression": "[externalInputs('my_param_provider_0')]"},
        "bar": {"expression": "[externalInputs('my_param_provider_1')]"},
        "again": {"expression": "[externalInputs('my_param_provider_0')]"},
        "plain": {"value": "x"},
    }
    assert found["externalInputDefinitions"] == {
        "my_param_provider_0": {"kind": "my.param.provider"},
        "my_param_provider_1": {
            "kind": "my.param.provider",
            "config": {"key": "value", "key2": 42},
        },
    }


def test_names_of_the_file_are_written_as_what_they_stand_for(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        """
        import { greeting } from 'lib.bicep'
        var foo = externalInput('sys.cli', 'foo')
        var count = 2
        var text = '${foo}-${externalInput('sys.cli', 'more')}-${count + 1}'
        param a = text
        param b = a
        param c = { inner: [foo], said: greeting() }
        """,
        lib__bicep="@export()\nfunc greeting() string => 'Hello'\n",
    )
    said = "[format('{0}-{1}-{2}', externalInputs('sys_cli_0'), externalInputs('sys_cli_1'), add(2, 1))]"
    assert found["parameters"] == {
        "a": {"expression": said},
        "b": {"expression": said},
        "c": {
            "expression": "[createObject('inner', createArray(externalInputs('sys_cli_0')), "
            "'said', 'Hello')]"
        },
    }


def test_a_secret_whose_vault_is_an_input(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        "param a = az.getSecret('sub', externalInput('group'), 'vault', externalInput('name'))\n",
    )
    assert found["parameters"]["a"] == {
        "reference": {
            "keyVault": {
                "id": "[resourceId('sub', externalInputs('group_0'), 'Microsoft.KeyVault', "
                "'vaults', 'vault')]"
            },
            "secretName": "[externalInputs('name_1')]",
        }
    }


def test_what_an_extended_file_asks_for(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        """
        extends 'shared.bicepparam'
        param b = { ...base.outer, more: 'x' }
        param c = base['plain'].value
        """,
        shared__bicepparam="using none\nparam outer = externalInput('foo', 'bar')\nparam plain = { value: 1 }\n",
    )
    assert found["parameters"]["b"] == {
        "expression": "[shallowMerge(createArray(externalInputs('foo_0'), "
        "createObject('more', 'x')))]"
    }
    assert found["parameters"]["c"] == {"value": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("var k = 2 + 3\nparam a = externalInput('sys.cli', k)\n", "BCP032"),
        ("param a = externalInput()\n", "BCP071"),
        ("func f(x string) string => x\nparam a = f(externalInput('k'))\n", "BCP338"),
        ("param a = [for i in range(0, 2): externalInput('k')]\n", "BCP338"),
    ],
)
def test_inputs_that_are_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(BicepError) as caught:
        document(tmp_path, text)
    assert caught.value.diagnostics[0].code == code


LATE = "@export()\nvar place = resourceGroup().location\n@export()\nvar fixed = toLower('A')\n"


@pytest.mark.parametrize(
    ("text", "lib", "column"),
    [
        ("import { place } from 'lib.bicep'\n", LATE, 10),
        ("import * as lib from 'lib.bicep'\nparam a = lib.fixed\n", LATE, 1),
        (
            "import { there } from 'lib.bicep'\n",
            "func inner() string => deployment().name\n@export()\nfunc there() string => inner()\n",
            10,
        ),
        (
            "import { id } from 'lib.bicep'\n",
            "@export()\nvar id = resourceId('Microsoft.Rp/things', 'a')\n",
            10,
        ),
    ],
)
def test_imports_that_need_a_deployment(tmp_path: Path, text: str, lib: str, column: int) -> None:
    with pytest.raises(BicepError) as caught:
        document(tmp_path, text, lib__bicep=lib)
    (found,) = caught.value.diagnostics
    assert (found.code, found.line, found.column) == ("BCP452", 2, column)


def test_ids_that_say_everything_need_no_deployment(tmp_path: Path) -> None:
    found = document(
        tmp_path,
        """
        import { id, subnet } from 'lib.bicep'
        param a = id
        param b = subnet
        """,
        lib__bicep="""
        @export()
        var id = resourceId('sub', 'group', 'Microsoft.Rp/things/parts', 'a', 'b')
        @export()
        var subnet = tenantResourceId('Microsoft.Rp/things', 'a')
        """,
    )
    assert found["parameters"] == {
        "a": {
            "value": "/subscriptions/sub/resourceGroups/group/providers/Microsoft.Rp/things/a/parts/b"
        },
        "b": {"value": "/providers/Microsoft.Rp/things/a"},
    }
