"""Resources' bodies, and what is read of them, against a library of types that the user names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, compile_file
from orchestrator.errors import SettingsError
from tests.unit.bicep.compiling import refused, write
from tests.unit.bicep.type_library import BED, packed, write_library

VARIABLE = "ORCHESTRATOR_BICEP_TYPES"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_library(tmp_path / "types")
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def bed(properties: str, *, top: str = "", head: str = "", tail: str = "") -> str:
    return (
        f"{head}resource bed '{BED}' = {{\n"
        f"  name: 'roses'\n  location: 'x'\n  properties: {{\n    soil: 'loam'\n{properties}\n  }}\n{top}}}\n{tail}"
    )


def warned(folder: Path, text: str) -> list[tuple[str, int, int]]:
    found = compile_file(write(folder, {"main.bicep": text})).warnings
    return [(one.code, one.line, one.column) for one in found if one.code.startswith("BCP")]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(bed("    fencd: true"), ("BCP089", 6, 5), id="misspelt"),
        pytest.param(bed("    moat: true"), ("BCP037", 6, 5), id="unknown"),
        pytest.param(bed("    fenced: 'yes'"), ("BCP036", 6, 13), id="another kind"),
        pytest.param(bed("").replace("'loam'", "'lime'"), ("BCP036", 5, 11), id="another value"),
        pytest.param(bed("").replace("'loam'", "'sands'"), ("BCP088", 5, 11), id="misspelt value"),
        pytest.param(bed("", head="param p int\n").replace("'loam'", "'lo${p}am'"), ("BCP036", 6, 11), id="made text"),
        pytest.param(bed("    plants: [ { count: 1 } ]"), ("BCP035", 6, 15), id="missing"),
        pytest.param(bed("").replace("  location: 'x'\n", ""), ("BCP035", 1, 10), id="missing above"),
        pytest.param(bed("    area: 3"), ("BCP073", 6, 5), id="read-only"),
        pytest.param(bed("    plants: [ { species: 'a', count: 10 } ]"), ("BCP327", 6, 38), id="large"),
        pytest.param(bed("    plants: [ { species: 'a', count: 0 } ]"), ("BCP328", 6, 38), id="small"),
        pytest.param(bed("    plants: [ 'rose' ]"), ("BCP034", 6, 15), id="item of another kind"),
        pytest.param(bed("    plants: [for i in [1]: { species: i }]"), ("BCP036", 6, 39), id="loop"),
        pytest.param(bed("").replace("'roses'", "'ro'"), ("BCP333", 2, 9), id="short name"),
        pytest.param(bed("").replace("'roses'", "'raspberries'"), ("BCP332", 2, 9), id="long name"),
        pytest.param(bed("").replace("'roses'", "'ROSES'"), ("BCP416", 2, 9), id="pattern"),
        pytest.param(bed("    water: { source: 'tap' }"), ("BCP035", 6, 5), id="missing in a case"),
        pytest.param(bed("    water: { litres: 3 }"), ("BCP078", 6, 12), id="no tag"),
        pytest.param(bed("    water: { source: 'rein' }"), ("BCP088", 6, 22), id="wrong tag"),
        pytest.param(
            bed("    water: { source: s }", head="param s string\n"), ("BCP225", 7, 22), id="late tag"
        ),
        pytest.param(bed("    labels: { a: 1 }"), ("BCP036", 6, 18), id="further properties"),
        pytest.param(bed("    '${x}': 1", head="param x string\n"), ("BCP040", 7, 5), id="made name"),
        pytest.param(bed("", top="  sku: { name: 'x' }\n"), ("BCP187", 8, 3), id="common, not here"),
        pytest.param(
            bed("    plants: ps", head="var ps = [ { count: 1 } ]\n"), ("BCP035", 7, 13), id="variable"
        ),
        pytest.param(
            bed("    fenced: f", head="param f bool?\n").replace("soil: 'loam'", "soil: s!")
            + "param s string?\n",
            None,
            id="optional properties may be null",
        ),
        pytest.param(
            bed("").replace("'loam'", "s") + "param s 'loam' | 'sand' | null\n",
            ("BCP321", 5, 11),
            id="required ones may not",
        ),
        pytest.param(bed("").replace("'loam'", "s") + "param s string\n", None, id="parameter"),
        pytest.param(bed("    ...more", head="param more object\n"), None, id="spread"),
        pytest.param(bed("", tail="output o int = bed.properties.area\n"), None, id="read"),
        pytest.param(bed("", tail="output o int = bed.properties.aria\n"), ("BCP083", 9, 31), id="misread"),
        pytest.param(bed("", tail="output o string = bed.properties.code\n"), ("BCP077", 9, 34), id="hidden"),
        pytest.param(bed("", tail="output o object = bed.sku\n"), ("BCP187", 9, 23), id="common, read"),
        pytest.param(
            bed("", tail="output o string = bed.listKeys().primry\n"), ("BCP083", 9, 34), id="function"
        ),
        pytest.param(
            bed("    water: { source: 'tap', hose: 'h' }", tail="output o string = bed.properties.water.hose\n"),
            None,
            id="read of a case",
        ),
        pytest.param(
            f"resource b '{BED.replace('2024', '2023')}' = {{ name: 'x' }}\n", ("BCP081", 1, 12), id="version"
        ),
        pytest.param(
            "resource w 'Contoso.Garden/weather@2024-01-01' = { name: 'rain' }\n",
            ("BCP245", 1, 12),
            id="only to be read",
        ),
        pytest.param(
            "resource w 'contoso.garden/Weather@2024-01-01' existing = { name: 'rain' }\noutput o string = w.id\n",
            None,
            id="read indeed",
        ),
    ],
)  # fmt: skip
def test_warning(tmp_path: Path, text: str, expected: tuple[str, int, int] | None) -> None:
    assert warned(tmp_path, text) == ([expected] if expected is not None else [])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(bed("", top="  moat: true\n"), "BCP037", id="unknown at the top"),
        pytest.param(bed("", tail="output o string = bed.moat\n"), "BCP053", id="read at the top"),
        pytest.param(
            bed("", tail="output o int = bed.properties.soil + 1\n"), "BCP045", id="kind of what is read"
        ),
        pytest.param(
            f"resource b '{BED.replace('2024', '2023')}' = {{ name: 'x', moat: 1 }}\n", "BCP037", id="no type"
        ),
        pytest.param(f"resource b '{BED}' = {{ location: 1 }}\n", "BCP035", id="no name"),
    ],
)  # fmt: skip
def test_error(tmp_path: Path, text: str, code: str) -> None:
    assert [one.code for one in refused(tmp_path, text)] == [code]


@pytest.mark.usefixtures("library")
def test_warnings_say_what_is_meant(tmp_path: Path) -> None:
    found = compile_file(write(tmp_path, {"main.bicep": bed("    fencd: true")})).warnings
    assert 'Did you mean "fenced"?' in found[0].render()
    assert "      |     ^^^^^" in found[0].render()


def test_template_is_the_same_with_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path,
        {
            "main.bicep": bed("    moat: bed2.properties.area + 1")
            + f"resource bed2 '{BED}' existing = {{ name: 'lily' }}\n"
        },
    )
    plain = compile_file(path).template
    monkeypatch.setenv(VARIABLE, str(write_library(tmp_path / "types")))
    found = compile_file(path)
    assert (found.template, len(found.warnings)) == (plain, 1)


def test_a_configuration_names_an_archive(tmp_path: Path) -> None:
    packed(write_library(tmp_path / "types"), tmp_path / "types.tgz")
    path = write(tmp_path / "app", {"main.bicep": bed("    fencd: true")})
    config = path.parent / "bicepconfig.json"
    config.write_text(json.dumps({"extensions": {"az": "../types.tgz"}}))
    assert [one.code for one in compile_file(path).warnings] == ["BCP089"]
    config.write_text(json.dumps({"extensions": {"az": "builtin:"}}))
    assert [one.code for one in compile_file(path).warnings] == ["BCP081"]


@pytest.mark.parametrize("content", [None, "[", "{}"])
def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    folder = tmp_path / "types"
    folder.mkdir()
    if content is not None:
        (folder / "index.json").write_text(content)
    monkeypatch.setenv(VARIABLE, str(folder))
    with pytest.raises(SettingsError, match=f"{VARIABLE} names .*types, which is no library"):
        compile_file(write(tmp_path, {"main.bicep": bed("")}))


def test_broken_description(tmp_path: Path, library: Path) -> None:
    (library / "garden" / "types.json").write_text('[{"$type": "ResourceType"}]')
    with pytest.raises(BicepError, match=r"where it describes Contoso\.Garden/beds@2024-01-01"):
        compile_file(write(tmp_path, {"main.bicep": bed("")}))


PART = f"resourceInput<'{BED}'>.properties"


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("", "object"),
        (".soil", "string"),
        (".plants", "array"),
        (".plants[*].count", "int"),
        (".labels.*", "string"),
        (".fenced", "bool"),
    ],
)
def test_kind_of_a_part(tmp_path: Path, part: str, kind: str) -> None:
    path = write(tmp_path, {"main.bicep": f"param p {PART}{part}\noutput o object = {{ p: p }}\n"})
    assert compile_file(path).template["parameters"]["p"]["type"] == kind


@pytest.mark.usefixtures("library")
def test_secret_that_is_a_part(tmp_path: Path) -> None:
    path = write(tmp_path, {"main.bicep": f"@secure()\nparam p {PART}.code\n"})
    assert compile_file(path).template["parameters"]["p"]["type"] == "securestring"


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("part", "code"),
    [
        (".moat", "BCP053"),
        (".fencd", "BCP083"),
        (".soil.x", "BCP055"),
        (".soil[*]", "BCP390"),
        (".plants[*].*", "BCP389"),
    ],
)
def test_no_such_part(tmp_path: Path, part: str, code: str) -> None:
    assert [
        one.code for one in refused(tmp_path, f"type t {PART}{part}\n".replace("t r", "t = r"))
    ] == [code]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"param p {PART} = {{ soil: 'loam', fencd: true }}\n", ("BCP089", 1, 86)),
        (f"output p {PART} = {{ soil: 'lime' }}\n", ("BCP036", 1, 79)),
        (f"var p {PART}.plants = [ {{ count: 1 }} ]\n", ("BCP035", 1, 77)),
        (f"func f(p {PART}) string => p.soil\noutput o string = f({{ soil: 'lime' }})\n", None),
    ],
)
def test_value_for_a_part(tmp_path: Path, text: str, expected: tuple[str, int, int] | None) -> None:
    assert warned(tmp_path, text) == ([expected] if expected is not None else [])
