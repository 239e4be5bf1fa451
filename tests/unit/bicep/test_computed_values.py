"""Values that functions have in a `.bicepparam` file: what the service computes, or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_params
from tests.unit.bicep.compiling import Json, write

# of any kind, so that only the value itself is looked at
MAIN = "param a resourceInput<'Microsoft.Storage/storageAccounts@2023-01-01'>.sku\n"


def computed(folder: Path, expression: str) -> Json:
    text = f"using 'main.bicep'\nparam a = {expression}\n"
    path = write(folder, {"dev.bicepparam": text, "main.bicep": MAIN})
    return compile_params(path).values["a"]["value"]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("contains([1], true)", False),
        ("[[1], [true]][0] == [[1], [true]][1]", False),
        ("union([1], [true])", [1, True]),
        ("indexOf([true, 1], 1)", 1),
        ("intersection({ A: 1, b: 2 }, { a: 1, b: true })", {"A": 1}),
        ("shallowMerge([{ A: 1 }, { a: 2 }])", {"A": 2}),
        ("cidrHost('10.0.0.0/31', 0)", "10.0.0.0"),
        ("cidrHost('fd00::/64', 0)", "fd00::"),
        ("dateTimeAdd('2024-01-31T00:00:00Z', 'P1M')", "2024-02-29T00:00:00Z"),
        ("split('a;b', ['', ';'])", ["a", "b"]),
        ("toUpper('straße')", "STRAßE"),
        ("uri('https://Contoso.org', '')", "https://contoso.org/"),
        ("uri('https://contoso.org:443/a/b', 'c')", "https://contoso.org/a/c"),
        ("base64ToString('YQ==')", "a"),
        ("int(' -3 ')", -3),
    ],
)
def test_a_value_is_the_services(tmp_path: Path, expression: str, wanted: Json) -> None:
    found = computed(tmp_path, expression)
    assert found == wanted
    assert repr(found) == repr(wanted)  # true is not 1


@pytest.mark.parametrize(
    "expression",
    [
        "base64ToString('YWJj@')",
        "bool('secret')",
        "cidrHost('10.0.0.0/30', 2)",
        "cidrSubnet('10.0.0.0/24', 33, 0)",
        "cidrSubnet('10.0.0.0/24', 25, -1)",
        "dataUriToString('secret')",
        "dateTimeAdd('2024-01-01T00:00:00Z', 'P')",
        "dateTimeAdd('2024-01-01T00:00:00Z', 'P9000Y')",
        "dateTimeToEpoch('secret')",
        "format('{1}', 'secret')",
        "format('{', 'secret')",
        "int('1_000')",
        "int('secret')",
        "int('9223372036854775808')",
        "json('secret')",
        "min([])",
        "padLeft('a', 100000)",
        "parseCidr('secret')",
        "range(0, -1)",
        "range(0, 10001)",
        "replace('abc', '', 'x')",
        "resourceId('Microsoft.Web/sites', 'secret')",
        "substring('secret', 2, int('-1'))",
        "substring('secret', int('7'))",
        "uri('github.com', 'secret')",
        "map([9223372036854775807], x => x + 1)",
        "map([0], x => 1 / x)",
    ],
)
def test_what_has_no_value_is_refused_where_it_stands(tmp_path: Path, expression: str) -> None:
    with pytest.raises(BicepError) as raised:
        computed(tmp_path, expression)
    (found,) = raised.value.diagnostics
    assert (found.code, found.line) == ("BCP338", 2)
    # a value may be a secret of the environment
    assert "secret" not in found.message
    assert "Error" not in found.message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("argument", ["", ", 'us-ascii'"])
def test_a_mark_at_a_files_beginning_says_its_encoding(
    tmp_path: Path, encoding: str, argument: str
) -> None:
    (tmp_path / "note.txt").write_bytes("é".encode(encoding))
    assert computed(tmp_path, f"loadTextContent('note.txt'{argument})") == "é"


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [("*.*", ["a", "b[1].txt", "c1.txt"]), ("b[1].*", ["b[1].txt"]), ("c?.txt", ["c1.txt"])],
)
def test_files_of_a_folder_by_a_pattern(tmp_path: Path, pattern: str, wanted: list[str]) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a", "b[1].txt", "c1.txt"):
        (tmp_path / "d" / name).touch()
    found = computed(tmp_path, f"loadDirectoryFileInfo('d', '{pattern}')")
    assert [one["baseName"] for one in found] == wanted
