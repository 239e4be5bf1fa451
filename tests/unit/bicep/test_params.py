"""`.bicepparam` files: values, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_params, using_of
from tests.unit.bicep.compiling import Json, write

MAIN = """
param name string
param count int = 1
param tags object = {}
@secure()
param password string = ''
"""


def values(folder: Path, text: str, **others: str) -> dict[str, Json]:
    files = {"dev.bicepparam": "using 'main.bicep'\n" + text, "main.bicep": MAIN}
    files.update({name.replace("__", "."): other for name, other in others.items()})
    return compile_params(write(folder, files)).values


def test_values_are_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "there")
    found = values(
        tmp_path,
        """
var base = { region: 'west', numbers: doubled }
var doubled = [for i in range(1, 3): i * 2]
param name = toUpper('${base.region}-${readEnvironmentVariable('PLACE')}')
param count = reduce(base.numbers, 0, (sum, n) => sum + n)
param tags = {
  ...shared.tags
  twice: shared.twice('ab')
  none: readEnvironmentVariable('NOT_THERE', 'default')
  last: base.numbers[^1]
  file: loadTextContent('note.txt')
}
param password = az.getSecret('sub', 'group', 'vault', 'pw', 'v1')
import * as shared from 'shared.bicep'
""",
        shared__bicep="""
