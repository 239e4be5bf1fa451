"""Parameters, outputs, decorators and user-defined types."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.bicep.compiling import Json, at, refused, template


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ("param p string", {"type": "string"}),
        ("param p any", {}),
        ("param p string?", {"type": "string", "nullable": True}),
        ("param p string = 'a'", {"type": "string", "defaultValue": "a"}),
        ("@secure()\nparam p string", {"type": "securestring"}),
        ("@secure()\nparam p object", {"type": "secureObject"}),
        ("param p 'b' | 'a'", {"type": "string", "allowedValues": ["a", "b"]}),
        ("param p 'a'", {"type": "string", "allowedValues": ["a"]}),
        ("param p 10 | -2 | 1", {"type": "int", "allowedValues": [-2, 1, 10]}),
        ("param p ('a' | 'b')?", {"type": "string", "allowedValues": ["a", "b"], "nullable": True}),
        ("param p ('a' | 'b')[]", {"type": "array", "allowedValues": ["a", "b"]}),
        ("param p int[][]", {"type": "array", "items": {"type": "array", "items": {"type": "int"}}}),
        (
            "param p [string, int?]",
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "int", "nullable": True}],
                "items": False,
            },
        ),
        (
            "@sealed()\nparam p { @minLength(1)\n a: string }",
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 1}},
                "additionalProperties": False,
            },
        ),
        (
            "@description('''one\n  two\n    three''')\n@metadata({ a: 1 })\n@allowed([1, 2])\n@minValue(1)\nparam p int",
            {
                "type": "int",
                "allowedValues": [1, 2],
                "minValue": 1,
                "metadata": {"a": 1, "description": "one\ntwo\n  three"},
            },
        ),
        (
            "param p resourceInput<'Microsoft.Rp/things@2020-01-01'>.tags?",
            {
                "type": "object",
                "nullable": True,
                "metadata": {
                    "__bicep_resource_derived_type!": {
                        "source": "Microsoft.Rp/things@2020-01-01#properties/tags"
                    }
                },
            },
        ),
        (
            "param p resourceOutput<'Microsoft.Rp/things@2020-01-01'>.properties.list = [1]",
            {
                "type": "array",
                "defaultValue": [1],
                "metadata": {
                    "__bicep_resource_derived_type!": {
                        "source": "Microsoft.Rp/things@2020-01-01"
                        "#properties/properties/properties/list",
                        "output": True,
                    }
                },
            },
        ),
    ],
)  # fmt: skip
def test_parameter(tmp_path: Path, declaration: str, expected: Json) -> None:
    assert at(template(tmp_path, declaration + "\n"), "parameters/p") == expected


def test_parts_of_types_are_references(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        type box = {
          size: int
          @description('how')
          kind: ('a' | 'b')?
          list: { deep: string }[]
          self: box?
        }
        type dict = { *: bool }
        type pair = [string, int]
        type more = 'c' | kinds | 'a'
        type kinds = 'a' | 'b'
        param a box.size
        param b box.list[*].deep
        param c dict.*
        param d pair[1]
        param e more
        param f box.list
        """,
    )
    assert found["parameters"] == {
        "a": {"$ref": "#/definitions/box/properties/size"},
        "b": {"$ref": "#/definitions/box/properties/list/items/properties/deep"},
        "c": {"$ref": "#/definitions/dict/additionalProperties"},
        "d": {"$ref": "#/definitions/pair/prefixItems/1"},
        "e": {"$ref": "#/definitions/more"},
        "f": {"$ref": "#/definitions/box/properties/list"},
    }
    assert found["definitions"]["more"] == {"type": "string", "allowedValues": ["a", "b", "c"]}
    assert at(found, "definitions/box/properties/self") == {
        "$ref": "#/definitions/box",
        "nullable": True,
    }
    assert at(found, "definitions/box/properties/kind") == {
        "type": "string",
        "allowedValues": ["a", "b"],
        "nullable": True,
        "metadata": {"description": "how"},
    }


def test_tagged_unions(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        type a = { type: 'a', x: int }
        @discriminator('type')
        type some = a | { type: 'b' }
        @discriminator('type')
        param p (some | { type: 'c' })?
        """,
    )
    b = {"type": "object", "properties": {"type": {"type": "string", "allowedValues": ["b"]}}}
    c = {"type": "object", "properties": {"type": {"type": "string", "allowedValues": ["c"]}}}
    reference = {"$ref": "#/definitions/a"}
    assert at(found, "definitions/some/discriminator") == {
        "propertyName": "type",
        "mapping": {"a": reference, "b": b},
    }
    assert at(found, "parameters/p") == {
        "type": "object",
        "discriminator": {"propertyName": "type", "mapping": {"a": reference, "b": b, "c": c}},
        "nullable": True,
    }


def test_exported_variables_are_told_in_the_metadata(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        @export()
        @description('an answer')
        var b int = 42
        @export()
        var a = 'x'
        """,
    )
    assert found["metadata"]["__bicep_exported_variables!"] == [
        {"name": "a"},
        {"name": "b", "description": "an answer", "type": {"type": "int"}},
    ]


def test_a_part_of_a_resource_type_is_spelt_as_azure_spells_it(tmp_path: Path) -> None:
    found = template(
        tmp_path, "param p resourceInput<'microsoft.cdn/profiles/endpoints@2025-04-15'>.tags?\n"
    )
    mark = at(found, "parameters/p/metadata")["__bicep_resource_derived_type!"]
    assert mark["source"] == "Microsoft.Cdn/profiles/endpoints@2025-04-15#properties/tags"


def test_a_union_that_comes_again_and_again_is_read_once(tmp_path: Path) -> None:
    """Each name doubles what a naive reading goes through: it would never end."""
    lines = ["type s0 = 'a' | 'b' | null"]
    lines += [f"type s{i} = s{i - 1} | s{i - 1}! | 'c{i}' | s{i - 1}" for i in range(1, 60)]
    found = template(tmp_path, "\n".join([*lines, "param p s59", "output o s59 = p", ""]))
    last = at(found, "definitions/s59")
    assert last["nullable"] is True
    assert last["allowedValues"] == sorted(["a", "b", *(f"c{i}" for i in range(1, 60))])


def test_only_types_that_must_hold_themselves_are_refused(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        """
        type a = { x: b }
        type b = { x: c[], y: string }
        type c = { x: a }
        type d = { x: a, y: d? }
        type e = e
        """,
    )
    assert [(one.code, one.line) for one in found] == [("BCP298", line) for line in (1, 2, 3, 5)]
