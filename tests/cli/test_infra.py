"""`orchestrator infra …` and `jobs export`: what people see, and what scripts do."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result


def ok(result: Result) -> str:
    assert result.status == 0, result.err
    return result.out


def refused(result: Result, status: int, *words: str) -> None:
    assert result.status == status
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err, result.err


def test_build_prints_or_writes_a_template(cli: Cli, tmp_path: Path) -> None:
    printed = json.loads(ok(cli("infra", "build", "--stdout")))
    ok(cli("infra", "build"))  # no template of its own: the one that comes along
    written = cli.folder / "main.json"
    assert json.loads(written.read_text()) == printed
    written.unlink()
    assert printed["parameters"]["queues"]["metadata"]["description"]
    file = tmp_path / "x.bicep"
    file.write_text("output y string = 'z'\n")
    ok(cli("infra", "build", str(file)))
    assert json.loads((tmp_path / "x.json").read_text())["outputs"]["y"]["value"] == "z"
    refused(cli("infra", "build", str(tmp_path / "x.json")), 2, "already", "-f FILE")
    ok(cli("infra", "build", str(file), "-f", str(tmp_path / "other.json")))
    refused(
        cli("infra", "build", str(file), "-f", str(tmp_path / "no" / "x")), 2, "can't be written"
    )


def test_wrong_bicep_is_shown_with_its_place(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.bicep"
    file.write_text("output y string = nothing\n")
    refused(cli("infra", "build", str(file), "--stdout"), 2, "wrong.bicep(1,19)", "^^^^^^^")
    refused(cli("infra", "build", str(tmp_path / "none.bicep")), 2, "none.bicep")


def test_what_is_deployed_is_shown_with_its_outputs(cli: Cli) -> None:
    shown = json.loads(ok(cli("infra", "show", "-o", "json")))
    assert shown["outputs"]["environmentName"] == "local"
    assert "Microsoft.ServiceBus/namespaces/queues" in {r["type"] for r in shown["resources"]}
    host = ok(cli("infra", "show", "--query", "outputs.serviceBusHostName", "-o", "tsv"))
    assert host == "sb-local.servicebus.windows.net\n"
    text = ok(cli("infra", "show"))
    for word in ("queue", "work", "Outputs", "serviceBusHostName"):
        assert word in text
    refused(cli("infra", "show", "--name", "nothing"), 1, "Nothing is deployed as nothing")


def test_what_if_tells_nothing_then_something(cli: Cli) -> None:
    assert "to create" not in ok(cli("infra", "what-if"))
    assert cli("infra", "what-if", "--exit-code").status == 0
    more = cli("infra", "what-if", "--set", "retentionInDays=90", "--exit-code")
    assert more.status == 2
    assert "~ workspace" in more.out
    assert "~ retentionInDays  30" in more.out
    assert "1 to change" in more.out
    found = json.loads(ok(cli("infra", "what-if", "--set", "retentionInDays=90", "-o", "json")))
    assert [c["changeType"] for c in found if c["changeType"] == "Modify"] == ["Modify"]


def test_deploying_again_changes_nothing(cli: Cli) -> None:
    out = ok(cli("infra", "deploy"))
    assert "nothing was changed" in out
    assert json.loads(ok(cli("infra", "deploy", "-o", "json")))["state"] == "succeeded"


def test_validate_accepts_and_refuses(cli: Cli) -> None:
    assert cli("infra", "validate").status == 0
    refused(cli("infra", "validate", "--set", "serviceBusSku=Gold"), 1, "serviceBusSku")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deploy", "--set", "novalue"], ["novalue", "--set NAME=VALUE"]),
        (["deploy", "--set", "retentionDays=1"], ["retentionDays", "retentionInDays"]),
        (["deploy", "--set", "retentionInDays=many"], ["retentionInDays", "int"]),
        (["deploy", "nowhere.bicep"], ["nowhere.bicep"]),
        (["deploy", "--parameters", "nowhere.json"], ["nowhere.json"]),
    ],
)
def test_wrong_input_is_told(cli: Cli, arguments: list[str], words: list[str]) -> None:
    refused(cli("infra", *arguments), 2, *words)


def test_destroy_asks_and_says_what_would_go(cli: Cli) -> None:
    result = cli("infra", "destroy")
    refused(result, 2, "--yes", "queue", "work", "talker")
    assert json.loads(ok(cli("infra", "show", "-o", "json")))["resources"]


def test_a_job_is_exported_in_three_forms(cli: Cli, tmp_path: Path) -> None:
    assert "resource job 'Microsoft.App/jobs@" in ok(cli("jobs", "export", "twins"))
    template = json.loads(ok(cli("jobs", "export", "twins", "--json")))
    assert template["parameters"]["name"]["defaultValue"] == "twins"
    settings = tomllib.loads(ok(cli("jobs", "export", "twins", "--toml")))
    assert settings["jobs"]["twins"]["parallelism"] == 2
    file = tmp_path / "twins.bicep"
    assert ok(cli("jobs", "export", "twins", "-f", str(file))) == ""
    assert file.read_text().startswith("// The job twins.")
    refused(cli("jobs", "export", "twin"), 1, 'Did you mean "twins"?')
    refused(cli("jobs", "export", "twins", "-f", str(tmp_path / "n" / "x")), 2, "can't be written")