@export()
var tags = { owner: hidden }
var hidden = 'us'
@export()
func twice(s string) string => '${s}${s}'
""",
        note__txt="a note",
    )
    assert found == {
        "name": {"value": "WEST-THERE"},
        "count": {"value": 12},
        "tags": {
            "value": {
                "owner": "us",
                "twice": "abab",
                "none": "default",
                "last": 6,
                "file": "a note",
            }
        },
        "password": {
            "reference": {
                "keyVault": {
                    "id": "/subscriptions/sub/resourceGroups/group"
                    "/providers/Microsoft.KeyVault/vaults/vault"
                },
                "secretName": "pw",
                "secretVersion": "v1",
            }
        },
    }


def test_one_file_extends_another(tmp_path: Path) -> None:
    found = values(
        tmp_path,
        "extends 'base.bicepparam'\nparam count = base.count + 1\nparam tags = { ...base.tags, a: 1 }\n",
        base__bicepparam="using none\nparam name = 'n'\nparam count = 4\nparam tags = { b: 2 }\n",
    )
    assert found == {
        "name": {"value": "n"},
        "count": {"value": 5},
        "tags": {"value": {"b": 2, "a": 1}},
    }


def test_the_document_and_what_it_is_for(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"dev.bicepparam": "using 'main.bicep'\nparam name = 'x'\n", "main.bicep": MAIN},
    )
    found = compile_params(path)
    assert found.using == tmp_path / "main.bicep"
    assert found.template is not None
    assert set(found.template["parameters"]) == {"name", "count", "tags", "password"}
    assert found.document["$schema"].endswith("2019-04-01/deploymentParameters.json#")
    assert found.document["parameters"] == {"name": {"value": "x"}}
    assert using_of(path) == tmp_path / "main.bicep"
    path.write_text("using none\nparam anything = 1\n")
    assert compile_params(path).template is None


# The identifiers are those that Azure itself computes from these texts.
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("guid('asdf')", "228d27cc-6fdb-5934-b7ac-1efccebade04"),
        ("guid('foo', 'bar', 'baz')", "2ed86837-7c7c-5eaa-9864-dd077fd19b0d"),
        ("uniqueString('snap', 'crackle', 'pop')", "byghxckddilkc"),
        ("dataUri(' Fizz ')", "data:text/plain;charset=utf-8;base64,IEZpenog"),
        ("join(['abc', 123, true], '/')", "abc/123/True"),
        ("uri('https://github.com/another/repo', '/Azure/bicep')", "https://github.com/Azure/bicep"),
        ("padLeft(7, 3, '0')", "007"),
        ("join(['a', 'b'], '-')", "a-b"),
        ("format('{0:D3}|{1,5}', 7, 'x')", "007|    x"),
        ("format('{0}{1}', { a: 'b', '!c': 2 }, [true, 2893, 'abc'])", "{'a':'b','!c':2}[true,2893,'abc']"),
        ("uriComponent('a b/ü')", "a%20b%2F%C3%BC"),
        ("base64ToString(base64('ü'))", "ü"),
        ("cidrSubnet('10.0.0.0/16', 24, 5)", "10.0.5.0/24"),
        ("cidrHost('10.0.1.0/24', 3)", "10.0.1.4"),
        ("dateTimeAdd('2024-01-31T00:00:00Z', 'P1M')", "2024-02-29T00:00:00Z"),
        ("dateTimeAdd('20240131T000000Z', '-P1D')", "20240130T000000Z"),
        ("dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')", "4/7/2023 2:53:14 PM"),
        ("items({ b: 1, a: 2 })[0].key", "a"),
        ("string([1, 'a'])", '[1,"a"]'),
        ("sort(['b', 'c', 'a'], (x, y) => x < y)[0]", "a"),
        ("toObject(['k'], x => x, x => '${x}!').k", "k!"),
        ("map(['a', 'b'], (x, i) => '${x}${i}')[1]", "b1"),
        ("{ a: { b: 'c' } }.?x.?y ?? 'none'", "none"),
        ("substring('hello', 1, 3)", "ell"),
        ("split('a,b;c', [',', ';'])[2]", "c"),
        ("first(skip(['a', 'b'], 1))", "b"),
    ],
)  # fmt: skip
def test_function(tmp_path: Path, expression: str, expected: str) -> None:
    assert values(tmp_path, f"param name = {expression}\n")["name"] == {"value": expected}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "BCP258"),
        ("param name = 'x'\nparam nmae = 'y'\n", "BCP259"),
        ("param name = 1\n", "BCP033"),
        ("param name = resourceGroup().name\n", "BCP338"),
        ("param name = readEnvironmentVariable('NOT_THERE')\n", "BCP427"),
        ("var k = 'x'\nparam name = externalInput(k)\n", "BCP032"),
        ("param name = fail('no')\n", "BCP338"),
        ("param name = name\n", "BCP079"),
        ("resource a 'x' = {}\nparam name = 'x'\n", "BCP007"),
        ("using 'main.bicep'\nparam name = 'x'\n", "BCP262"),
        ("@description('x')\nparam name = 'x'\n", "BCP130"),
    ],
)
def test_refusal(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(BicepError) as caught:
        values(tmp_path, text)
    assert caught.value.diagnostics[0].code == code


def test_a_division_by_zero_is_said_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(BicepError) as caught:
        values(tmp_path, "param name = 'x'\nparam count = 1 / 0\n")
    (found,) = caught.value.diagnostics
    assert (found.line, found.column) == (3, 15)


def test_a_file_without_using(tmp_path: Path) -> None:
    path = write(tmp_path, {"dev.bicepparam": "param name = 'x'\n"})
    with pytest.raises(BicepError, match="begins with: using"):
        compile_params(path)


def test_base_is_the_extended_file_and_there_is_one(tmp_path: Path) -> None:
    text = (
        "extends 'shared.bicepparam'\nextends 'shared.bicepparam'\nvar base = 1\nparam name = 'x'\n"
    )
    with pytest.raises(BicepError) as caught:
        values(tmp_path, text, shared__bicepparam="using none\nparam count = 2\n")
    found = [(one.code, one.line) for one in caught.value.diagnostics]
    assert found == [("BCP405", 3), ("BCP438", 4)]


@pytest.mark.parametrize(
    ("value", "code"),
    [("s = 'abcd'", "BCP332"), ("n = 5 + 6", "BCP327"), ("o = { a: 'abcd' }", "BCP332")],
)
def test_bounds_of_the_templates_parameters(tmp_path: Path, value: str, code: str) -> None:
    main = (
        "@maxLength(3)\nparam s string = ''\n@maxValue(10)\nparam n int = 1\n"
        "param o { @maxLength(3)\n a: string } = { a: '' }\n"
    )
    files = {"p.bicepparam": f"using 'm.bicep'\nparam {value}\n", "m.bicep": main}
    with pytest.raises(BicepError) as caught:
        compile_params(write(tmp_path, files))
    assert [one.code for one in caught.value.diagnostics] == [code]


def test_functions_of_deploy_commands_are_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, {"p.bicepparam": "using none\nparam a = readCliArg('a')\n"})
    with pytest.raises(BicepError, match='experimental feature "deployCommands"'):
        compile_params(path)
