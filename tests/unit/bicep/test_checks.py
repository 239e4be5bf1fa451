"""What the real compiler refuses without knowing any resource type, each alone in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.bicep.compiling import refused, template

CASES = [
    ("var x = any(true)[true]\n", "BCP049", 1, 19),
    ("var a = nameof('abc')\n", "BCP408", 1, 16),
    ("var a = nameof(1 + 2)\n", "BCP408", 1, 16),
    ("var filter5 = filter(range(0, 10), i => i)\n", "BCP070", 1, 41),
    ("var sort6 = sort(range(0, 10), (i, j) => i)\n", "BCP070", 1, 42),
    ("var toObject5 = toObject(range(0, 10), i => i)\n", "BCP070", 1, 45),
    ("metadata test = testSymbol\nvar testSymbol = 'x'\n", "BCP032", 1, 17),
    ("#disable-next-line\nvar x = 1\n", "BCP226", 1, 1),
    ("/* c */#disable-next-line no-unused-params\nparam x string\n", "BCP001", 1, 8),
    ("var x = 'foo' #disable-next-line no-unused-params\n", "BCP001", 1, 15),
    ("@minValue(50)\noutput o int = 32\n", "BCP328", 2, 16),
    ("@maxValue(10)\noutput o int = 32\n", "BCP327", 2, 16),
    ("@metadata({ description: true })\nparam p object\n", "BCP036", 1, 26),
    ("@maxLength(2 + 3)\nparam p string\n", "BCP032", 1, 12),
    ("@metadata({ a: !true })\nparam p object\n", "BCP032", 1, 16),
    (
        "type a = resourceInput<'Microsoft.Storage/storageAccounts@hello'>.properties\n",
        "BCP029",
        1,
        24,
    ),
    (
        "type a = resourceInput<'notA:Microsoft.Storage/storageAccounts@2022-09-01'>.properties\n",
        "BCP208",
        1,
        24,
    ),
    (
        "type a = resourceInput<':Microsoft.Storage/storageAccounts@2022-09-01'>.properties\n",
        "BCP029",
        1,
        24,
    ),
    ("type a = resourceInput<'Microsoft.Storage/storageAccounts@2022-09-01'>\n", "BCP394", 1, 10),
    (
        "@sealed()\ntype a = resourceInput<'Microsoft.Storage/storageAccounts@2022-09-01'>.properties\n",
        "BCP386",
        1,
        1,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02-alpha' = {\n  name: 'x'\n  dependsOn: any(1)\n}\n",
        "BCP176",
        3,
        14,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02-alpha' = {\n  name: 'x'\n}\nvar b = a.dependsOn\n",
        "BCP077",
        4,
        11,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'x'\n  dependsOn: [\n    any('s')\n  ]\n}\n",
        "BCP176",
        4,
        5,
    ),
    (
        "resource t 'Microsoft.Management/managementGroups@2020-05-01' = {\n  name: 'x'\n}\n",
        "BCP135",
        1,
        10,
    ),
    (
        "resource t 'Microsoft.Resources/resourceGroups@2020-05-01' = {\n  name: 'x'\n  location: 'y'\n}\n",
        "BCP135",
        1,
        10,
    ),
    (
        "resource p1 'Microsoft.Rp1/resource1@2020-06-01' existing = {\n  scope: subscription()\n  name: 'res1'\n}\nresource c 'Microsoft.Rp1/resource1/child1@2020-06-01' = {\n  parent: p1\n  name: 'c'\n}\n",
        "BCP165",
        5,
        10,
    ),
    ("@sealed()\ntype a = {\n  x: string\n  *: int\n}\n", "BCP316", 1, 1),
    ("type taut = taut[]\n", "BCP298", 1, 13),
    ("@allowed(['a'])\ntype t = string\n", "BCP297", 1, 1),
    ("type o = {\n  p: string\n}\n@discriminator('type')\ntype u = o\n", "BCP363", 4, 1),
    (
        "type typeA = {\n  type: 'a'\n}\ntype typeG = {\n  type: 'b'?\n}\n@discriminator('type')\ntype u = typeA | typeG\n",
        "BCP364",
        8,
        18,
    ),
    ("type typeA = {\n  type: 'a'\n}\n@discriminator('type')\ntype u = typeA\n", "BCP363", 4, 1),
    (
        "type typeA = {\n  type: 'a'\n}\n@discriminator('type')\ntype u = typeA | { type: 'A', value: string }\n",
        "BCP365",
        5,
        18,
    ),
    ("var a = ['foo', 'bar'][-1]\n", "BCP311", 1, 24),
    ("var a = environment().authentication.asdgdsag\n", "BCP053", 1, 38),
    ("var a = environment().suffixes.asdgdsag\n", "BCP053", 1, 32),
    ("resource a 'Microsoft.Foo/foos@latest' = {\n  name: 'x'\n}\n", "BCP029", 1, 12),
    ("targetScope = 'subscription'\nvar a = resourceGroup().location\n", "BCP265", 2, 9),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'a'\n  dependsOn: [ b ]\n}\nvar b = 1\n",
        "BCP034",
        3,
        16,
    ),
    ("param p string\n@export()\nvar v = p\n", "BCP372", 2, 1),
    ("@minLength(5)\nparam p string = 'abc'\n", "BCP333", 2, 18),
    ("@maxValue(5)\nparam p int = 7\n", "BCP327", 2, 15),
    (
        "resource kv 'Microsoft.Storage/storageAccounts@2022-07-01' existing = { name: 'kv' }\noutput a string = kv.listKeys(1)\n",
        "BCP070",
        2,
        31,
    ),
    (
        "@retryOn([1])\nresource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'a'\n}\n",
        "BCP034",
        1,
        11,
    ),
    (
        "@retryOn(['X'], -1)\nresource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'a'\n}\n",
        "BCP070",
        1,
        17,
    ),
    ("var a = groupBy([1], x => x)\n", "BCP070", 1, 27),
    ("param p { *: int } = { a: 'x' }\n", "BCP036", 1, 27),
    ("@sealed()\nparam p { a: string } = { a: 'x', b: 1 }\n", "BCP037", 2, 35),
    ("var v = { a: 'x', b: 1 }\n@sealed()\noutput o { a: string } = v\n", "BCP033", 3, 26),
    ("type t = {\n  @sealed()\n  in: {}\n}\nparam p t = { in: { a: 1 } }\n", "BCP037", 5, 21),
    ("var u = buildUri({ scheme: 'https' })\n", "BCP035", 1, 18),
    ("var u = buildUri({ scheme: 'https', host: 'h', post: 1 })\n", "BCP037", 1, 48),
    ("var c = { scheme: 'https' }\nvar u = buildUri(c)\n", "BCP070", 2, 18),
    ("var h = parseUri('https://h').hots\n", "BCP083", 1, 31),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'a'\n  asserts: { b: true }\n}\n",
        "BCP349",
        3,
        3,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = [for i in range(0, 2): { name: 'a${i}' }]\n"
        "var all = map(a, x => x.properties.b)\n"
        "resource c 'Microsoft.Foo/foos@2020-02-02' = [for i in range(0, 2): {\n  name: 'c${i}'\n"
        "  properties: { b: all }\n}]\n",
        "BCP144",
        5,
        20,
    ),
    ("var a = 1 % 0\n", "BCP410", 1, 9),
    ("var true = 1\n", "BCP015", 1, 5),
    ("param null string\n", "BCP013", 1, 7),
    ("var a = { b: 1 }.null\n", "BCP020", 1, 18),
    ("var a = items({ a: 1 })[0].foo\n", "BCP053", 1, 28),
    ("var a = deployer().objectIds\n", "BCP083", 1, 20),
    ("var a = json('{\"a\": 1}').b\n", "BCP053", 1, 26),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n"
        "resource b 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'b'\n  dependsOn: a\n}\n",
        "BCP036",
        4,
        14,
    ),
    ("param p array\nvar a = p[-1]\n", "BCP339", 2, 11),
    (
        "resource a 'Microsoft.Authorization/policyDefinitions@2021-06-01' = {\n  name: 'a'\n}\n",
        "BCP135",
        1,
        10,
    ),
    (
        "targetScope = 'subscription'\n"
        "resource a 'Microsoft.Storage/storageAccounts@2023-01-01' = {\n  name: 'a'\n}\n",
        "BCP135",
        2,
        10,
    ),
    ("@allowed([p])\nparam p string\n", "BCP079", 1, 11),
    ("@allowed([-1, 2])\nparam p int = 1\n", "BCP033", 2, 15),
    ("@allowed([1, 2])\nparam p int = 3\n", "BCP033", 2, 15),
    ("@allowed(['a', 'b'])\nparam p array = ['a', 'c']\n", "BCP034", 2, 23),
    ("param c bool\nvar v = c ? true : []\nvar w = v[0]\n", "BCP076", 3, 11),
    (
        "var a = [{ id: 1, p: 'x' }, { id: 2, p: 'y' }]\nvar b = toObject(a, i => i.id)\n",
        "BCP070",
        2,
        26,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = {\n  name: 'a'\n  dependsOn: [fail('no')]\n}\n",
        "BCP034",
        3,
        15,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n"
        "output k string = listKeys(a.properties.id, '2020-02-02').key\n",
        "BCP181",
        2,
        28,
    ),
    (
        "type a = { k: 'a' }\ntype b = { k: 'b' }\n@discriminator('k')\ntype c = a | b\n"
        "@discriminator('n')\ntype d = c\n",
        "BCP366",
        5,
        1,
    ),
    (
        "type a = { k: 'a' }\ntype b = {\n  @discriminator('k')\n  *: a\n}\n",
        "BCP363",
        3,
        3,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n"
        "resource b 'Microsoft.Foo/foos@2020-02-02' existing = { name: a.properties.x }\n"
        "resource c 'Microsoft.Foo/locks@2020-02-02' = {\n  name: 'c'\n  scope: b\n}\n",
        "BCP120",
        5,
        10,
    ),
    (
        "resource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n"
        "resource b 'Microsoft.Foo/foos@2020-02-02' existing = {\n  name: a.properties.x\n"
        "  resource c 'parts' = { name: 'c' }\n}\n",
        "BCP120",
        4,
        12,
    ),
    ("param p object = reference('x')\n", "BCP066", 1, 18),
    ("metadata _x = 'a'\n", "BCP268", 1, 10),
    ("var a = flatten([[1], 2])\n", "BCP309", 1, 17),
    ("param p string[]\nvar a = flatten(p)\n", "BCP309", 2, 17),
    ("type t = { a: string }.a\n", "BCP391", 1, 10),
    ("type t = {\n  @allowed(['a'])\n  b: string\n}\n", "BCP297", 2, 3),
    # what the file alone says
    ("var a = { b: 1 }[toLower('C')]\n", "BCP053", 1, 18),
    ("var a = ['x', 'y'][length(['x', 'y'])]\n", "BCP311", 1, 20),
    ("var a = (1 + 1 == 2 ? 'x' : {}).y\n", "BCP055", 1, 33),
    ("var a = [for x in [1, 2]: x]\nvar b = a[0].c\n", "BCP055", 2, 14),
    ("param p 'a' | 'b' | null\nvar a = p.c\n", "BCP055", 2, 11),
    ("var a = { bee: 1 }.Bee\n", "BCP083", 1, 20),
    ("output a int = !true ? 1 : 'x'\n", "BCP033", 1, 28),
    ("var a = substring('abc', 2, 2)\n", "BCP327", 1, 29),
    ("@minValue(4)\nparam p int\nvar a = substring('abc', p)\n", "BCP327", 3, 26),
    # bounds of the parts of a value
    ("type t = { @maxLength(1)\n a: string }\nparam p t = { a: 'xy' }\n", "BCP332", 3, 18),
    ("@maxValue(1)\ntype t = int\nparam p t[] = [1, 2]\n", "BCP327", 3, 19),
    ("@minLength(2)\ntype t = string\nvar v [t] = ['a']\n", "BCP333", 3, 14),
    ("@minLength(2)\ntype t = string\nfunc f(a t) string => a\nvar v = f('a')\n", "BCP333", 4, 11),
    ("@minLength(2)\ntype t = string\noutput o t[] = [for i in [1]: 'a']\n", "BCP333", 3, 31),
]


@pytest.mark.parametrize(("source", "code", "line", "column"), CASES)
def test_checked(tmp_path: Path, source: str, code: str, line: int, column: int) -> None:
    found = refused(tmp_path, source)
    assert [(one.code, one.line, one.column) for one in found] == [(code, line, column)]


def test_names_are_the_same_where_the_file_alone_says_them(tmp_path: Path) -> None:
    source = (
        "var one = 'x'\nvar two = '${one}'\n"
        "resource a 'Microsoft.Foo/foos@2020-02-02' = { name: one }\n"
        "resource b 'Microsoft.Foo/foos@2020-02-02' = { name: two }\n"
    )
    found = refused(tmp_path, source)
    assert [(one.code, one.line, one.column) for one in found] == [
        ("BCP121", 3, 54),
        ("BCP121", 4, 54),
    ]


def test_what_is_folded_is_written_as_it_is(tmp_path: Path) -> None:
    source = "output a string = true ? toUpper('x') : 1\n"
    found = template(tmp_path, source)
    assert found["outputs"]["a"]["value"] == "[if(true(), toUpper('x'), 1)]"


def test_a_chain_of_texts_that_double_is_compiled_in_no_time(tmp_path: Path) -> None:
    doubled = "".join(f"var v{i + 1} = '${{v{i}}}${{v{i}}}'\n" for i in range(60))
    found = template(tmp_path, f"var v0 = 'x'\n{doubled}output o string = padLeft(v60, 1000000)\n")
    assert len(found["variables"]) == 61


EXPERIMENTAL = [
    ("@validate(x => true)\nparam p string\n", "userDefinedConstraints"),
    ("@patch()\nresource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n", "patch"),
    ("param p resource 'Microsoft.Foo/foos@2020-02-02'\n", "resourceTypedParamsAndOutputs"),
    ("targetScope = 'local'\n", "localDeploy"),
]


@pytest.mark.parametrize(("source", "feature"), EXPERIMENTAL)
def test_experimental_features_are_refused_by_name(
    tmp_path: Path, source: str, feature: str
) -> None:
    (found,) = refused(tmp_path, source)
    assert found.code == "unsupported"
    assert f'the experimental feature "{feature}"' in found.message


def test_the_condition_that_a_resource_waits_for(tmp_path: Path) -> None:
    source = (
        "@waitUntil(r => 'x', 'PT1S')\nresource a 'Microsoft.Foo/foos@2020-02-02' = { name: 'a' }\n"
    )
    enabled = '{"experimentalFeaturesEnabled": {"waitUntil": true}}'
    (found,) = refused(tmp_path, source, bicepconfig__json=enabled)
    assert (found.code, found.line, found.column) == ("BCP070", 1, 12)
