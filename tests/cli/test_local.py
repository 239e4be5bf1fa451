"""The local cloud's own commands, `init`, and shell completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.asking import ok, until
from tests.cli.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]

# --------------------------------------------------------------------------------- local, init


def test_local_env_lets_a_plain_client_in(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(
        "import json, os, ssl, urllib.request as u\n"
        "ask = u.Request(os.environ['IDENTITY_ENDPOINT']\n"
        "  + '?api-version=2019-08-01&resource=https://management.azure.com',\n"
        "  headers={'X-IDENTITY-HEADER': os.environ['IDENTITY_HEADER']})\n"
        "token = json.load(u.urlopen(ask))['access_token']\n"
        "url = (os.environ['AZURE_RESOURCE_MANAGER_ENDPOINT'] + '/subscriptions/'\n"
        "  + os.environ['AZURE_SUBSCRIPTION_ID'] + '/providers/Microsoft.App/jobs'\n"
        "  + '?api-version=2025-01-01')\n"
        "ask = u.Request(url, headers={'Authorization': 'Bearer ' + token})\n"
        "found = json.load(u.urlopen(ask))\n"
        "print(sorted(job['name'] for job in found['value']))\n"
    )
    values = json.loads(ok(cli("local", "env", "-o", "json")))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **values},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "['ghost', 'sleeper', 'talker', 'twins', 'yearly']", done.stderr
    metadata = urllib.request.Request(values["ARM_CLOUD_METADATA_URL"])
    import ssl

    context = ssl.create_default_context(cafile=values["SSL_CERT_FILE"])
    with urllib.request.urlopen(metadata, context=context) as answer:
        assert values["AZURE_RESOURCE_MANAGER_ENDPOINT"] in answer.read().decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs sh")
def test_local_env_can_be_evaluated_by_a_shell(cli: Cli) -> None:
    text = ok(cli("local", "env"))
    expected = json.loads(ok(cli("local", "env", "-o", "json")))
    done = subprocess.run(
        ["sh", "-c", 'eval "$0"; env', text], capture_output=True, text=True, check=True, env={}
    )
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert {name: found.get(name) for name in expected} == expected


def test_local_status_tells_what_the_running_server_was_started_with(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        'default_profile = "local"\n[profiles.local]\nkind = "local"\nlimits = "relaxed"\n'
    )
    cli = Cli(tmp_path)
    free = ("--port", "0", "--identity-port", "0", "--amqp-port", "0", "--amqps-port", "0")
    try:
        ok(cli("local", "up", "--rbac", "enforce", "--throttling", "enforce", *free))
        again = cli("local", "up", "--throttling", "off", *free)
        told = json.loads(ok(cli("local", "status", "-o", "json")))
        table = ok(cli("local", "status"))
    finally:
        cli("local", "reset", "--yes")
    kept = {key: told[key] for key in ("executor", "rbac", "limits", "throttling")}
    assert kept == {
        "executor": "process",
        "rbac": "enforce",
        "limits": "relaxed",
        "throttling": "enforce",
    }
    assert again.status == 1, again
    assert 'with throttling = "enforce" instead of "off"' in again.err
    for key, value in kept.items():
        assert any(line.split() == [key, value] for line in table.splitlines()), table


def test_local_logs_show_the_servers_own_log(cli: Cli) -> None:
    assert len(ok(cli("local", "logs", "--tail", "1")).splitlines()) == 1
    running = cli.start("local", "logs", "--follow", "--tail", "1")
    assert running.stdout is not None
    assert running.stdout.readline()  # what was there; from here on it reads what is new
    with (cli.folder / ".orchestrator" / "local" / "server.log").open("a") as log:
        log.write("a new line\n")
    assert running.stdout.readline() == "a new line\n"
    running.kill()
    running.communicate(timeout=30)


def test_v_shows_the_requests_and_no_secret(cli: Cli) -> None:
    result = cli.spawn("-v", "jobs", "list")
    assert "talker" in ok(result)
    assert "Request URL" in result.err
    assert "providers/Microsoft.App/jobs" in result.err
    assert "eyJ" not in result.err
    header = json.loads(ok(cli("local", "env", "-o", "json")))["IDENTITY_HEADER"]
    assert header not in result.err
    very = cli.spawn("-vv", "start", "talker", "--wait")
    assert very.status == 0
    assert header not in very.err
    assert "eyJ" not in very.err


def test_init_writes_the_sample_once(tmp_path: Path) -> None:
    here = Cli(tmp_path)
    written = [row["file"] for row in json.loads(ok(here("init", "-o", "json")))]
    assert {"orchestrator.toml", "jobs/sender.py", "jobs/processor.py", "jobs/receiver.py"} <= {
        name.replace(os.sep, "/") for name in written
    }
    assert ".orchestrator/" in (tmp_path / ".gitignore").read_text().splitlines()
    assert not list(tmp_path.rglob("__pycache__"))
    assert (tmp_path / "jobs" / ".dockerignore").read_text() == (
        ROOT / "jobs" / ".dockerignore"
    ).read_text(), "without it an image gets whatever lies in the folder, a .env too"
    (tmp_path / "orchestrator.toml").write_text("mine")
    again = here("init")
    assert again.status == 2
    assert "Already there" in again.err
    assert (tmp_path / "orchestrator.toml").read_text() == "mine"
    ok(here("init", "--force"))
    assert "[jobs.sender]" in (tmp_path / "orchestrator.toml").read_text()
    assert (tmp_path / ".gitignore").read_text().count(".orchestrator/") == 1


def test_init_keeps_a_gitignore_that_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log")
    ok(Cli(tmp_path)("init"))
    assert (tmp_path / ".gitignore").read_text() == "*.log\n.orchestrator/\n"


def test_what_init_writes_can_be_read(tmp_path: Path) -> None:
    ok(Cli(tmp_path)("init", "mine"))
    result = Cli(tmp_path / "mine")("jobs", "list")
    assert result.status == 1
    assert "No local cloud is running" in result.err


# ---------------------------------------------------------------------------------- completion


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_bash_script_completes(cli: Cli) -> None:
    script = ok(cli("completion", "bash")).replace("$1)", f"{sys.executable} -m orchestrator)")
    asked = (
        f"{script}\nCOMP_WORDS=(orchestrator start tw); COMP_CWORD=2;"
        "_orchestrator_completion orchestrator; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", asked], cwd=cli.folder, capture_output=True, text=True, check=False
    )
    assert done.stdout == "twins\n", done.stderr


def test_names_complete(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "bash_complete")

    def completed(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        return [row.split(",")[1] for row in cli().out.splitlines()]

    assert completed("orchestrator exec") == ["executions"]
    assert completed("orchestrator executions w") == ["wait"]
    assert completed("orchestrator start t") == ["talker", "twins"]
    assert completed("orchestrator logs --job y") == ["yearly"]
    assert completed("orchestrator --profile a") == ["azure"]
    assert "talker@latest" in completed("orchestrator executions show talker")
    assert "--follow" in completed("orchestrator start talker --f")


def test_completion_waits_for_the_service_once_and_then_looks_behind_the_prompt(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.cli import known_names

    first = ok(cli("start", "talker")).strip()

    def seen() -> list[str]:
        return [name for name, _ in known_names.names("executions", str(settings), None)]

    settings = cli.folder / "orchestrator.toml"
    assert first in seen()
    asked: list[str] = []
    monkeypatch.setattr(known_names, "look", lambda *_: asked.append("waited"))
    second = ok(cli("start", "talker")).strip()
    seen()
    assert asked == []  # fresh, or looked up by a process of its own
    monkeypatch.setattr(known_names, "FRESH", 0.5)
    until(lambda: second in seen())
    assert asked == []


def test_completion_without_a_cloud_knows_the_settings_and_is_silent(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "orchestrator executions show ye")
    monkeypatch.setenv("COMP_CWORD", "3")
    answer = bare()
    assert (answer.out, answer.err) == ("plain,yearly@latest\n", "")


def test_what_is_seldom_completed_is_looked_up_on_its_own(cli: Cli) -> None:
    from orchestrator.cli import known_names

    settings = str(cli.folder / "orchestrator.toml")
    fault = json.loads(
        ok(cli("local", "fault", "add", "latency", "--delay", "1s", "--on", "/no", "-o", "json"))
    )
    try:
        assert [fault["id"]] in known_names.names("faults", settings, None)
    finally:
        ok(cli("local", "fault", "remove", fault["id"]))
    ok(cli("queues", "create", "letters", "--dead-letter-on-expiration"))
    ok(cli("queues", "send", "letters", "late", "--time-to-live", "1s"))
    until(lambda: json.loads(ok(cli("queues", "show", "letters", "-o", "json")))["dead_letter"])
    # No prompt waits for these: the first TAB has nothing, a later one has them.
    assert known_names.names("reasons", settings, None, "letters") == []
    until(
        lambda: known_names.names("reasons", settings, None, "letters") == [["TTLExpiredException"]]
    )
    assert known_names.names("alerts", settings, None) == []
