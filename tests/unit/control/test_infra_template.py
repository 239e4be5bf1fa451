"""Which template is deployed, and where each of its parameters comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.azure.profile import Profile, resolve
from orchestrator.errors import BadInput
from orchestrator.infra import template as infra_template
from orchestrator.settings import Settings, load

TOML = """
[profiles.local]
kind = "local"
[queues.in]
lock_duration = "30s"
[queues.out]
duplicate_detection = "10m"
[jobs.own]
trigger = "event"
image = "x"
receives = ["in"]
scale = { rules = [{ name = "in", queue = "in" }] }
[jobs.plain]
trigger = "manual"
image = "x"
"""


def project(folder: Path, text: str = TOML) -> tuple[Settings, Profile]:
    (folder / "orchestrator.toml").write_text(text)
    settings = load(folder / "orchestrator.toml")
    return settings, resolve(settings, environ={})


def write(path: Path, parameters: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"resources": [], "parameters": parameters}))
    return path


def loaded(folder: Path, declared: dict[str, Any], **given: Any) -> dict[str, Any]:
    settings, profile = project(folder)
    file = write(folder / "other" / "main.json", declared)
    made = infra_template.load(settings, profile, file, **given)
    return {name: entry["value"] for name, entry in made.parameters.items()}


STRING = {"type": "string"}


def test_the_settings_fill_what_is_declared_and_nothing_else(tmp_path: Path) -> None:
    names = ("location", "serviceBusNamespaceName", "queues", "jobs", "scaledQueues", "mine")
    declared = {name: {"type": "string", "defaultValue": ""} for name in names}
    found = loaded(tmp_path, declared)
    assert found == {
        "location": "westeurope",
        "serviceBusNamespaceName": "sb-local",
        "queues": [
            {
                "name": "in",
                "properties": {
                    "lockDuration": "PT30S",
                    "maxDeliveryCount": 10,
                    "deadLetteringOnMessageExpiration": False,
                    "requiresSession": False,
                    "requiresDuplicateDetection": False,
                },
            },
            {
                "name": "out",
                "properties": {
                    "lockDuration": "PT1M",
                    "maxDeliveryCount": 10,
                    "deadLetteringOnMessageExpiration": False,
                    "requiresSession": False,
                    "requiresDuplicateDetection": True,
                    "duplicateDetectionHistoryTimeWindow": "PT10M",
                },
            },
        ],
        "jobs": [{"name": "own", "sends": [], "receives": ["in"]}],
        "scaledQueues": ["in"],
    }


def test_a_queue_with_a_slash_has_the_name_that_resource_manager_takes(tmp_path: Path) -> None:
    text = TOML.replace("[queues.in]", '[queues."in/eu"]').replace('["in"]', '["in/eu"]')
    text = text.replace('queue = "in"', 'queue = "in/eu"')
    given = infra_template.from_settings(*project(tmp_path, text))
    assert [queue["name"] for queue in given["queues"]] == ["in~eu", "out"]
    assert given["jobs"] == [{"name": "own", "sends": [], "receives": ["in~eu"]}]
    assert given["scaledQueues"] == ["in~eu"]


def test_an_option_wins_over_a_file_and_a_file_over_the_settings(tmp_path: Path) -> None:
    declared = dict.fromkeys(("location", "environmentName", "workspaceName"), STRING)
    file = tmp_path / "given.json"
    given = {"environmentName": {"value": "file"}, "workspaceName": {"value": "file"}}
    file.write_text(json.dumps({"parameters": given}))
    found = loaded(tmp_path, declared, parameters=file, values={"workspaceName": "option"})
    assert found == {
        "location": "westeurope",
        "environmentName": "file",
        "workspaceName": "option",
    }


def test_another_template_takes_outputs_of_the_infrastructure(tmp_path: Path) -> None:
    declared = {"environmentId": STRING, "optional": {"type": "string", "defaultValue": "x"}}
    outputs = {"environmentId": "/e", "optional": "never asked for", "more": 1}
    assert loaded(tmp_path, declared, outputs=lambda: outputs) == {"environmentId": "/e"}


def test_the_infrastructure_itself_takes_none(tmp_path: Path) -> None:
    settings, profile = project(
        tmp_path, TOML.replace('"local"\n', '"local"\ninfra = "i.json"\n', 1)
    )
    write(tmp_path / "i.json", {"environmentId": STRING})
    with pytest.raises(BadInput, match="environmentId"):
        infra_template.load(settings, profile, outputs=lambda: {"environmentId": "/e"})


def test_what_is_missing_is_told_with_its_description(tmp_path: Path) -> None:
    declared = {"tier": {"type": "string", "metadata": {"description": "Which one."}}}
    with pytest.raises(BadInput, match=r"tier: Which one\.") as caught:
        loaded(tmp_path, declared)
    assert "--set tier=" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "10", "10"),
        ("int", "10", 10),
        ("bool", "True", True),
        ("array", '["a"]', ["a"]),
        ("object", '{"a": 1}', {"a": 1}),
        ("securestring", "s", "s"),
        (None, "3", 3),
        (None, "word", "word"),
    ],
)
def test_text_is_read_as_the_parameters_type(
    tmp_path: Path, kind: str | None, text: str, value: object
) -> None:
    declared = {"p": {"type": kind} if kind else {"$ref": "#/definitions/x"}}
    assert loaded(tmp_path, declared, values={"p": text}) == {"p": value}


@pytest.mark.parametrize("kind", ["int", "bool", "array", "object"])
def test_text_that_is_of_another_type_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadInput, match=f"of type {kind}"):
        loaded(tmp_path, {"p": {"type": kind}}, values={"p": "no"})


def test_a_secrets_text_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        loaded(tmp_path, {"p": {"type": "secureObject"}}, values={"p": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_parameter_that_there_is_not_is_told_with_a_near_miss(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no parameter") as caught:
        loaded(tmp_path, {"retentionInDays": STRING}, values={"retentionDays": "1"})
    assert 'Did you mean "retentionInDays"?' in caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not JSON"), ("[]", "no template"), ("{}", "no parameters file")],
)
def test_a_file_that_is_no_template_is_told(tmp_path: Path, content: str, said: str) -> None:
    settings, profile = project(tmp_path)
    file = tmp_path / "x.json"
    file.write_text(content if content != "{}" else '{"parameters": {"a": 1}}')
    with pytest.raises(BadInput, match=said):
        infra_template.load(settings, profile, file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings, profile = project(tmp_path)
    for name in ("none.json", "none.bicep", "none.bicepparam"):
        with pytest.raises(BadInput, match="none"):
            infra_template.load(settings, profile, tmp_path / name)


def test_inputs_that_nobody_gives_are_told(tmp_path: Path) -> None:
    settings, profile = project(tmp_path)
    (tmp_path / "main.bicep").write_text("param a string\n")
    file = tmp_path / "main.bicepparam"
    file.write_text("using 'main.bicep'\nparam a = externalInput('sys.cli', 'a')\n")
    with pytest.raises(BadInput, match=r"external inputs \(sys\.cli\)") as caught:
        infra_template.load(settings, profile, file)
    assert "readEnvironmentVariable" in str(caught.value)


def test_the_profiles_template_is_found_beside_the_settings_first(tmp_path: Path) -> None:
    settings, profile = project(tmp_path)
    shipped = infra_template.infra_file(settings, profile)
    assert shipped.name == "main.bicep"
    assert tmp_path not in shipped.parents
    beside = tmp_path / "templates" / "infra" / "main.bicep"
    beside.parent.mkdir(parents=True)
    beside.write_text("")
    assert infra_template.infra_file(settings, profile) == beside


def test_a_deployment_is_named_after_its_file_and_never_as_the_infrastructure(
    tmp_path: Path,
) -> None:
    settings, profile = project(tmp_path)
    for path, name in (
        ("jobs/main.json", "jobs"),
        ("x/one two.json", "one-two"),
        ("infra/main.json", "infra-other"),
    ):
        made = infra_template.load(settings, profile, write(tmp_path / path, {}))
        assert made.name == name
    assert (
        infra_template.load(settings, profile, write(tmp_path / "y.json", {}), name="given").name
        == "given"
    )
