"""What is allowed and seldom meant is warned of, as loudly as bicepconfig.json says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.bicep import compile_file, compile_params
from tests.unit.bicep.compiling import refused, write

MODULE = "param a string = 'x'\noutput o { p: string }? = a == 'x' ? null : { p: a }\n@secure()\noutput s string = a\n"
STORAGE = "'Microsoft.Storage/storageAccounts@2023-01-01'"


def warned(folder: Path, text: str, **others: str) -> list[tuple[str, int, int]]:
    files = {"main.bicep": text, "m.bicep": MODULE}
    files.update({name.replace("__", "."): other for name, other in others.items()})
    found = compile_file(write(folder, files)).warnings
    return [(one.code, one.line, one.column) for one in found]


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        ("param p string\n", "no-unused-params", 1, 7),
        ("var v = 1\n", "no-unused-vars", 1, 5),
        ("type t = string\n", "no-unused-types", 1, 6),
        ("import { a as b } from 'e.bicep'\n", "no-unused-imports", 1, 15),
        ("import * as e from 'e.bicep'\n", "no-unused-imports", 1, 13),
        (f"resource a {STORAGE} existing = {{ name: 'a' }}\n", "no-unused-existing-resources", 1, 10),
        ("@secure()\nparam p string = 'x'\n", "secure-parameter-default", 2, 16),
        ("param myPassword string\noutput o int = length(myPassword)\n", "secure-secrets-in-params", 1, 7),
        ("@secure()\nparam p string\nparam q string = p\noutput o int = length(q)\n", "secure-secrets-in-params", 3, 7),
        ("@secure()\nparam p string\noutput o string = 'x${p}'\n", "outputs-should-not-contain-secrets", 3, 23),
        (f"resource a {STORAGE} existing = {{ name: 'a' }}\noutput o string = a.listKeys().keys[0].value\n", "outputs-should-not-contain-secrets", 2, 19),
        ("module m 'm.bicep' = {}\noutput o string = m.outputs.s\n", "outputs-should-not-contain-secrets", 2, 29),
        ("output thePassword string = 'x'\n", "outputs-should-not-contain-secrets", 1, 1),
        (f"resource a {STORAGE} = {{ name: 'a', properties: {{ adminUserName: 'root' }} }}\n", "adminusername-should-not-be-literal", 1, 103),
        ("output o string = 'https://x.vault.azure.net/'\n", "no-hardcoded-env-urls", 1, 30),
        ("resource a 'Microsoft.Storage/storageAccunts@2023-01-01' = { name: 'a' }\n", "BCP081", 1, 12),
        (f"resource a {STORAGE} = {{ name: 'a', location: 1 }}\n", "BCP036", 1, 84),
        ("resource a 'Microsoft.Compute/disks@2023-01-02' = { name: 'a', zones: [1] }\n", "BCP036", 1, 71),
        (f"resource a {STORAGE} = {{ name: 'a', locaton: 'x' }}\n", "BCP037", 1, 74),
        (f"resource a {STORAGE} = [for i in [1, 2]: {{ name: 'a' }}]\n", "BCP179", 1, 10),
        (f"param c bool\nresource a {STORAGE} = if (c) {{ name: 'a' }}\noutput o string = a.properties.x\n", "BCP318", 3, 20),
        ("param c bool\nmodule m 'm.bicep' = if (c) {}\noutput o string = m.outputs.o.?p ?? ''\n", "BCP318", 3, 20),
        ("module m 'm.bicep' = {}\noutput o string = m.outputs.o.p\n", "BCP318", 2, 30),
        ("param p { a: string } = { a: 'x', b: 1 }\noutput o object = p\n", "BCP037", 1, 35),
        ("output o int = 2199023255552 * 2199023255552\n", "BCP234", 1, 16),
        ("output o string = format('{1}', 'x')\n", "BCP234", 1, 19),
        ("output o object = providers('Microsoft.Web')\n", "BCP241", 1, 19),
        ("param p { bee: string }\noutput o string = p.bea\n", "BCP187", 2, 21),
        ("param p string?\nmodule m 'm.bicep' = { params: { a: p! } }\noutput o string = p\n", "BCP321", 3, 19),
        ("param p string?\noutput o string = toLower(p)\n", "BCP321", 2, 27),
        ("param p int?\nfunc f(a int) int => a\noutput o int = f(p)\n", "BCP321", 3, 18),
    ],
)  # fmt: skip
def test_warning(tmp_path: Path, source: str, code: str, line: int, column: int) -> None:
    found = warned(tmp_path, source, e__bicep="@export()\nvar a = 1\n")
    assert (code, line, column) in found
    assert len([one for one in found if not one[0].startswith("no-unused")]) <= 1


@pytest.mark.parametrize(
    "source",
    [
        "@secure()\nparam p string = newGuid()\nmodule m 'm.bicep' = { params: { a: p } }\n",
        "param secretName string\noutput o string = secretName\n",
        "@description('see https://x.vault.azure.net')\noutput o string = 'myvault.azure.network'\n",
        "output o string = 'https://schema.management.azure.com/x'\n",
        "module m 'm.bicep' = {}\noutput o string = m.outputs.o!.p\noutput q string = m.outputs.?o.p ?? ''\n",
        f"resource a {STORAGE} = [for i in [1, 2]: {{ name: 'a${{i}}' }}]\n",
        "module m 'm.bicep' = [for i in [1, 2]: { params: { a: 'x' } }]\n",
        "@export()\nvar v = 1\nfunc f() int => 1\n",
        "param p { a: string, *: int }\noutput o int = p.b\nparam q { a: string }\noutput r string = q.?b ?? ''\n",
        "param p string?\noutput o string = toLower(p ?? 'x')\noutput q string = p!\noutput r string? = p\n",
    ],
)
def test_no_warning(tmp_path: Path, source: str) -> None:
    assert warned(tmp_path, source) == []


def test_warnings_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = warned(
        tmp_path, "param unused string\nparam p string?\noutput o string = p\nvar v = 1\n"
    )
    assert [line for _, line, _ in found] == [1, 3, 4]


def test_levels_and_directives(tmp_path: Path) -> None:
    rules = {"no-unused-vars": {"level": "off"}, "no-unused-types": {"level": "error"}}
    config = json.dumps({"analyzers": {"core": {"rules": rules}}})
    source = (
        "param p string\nvar v = 1\n#disable-next-line no-unused-types other\ntype t = string\n"
    )
    assert warned(tmp_path, source, bicepconfig__json=config) == [("no-unused-params", 1, 7)]
    (found,) = refused(tmp_path, source + "type u = string\n", bicepconfig__json=config)
    assert (found.code, found.line) == ("no-unused-types", 5)
    off = json.dumps({"analyzers": {"core": {"enabled": False}}})
    assert warned(tmp_path, source, bicepconfig__json=off) == []


def test_warnings_are_switched_off_and_on(tmp_path: Path) -> None:
    source = (
        "#disable-diagnostics no-unused-params\nparam a string\nparam b string\n"
        "#restore-diagnostics no-unused-params\nparam c string\n"
    )
    assert warned(tmp_path, source) == [("no-unused-params", 5, 7)]


def test_a_template_has_limits(tmp_path: Path) -> None:
    many = "".join(f"output o{index} int = 1\n" for index in range(65))
    (found,) = refused(tmp_path, many)
    assert (found.code, found.line, found.column) == ("max-outputs", 1, 8)
    assert "64 outputs" in found.message


def test_hosts_that_the_configuration_names(tmp_path: Path) -> None:
    rule = {"disallowedHosts": ["example.org"], "excludedHosts": ["www.example.org"]}
    config = json.dumps({"analyzers": {"core": {"rules": {"no-hardcoded-env-urls": rule}}}})
    source = (
        "output o string = 'www.example.org'\noutput p string = 'a.example.org vault.azure.net'\n"
    )
    assert warned(tmp_path, source, bicepconfig__json=config) == [("no-hardcoded-env-urls", 2, 22)]


def test_a_parameters_file_and_its_template_are_both_looked_at(tmp_path: Path) -> None:
    files = {
        "p.bicepparam": "using 'm.bicep'\nvar unused = 1\n",
        "m.bicep": "param a string = 'x'\n",
    }
    found = compile_params(write(tmp_path, files)).warnings
    assert [(one.path.name, one.code) for one in found] == [
        ("p.bicepparam", "no-unused-vars"),
        ("m.bicep", "no-unused-params"),
    ]
