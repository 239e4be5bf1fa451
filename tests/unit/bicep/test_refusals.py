"""What is wrong is refused, with its place: never a wrong template."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_file, compile_params, using_of
from tests.unit.bicep.compiling import refused, template, write

LOOP = "resource a 'Microsoft.Rp/things@2020-01-01' = [for i in range(0, 2): { name: 'a${i}' }]\n"
VAULT = "resource a 'Microsoft.KeyVault/vaults@2022-07-01' existing = { name: 'a' }\n"
ONE = "resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a' }\n"


# source, code, line, column: of the first finding
@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        # syntax
        ("var a = 'open\n", "BCP004", 1, 9),
        ("var a = '\\q'\n", "BCP006", 1, 10),
        ('var a = "b"\n', "BCP103", 1, 9),
        ("var a = if(true, 1, 2)\n", "BCP100", 1, 9),
        ("var a = {\n  b: 1\nvar c = 2\n", "BCP018", 3, 1),
        ("param p\n", "BCP014", 1, 8),
        ("var a =\n", "BCP009", 1, 8),
        ("var a = [1 2]\n", "BCP236", 1, 12),
        ("vra a = 1\n", "BCP007", 1, 1),
        ("var a = (1\n", "BCP018", 2, 1),
        ("var a = {\n  b:\n    1\n}\n", "BCP009", 2, 5),
        ("resource a 'x' {}\n", "BCP018", 1, 16),
        ("extension kubernetes\n", "unsupported", 1, 1),
        # names
        ("var a = missing\n", "BCP057", 1, 9),
        ("param location string\nvar a = locatoin\n", "BCP082", 2, 9),
        ("var a = 1\nvar a = 2\n", "BCP028", 2, 5),
        ("var a = tolower('A')\n", "BCP082", 1, 9),
        ("param p strin\n", "BCP082", 1, 9),
        ("param Name string\nparam name string\n", "BCP353", 1, 7),
        ("var copy = 1\n", "BCP239", 1, 5),
        # kinds
        ("var a = 'a' + 'b'\n", "BCP045", 1, 9),
        ("var a = !1\n", "BCP044", 1, 9),
        ("var a = 1 ? 2 : 3\n", "BCP046", 1, 9),
        ("param p int = 'x'\n", "BCP033", 1, 15),
        ("param p 'a' | 'b' = 'c'\n", "BCP033", 1, 21),
        ("output o bool = 'x'\n", "BCP033", 1, 17),
        ("var a = toLower(1)\n", "BCP070", 1, 17),
        ("var a = toLower()\n", "BCP071", 1, 9),
        ("var a = map([1], (x, y, z) => x)\n", "BCP070", 1, 18),
        ("var a = [1][3]\n", "BCP311", 1, 13),
        ("var a = { b: 1 }.c\n", "BCP053", 1, 18),
        ("var a = resourceGroup().nme\n", "BCP083", 1, 25),
        ("var a = 9223372036854775808\n", "BCP010", 1, 9),
        ("var a = 'x'.b\n", "BCP055", 1, 13),
        ("var a = { b: 1, b: 2 }\n", "BCP025", 1, 17),
        ("type t = { a: string }\nparam p t = {}\n", "BCP035", 2, 13),
        ("type t = { a: string }\nparam p t = { a: 1 }\n", "BCP036", 2, 18),
        ("@sealed()\ntype t = { a: string? }\nparam p t = { b: 1 }\n", "BCP037", 3, 15),
        ("func f(s string) string => s\nvar a = f(1)\n", "BCP070", 2, 11),
        ("func f() string => outer\nparam outer string\n", "BCP057", 1, 20),
        (ONE + "func f() string => a.properties.x\n", "BCP341", 2, 20),
        ("param p string\n@export()\nfunc f() string => g()\nfunc g() string => v\nvar v = p\n", "BCP372", 2, 1),
        ("param p az\n", "BCP306", 1, 9),
        ("var resourceGroup = 'x'\noutput o string = resourceGroup().id\n", "BCP265", 2, 19),
        ("@description('x')\nparam description string\n", "BCP265", 1, 2),
        ("param p int?\nvar a = p + 1\n", "BCP045", 2, 9),
        ("param p bool?\nvar a = !p\n", "BCP044", 2, 9),
        ("param p object\nvar a = p[^'x']\n", "BCP414", 2, 9),
        ("var a = [{ b: 1 }, { b: 2 }]\noutput o array = [for i in a: i.c]\n", "BCP053", 2, 33),
        ("param p array\nvar a = p.?x\n", "BCP055", 2, 12),
        ("param p string? = 'x'\n", "BCP326", 1, 19),
        ("@minValue(2)\n@maxValue(1)\nparam p int\n", "BCP331", 1, 1),
        ("type t = string\n@minLength(1)\nparam p t\n", "BCP308", 2, 1),
        ("@allowed(['a'])\nparam p 'a' | 'b'\n", "BCP295", 1, 1),
        ("@secure()\nparam p any\n", "BCP440", 1, 1),
        ("type t = t?\n", "BCP298", 1, 10),
        ("type t = { a: t[] }\n", "BCP298", 1, 15),
        ("type t = string | int\n", "BCP286", 1, 10),
        ("type t = 'a' | 1\n", "BCP294", 1, 10),
        ("type t = u\ntype u = t\n", "BCP298", 1, 10),
        # places
        ("var a = utcNow()\n", "BCP065", 1, 9),
        ("var a = x => x\n", "BCP242", 1, 9),
        ("var a = { b: [for i in [1]: i] }\n", "BCP138", 1, 14),
        ("param p string = v\nvar v = 'x'\n", "BCP072", 1, 18),
        ("var a = b\nvar b = a\n", "BCP080", 2, 9),
        ("var a = a\n", "BCP079", 1, 9),
        ("targetScope = 'planet'\n", "BCP033", 1, 15),
        ("@minLength(1)\nparam p int\n", "BCP124", 1, 1),
        ("@secret()\nparam p string\n", "BCP057", 1, 2),
        ("@secure()\nvar v = 'x'\n", "BCP130", 1, 1),
        ("@description(concat('a', 'b'))\nparam p int\n", "BCP032", 1, 14),
        ("@allowed([1, 'x'])\nparam p int\n", "BCP034", 1, 14),
        # resources
        ("resource a 'Microsoft.Rp/things' = { name: 'a' }\n", "BCP029", 1, 12),
        ("resource a 'Microsoft.Rp/things@2020-01-01' = { }\n", "BCP035", 1, 10),
        ("resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a/b' }\n", "BCP169", 1, 55),
        ("resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a', id: 'x' }\n", "BCP073", 1, 60),
        ("resource a 'Microsoft.Rp/things@2020-01-01' existing = { name: 'a', tags: {} }\n", "BCP173", 1, 69),
        (ONE + "resource b 'Microsoft.Rp/others/kids@2020-01-01' = { name: 'b', parent: a }\n", "BCP036", 2, 73),
        (ONE + "resource b 'Microsoft.Rp/things/kids@2020-01-01' = { name: 'a/b', parent: a }\n", "BCP170", 2, 60),
        (ONE + "resource b 'Microsoft.Rp/things@2020-01-01' = { name: 'A' }\n", "BCP121", 1, 55),
        (ONE + "resource b 'Microsoft.Rp/others@2020-01-01' = { name: a.properties.x }\n", "BCP120", 2, 55),
        (ONE + "resource b 'Microsoft.Rp/others@2020-01-01' = { name: a['sku']['name'] }\n", "BCP120", 2, 55),
        (ONE + "resource b 'Microsoft.Rp/others@2020-01-01' = { name: 'b', dependsOn: 'a' }\n", "BCP036", 2, 71),
        ("resource a 'Microsoft.Rp/things@2020-01-01' = {\n  name: 'a'\n  properties: {\n    ...{}\n    b: [for i in [1]: i]\n  }\n}\n", "BCP417", 4, 5),
        ("@waitUntil(x => true, 'PT1S')\n" + ONE, "BCP057", 1, 2),
        (ONE + "resource b 'Microsoft.Rp/others@2020-01-01' = if (a.properties.x) { name: 'b' }\n", "BCP177", 2, 51),
        (ONE + "var v = [for i in [1]: a.properties.x]\n", "BCP182", 2, 24),
        (ONE + "resource b 'Microsoft.Rp/others@2020-01-01' = { name: 'b', dependsOn: [ 'a' ] }\n", "BCP034", 2, 73),
        ("resource b 'Microsoft.Rp/others@2020-01-01' = { name: 'b', scope: resourceGroup('x') }\n", "BCP139", 1, 67),
        (LOOP + "resource b 'Microsoft.Rp/others@2020-01-01' = { name: 'b', properties: { x: a.id } }\n", "BCP055", 2, 79),
        (LOOP + "output o array = map([0], i => a[i].properties.x)\n", "BCP247", 2, 34),
        (LOOP + "output o array = [for i in [0]: a]\n", "BCP144", 2, 33),
        (VAULT + "var v = a.getSecret('x')\n", "BCP180", 2, 9),
        (ONE + "var v = a.getSecret('x')\n", "BCP109", 2, 11),
        # files
        ("module m 'none.bicep' = { name: 'm' }\n", "BCP091", 1, 10),
        ("module m '/abs.bicep' = { name: 'm' }\n", "BCP051", 1, 10),
        ("module m 'main.bicep' = { name: 'm' }\n", "BCP095", 1, 10),
        ("module m 'br/nobody:a:1' = { name: 'm' }\n", "BCP213", 1, 10),
        ("module m 'br/public:a b:1' = { name: 'm' }\n", "BCP193", 1, 10),
        ("var v = loadTextContent('none.txt')\n", "BCP091", 1, 25),
    ],
)  # fmt: skip
def test_refusal(tmp_path: Path, source: str, code: str, line: int, column: int) -> None:
    first, *_ = refused(tmp_path, source)
    assert (first.code, first.line, first.column) == (code, line, column), str(first)
    assert first.path == tmp_path / "main.bicep"


def test_types_that_hold_themselves_where_they_may_be_null(tmp_path: Path) -> None:
    source = "type t = { a: (t?)[], b: u, c: t?, *: t }\ntype u = { d: t }?\nparam p t\n"
    assert template(tmp_path, source)["definitions"]["u"]["nullable"] is True


def test_an_import_under_two_names_or_one_that_a_declaration_has(tmp_path: Path) -> None:
    other = "@export()\nvar thing = 'x'\n"
    first, *_ = refused(tmp_path, "import { thing, thing as b } from 'm.bicep'\n", m__bicep=other)
    assert first.code == "BCP362"
    source = "import { thing } from 'm.bicep'\nvar Thing = 1\n"
    first, *_ = refused(tmp_path, source, m__bicep=other)
    assert first.code == "BCP353"


def test_a_null_that_a_condition_may_have_asked_for_is_no_error(tmp_path: Path) -> None:
    source = "param p int?\nvar a = p == null ? 0 : p + 1\n"
    assert "add(" in template(tmp_path, source)["variables"]["a"]


MODULE = "param name string\nparam size 'S' | 'L' = 'S'\nparam tags { a: int }?\noutput id string = name\n@secure()\noutput secret string = name\n"


def test_little_is_known_of_an_existing_resource_with_a_late_name(tmp_path: Path) -> None:
    source = """
    module m 'mod.bicep' = { name: 'm', params: { name: 'x' } }
    resource a 'Microsoft.Rp/things@2020-01-01' existing = { name: m.outputs.id }
    output o string = a.READ
    """
    found = template(tmp_path, source.replace("READ", "id"), mod__bicep=MODULE)
    assert list(found["resources"]) == ["m"]
    assert found["outputs"]["o"]["value"] == (
        "[resourceId('Microsoft.Rp/things', reference('m').outputs.id.value)]"
    )
    (late,) = refused(tmp_path, source.replace("READ", "properties.x"), mod__bicep=MODULE)
    assert (late.code, late.line) == ("BCP307", 3)


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("module m 'mod.bicep' = { name: 'm' }", "BCP035", '"name"'),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 'x', nmae: 1 } }", "BCP037", "nmae"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 1 } }", "BCP036", "string"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: null } }", "BCP036", "null"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 'x', size: 'M' } }", "BCP036", "'L'"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 'x', tags: { a: 'b' } } }", "BCP036", "int"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 'x' }, scop: 1 }", "BCP037", "scope"),
        ("module m 'mod.bicep' = { name: 'm', scope: subscription(), params: { name: 'x' } }", "BCP134", "subscription"),
        ("module m 'mod.bicep' = { name: 'm', params: { name: 'x' } }\noutput o string = m.outputs.idd", "BCP083", "id"),
        ("import { thing } from 'mod.bicep'", "BCP360", "@export()"),
        ("module m 'mod.bicep' = [for i in [1]: { name: 'm', params: { name: 'x' } }]\noutput o array = map(m, x => x.outputs.secret)", "BCP426", "m[index]"),
    ],
)  # fmt: skip
def test_refusal_of_a_modules_use(tmp_path: Path, source: str, code: str, said: str) -> None:
    first, *_ = refused(tmp_path, source + "\n", mod__bicep=MODULE)
    assert first.code == code
    assert said in first.message + first.hint


def test_everything_that_is_wrong_is_said_at_once_and_shown(tmp_path: Path) -> None:
    path = write(tmp_path, {"main.bicep": "var a = missing\n\tvar\nvar b = 'x' + 1\n"})
    with pytest.raises(BicepError) as caught:
        compile_file(path)
    assert [found.code for found in caught.value.diagnostics] == ["BCP057", "BCP015", "BCP045"]
    assert str(caught.value).startswith(
        f'{path}(1,9): error BCP057: There is no name "missing" here.\n'
        "    1 | var a = missing\n"
        "      |         ^^^^^^^\n"
    )
    assert "= Join strings by interpolation: '${a}${b}'" in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_columns_are_counted_in_utf_16_and_lines_end_as_they_do(tmp_path: Path, end: str) -> None:
    path = tmp_path / "main.bicep"
    text = f"\ufeffvar a = 1{end}{end}/* 😀 漢 */ var b = missing{end}"
    path.write_bytes(text.encode())
    with pytest.raises(BicepError) as caught:
        compile_file(path)
    (found,) = caught.value.diagnostics
    assert (found.line, found.column) == (3, 20)
    # a caret stands below what is meant: pictures and Chinese take two cells
    assert found.render().splitlines()[2].index("^") == len("    3 | /*       */ var b = ")


def test_what_is_shown_of_a_file_does_not_steer_the_terminal(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, "var a = missing // \x1b[2J\u202e\n")
    assert found.render().splitlines()[1] == "    1 | var a = missing // \ufffd[2J\ufffd"


def test_a_statement_that_can_not_be_read_is_not_missed_elsewhere(tmp_path: Path) -> None:
    found = refused(tmp_path, "param a string =\nvar b = a\n")
    assert [one.code for one in found] == ["BCP009"]


def test_what_is_wrong_in_a_module_is_said_with_the_modules_file(tmp_path: Path) -> None:
    (found,) = refused(
        tmp_path, "module m 'mod.bicep' = { name: 'm' }\n", mod__bicep="var a = missing\n"
    )
    assert found.path == tmp_path / "mod.bicep"


SECRET = "@secure()\nparam p resourceInput<'Microsoft.Rp/things@2020-01-01'>.properties.login{}\n"


@pytest.mark.parametrize(
    "use",
    [
        "",
        "output o string = '${p}'\n",
        "var v = p ?? 'x'\n",
        "output o array = [toLower(p), p.name]\n",
    ],
)
def test_a_secret_is_refused_when_nothing_says_its_kind(tmp_path: Path, use: str) -> None:
    (found,) = refused(tmp_path, SECRET.format("") + use)
    assert (found.code, found.line, found.column) == ("unsupported", 1, 1)
    assert found.hint == "Declare it as string or object."


@pytest.mark.parametrize(
    ("default", "use", "kind"),
    [
        (" = ''", "", "securestring"),
        (" = {}", "", "secureObject"),
        ("", "output o string = toLower(p)\n", "securestring"),
        ("", "var v = p ?? ''\noutput o string = v\n", "securestring"),
        ("", "func f(a string) string => a\noutput o string = f(p!)\n", "securestring"),
        ("", "output o string = p.name\n", "secureObject"),
        ("", "output o string = p['name']\n", "secureObject"),
        ("", "module m 'm.bicep' = { params: { s: p } }\n", "securestring"),
        ("", "module m 'm.bicep' = { params: { further: p } }\n", "secureObject"),
    ],
)
def test_a_secrets_kind_is_what_its_uses_say(
    tmp_path: Path, default: str, use: str, kind: str
) -> None:
    module = (
        "@secure()\nparam s string = ''\n"
        "param further resourceInput<'Microsoft.Rp/things@2020-01-01'>.properties.a = {}\n"
    )
    found = template(tmp_path, SECRET.format(default) + use, m__bicep=module)
    assert found["parameters"]["p"]["type"] == kind


def test_the_kinds_of_well_known_secrets(tmp_path: Path) -> None:
    source = (
        "@secure()\nparam p resourceInput<'Microsoft.Compute/virtualMachines@2024-07-01'>"
        ".properties.osProfile.adminPassword\n"
        "@secure()\nparam q resourceInput<'Microsoft.ApiManagement/service/loggers@2024-05-01'>"
        ".properties.credentials?\n"
    )
    found = template(tmp_path, source)["parameters"]
    assert [found[name]["type"] for name in "pq"] == ["securestring", "secureObject"]


def test_a_secrets_kind_is_what_its_callers_give(tmp_path: Path) -> None:
    source = "module m 'm.bicep' = { params: { p: 'x' } }\n"
    found = template(tmp_path, source, m__bicep=SECRET.format(""))
    inner = found["resources"]["m"]["properties"]["template"]
    assert inner["parameters"]["p"]["type"] == "securestring"
    path = write(
        tmp_path,
        {"p.bicepparam": "using 'q.bicep'\nparam p = { a: 1 }\n", "q.bicep": SECRET.format("")},
    )
    given = compile_params(path).template
    assert given is not None
    assert given["parameters"]["p"]["type"] == "secureObject"


def test_null_where_it_is_only_perhaps_is_no_error(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        "param p string?\nparam on bool\nvar a = toLower(p)\noutput o string = on ? 'a' : p\n",
    )
    assert found["variables"]["a"] == "[toLower(parameters('p'))]"


def test_a_file_that_is_not_there_or_no_bicep(tmp_path: Path) -> None:
    with pytest.raises(BicepError, match="There is no file"):
        compile_file(tmp_path / "none.bicep")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(BicepError, match=r"is no \.bicep file"):
        compile_file(tmp_path / "a.txt")


def test_what_is_nested_too_deeply_is_told_or_compiled(tmp_path: Path) -> None:
    found = template(tmp_path, f"var a = {' + '.join('1' * 2000)}\n")
    assert found["variables"]["a"].count("add(") == 1999
    with pytest.raises(BicepError, match="nested too deeply"):
        template(tmp_path, f"var a = {'(' * 30000}1{')' * 30000}\n")


def test_an_extension_is_refused_once_and_not_what_uses_it(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        """
        extension kubernetes with {
          kubeConfig: 'x'
          namespace: 'default'
        } as k8s
        extension graphV1 as graph
        resource service 'core/Service@v1' = {
          metadata: { name: 'a' }
        }
        resource app 'Microsoft.Graph/applications@v1.0' = {
          uniqueName: graph.x
          resource credential 'federatedIdentityCredentials@v1.0' = {
            name: '${app.uniqueName}/a'
          }
        }
        output o string = app.appId
        """,
    )
    assert [(one.code, one.line) for one in found] == [("unsupported", 1), ("unsupported", 5)]


def test_a_file_that_can_not_be_read_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.bicep").write_bytes(b"// caf\xe9\n")
    for name in ("folder", "latin.bicep"):
        (found,) = refused(tmp_path, f"module m '{name}' = {{ name: 'm' }}\n")
        assert (found.code, found.line, found.column) == ("BCP091", 1, 10)
        assert "Errno" not in found.message
        assert "codec" not in found.message
    with pytest.raises(BicepError, match="it is no UTF-8, at its byte 7"):
        compile_file(tmp_path / "latin.bicep")


def test_what_is_nested_too_deeply_is_told_with_the_file(tmp_path: Path) -> None:
    deep = "(" * 20_000 + "1" + ")" * 20_000
    path = write(
        tmp_path,
        {"a.bicepparam": f"using 'm.bicep'\nparam p = {deep}\n", "m.bicep": "param p int\n"},
    )
    for read in (compile_params, using_of):
        with pytest.raises(BicepError, match=r"a\.bicepparam.* nested too deeply"):
            read(path)
