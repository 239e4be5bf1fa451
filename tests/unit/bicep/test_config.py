"""bicepconfig.json: which one counts, and what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.bicep.config import experimental, module_alias
from tests.unit.bicep.compiling import at, refused, template


def test_a_configuration_extends_another(tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    base = {
        "moduleAliases": {"br": {"a": {"registry": "one"}, "b": {"registry": "two"}}},
        "experimentalFeaturesEnabled": {"waitUntil": True, "assertions": True},
    }
    near = {
        "extends": "../shared.json",
        "moduleAliases": {"br": {"a": {"registry": "other"}}},
        "experimentalFeaturesEnabled": {"assertions": False},
    }
    (tmp_path / "shared.json").write_text("// shared\n" + json.dumps(base))
    (tmp_path / "near" / "bicepconfig.json").write_text(json.dumps(near))
    folder = tmp_path / "near"
    assert module_alias(folder, "br", "a") == {"registry": "other"}
    assert module_alias(folder, "br", "b") == {"registry": "two"}
    assert experimental(folder, "waitUntil")
    assert not experimental(folder, "assertions")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "BCP271"),
        ("[]", "BCP271"),
        ('{"extends": "missing.json"}', "BCP271"),
        ('{"extends": "/etc/x.json"}', "BCP453"),
        ('{"extends": "./bicepconfig.json"}', "BCP454"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, text: str, code: str) -> None:
    (found,) = refused(tmp_path, "var a = 1\n", bicepconfig__json=text)
    assert found.code == code


@pytest.mark.parametrize(
    "aliases", [[], {"br": []}, {"br": {"a": 1}}, {"br": {"a": {"registry": 1}}}]
)
def test_aliases_that_are_none(tmp_path: Path, aliases: object) -> None:
    config = json.dumps({"moduleAliases": aliases})
    (found,) = refused(
        tmp_path, "module m 'br/a:b:1.0' = { name: 'm' }\n", bicepconfig__json=config
    )
    assert found.code == "BCP213"


def test_names_and_texts_of_yaml(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        "var a = loadYamlContent('v.yaml')\noutput o object = a\n",
        v__yaml="""
        1: one
        true: yes
        time: 1:20
        size: 0x10
        base: &base { b: 1 }
        more: { <<: *base, c: 2 }
        """,
    )
    assert at(found, "variables/$fxv#0") == {
        "1": "one",
        "true": "yes",
        "time": "1:20",
        "size": 16,
        "base": {"b": 1},
        "more": {"b": 1, "c": 2},
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [*x]",
        "\n".join(
            ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
        ),
    ],
)
def test_yaml_that_never_ends(tmp_path: Path, text: str) -> None:
    (found,) = refused(tmp_path, "var a = loadYamlContent('v.yaml')\n", v__yaml=text)
    assert found.code == "BCP186"


@pytest.mark.parametrize("text", ["a: !!set {x}", "a: !!binary aGk=", "a: [.nan]", "a: .inf"])
def test_yaml_that_is_no_json(tmp_path: Path, text: str) -> None:
    (found,) = refused(tmp_path, "var a = loadYamlContent('v.yaml')\n", v__yaml=text)
    assert found.code == "BCP186"
