"""The commands as a user types them, against a real local cloud."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Result


def ok(result: Result) -> str:
    assert result.status == 0, result
    return result.out


def until(test: Callable[[], object], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not test():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


def status_of(cli: Cli, execution: str) -> str:
    shown = cli("executions", "show", execution, "--query", "properties.status", "-o", "tsv")
    return ok(shown).strip()


# ---------------------------------------------------------------------------- start, wait, stop


def test_start_prints_the_name_alone_and_wait_gives_the_outcome(cli: Cli) -> None:
    started = cli("start", "talker")
    name = ok(started).strip()
    assert name.startswith("talker-")
    assert started.err == ""  # hints are for terminals
    waited = cli("executions", "wait", name)
    assert ok(waited) == f"{name}\n"
    assert f"{name} succeeded" in waited.err
    assert status_of(cli, name) == "Succeeded"


def test_follow_prints_what_the_replica_writes_and_ends_with_it(cli: Cli) -> None:
    result = cli("start", "talker", "--follow")
    lines = ok(result).splitlines()
    assert [line.split(" args")[0] for line in lines] == ["line 1", "line 2"]
    assert "succeeded after" in result.err


def test_env_changes_one_variable_and_keeps_the_others(cli: Cli) -> None:
    lines = ok(cli("start", "talker", "-e", "GREETING=a=b c", "--follow")).splitlines()
    assert len(lines) == 2  # LINES=2 of the template is still there
    assert all(line.endswith("greeting=a=b c") for line in lines)
    again = ok(cli("start", "talker", "--follow")).splitlines()
    assert all(line.endswith("greeting=") for line in again)


def test_args_reach_the_payload(cli: Cli) -> None:
    out = ok(cli("start", "talker", "--arg", "one", "--arg", "two words", "--follow"))
    assert "args=['one', 'two words']" in out


def test_a_failed_execution_ends_with_3_and_shows_its_stderr(cli: Cli) -> None:
    result = cli("start", "talker", "-e", "STATUS=7", "--follow")
    assert result.status == 3
    assert "about to fail" in result.out
    assert "failed after" in result.err
    assert "Next: orchestrator logs --execution talker-" in result.err
    waited = cli("start", "talker", "-e", "STATUS=7", "--wait")
    assert waited.status == 3
    assert status_of(cli, waited.out.strip()) == "Failed"


def test_an_image_nobody_knows_fails_the_execution(cli: Cli) -> None:
    result = cli("start", "ghost", "--wait", "--timeout", "30s")
    assert result.status == 3
    system = cli(
        "query",
        f"ContainerAppSystemLogs_CL | where ExecutionName_s == '{result.out.strip()}'"
        " | project Log_s",
    )
    assert "no-such-image" in ok(system)


def test_an_execution_beyond_its_time_out_ends_with_5(cli: Cli) -> None:
    result = cli("start", "sleeper", "--wait")
    assert result.status == 5
    assert "exceeded its replica time-out" in result.err


def test_timeout_ends_the_waiting_and_not_the_execution(cli: Cli) -> None:
    for how in ("--wait", "--follow"):
        result = cli("start", "talker", "-e", "SECONDS=60", how, "--timeout", "1s")
        assert result.status == 124
        name = _latest(cli, "talker")
        assert name in result.err
        assert "Next: " in result.err
        assert status_of(cli, name) == "Running"
        stopped = cli("stop", name)
        assert "Stopped" in ok(stopped)
        assert status_of(cli, name) == "Stopped"
        again = cli("stop", name)
        assert ok(again)
        assert "has ended already" in again.err


def test_a_stopped_execution_ends_a_follower_with_4(cli: Cli) -> None:
    running = cli.start("start", "talker", "-e", "SECONDS=60", "--follow")
    assert running.stdout is not None
    running.stdout.readline()
    ok(cli("stop", "talker@latest"))
    _, err = running.communicate(timeout=30)
    assert running.returncode == 4, err
    assert "was stopped" in err


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("how", ["--follow", "--wait"])
def test_ctrl_c_detaches_and_the_execution_goes_on(cli: Cli, how: str) -> None:
    running = cli.start("start", "talker", "-e", "SECONDS=60", how)
    assert running.stdout is not None
    running.stdout.readline()
    name = _latest(cli, "talker")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert f"Detached from {name}; it continues." in err
    assert "Traceback" not in err
    assert status_of(cli, name) == "Running"
    ok(cli("stop", name))


def test_stop_all_stops_what_runs_and_nothing_else(cli: Cli) -> None:
    names = {ok(cli("start", "talker", "-e", "SECONDS=60")).strip() for _ in range(2)}
    until(lambda: all(status_of(cli, name) == "Running" for name in names))
    stopped = json.loads(ok(cli("stop", "--job", "talker", "--all", "-o", "json")))
    assert {row["name"] for row in stopped} == names
    assert json.loads(ok(cli("stop", "--job", "talker", "--all", "-o", "json"))) == []


def _latest(cli: Cli, job: str) -> str:
    out = ok(cli("executions", "show", f"{job}@latest", "--query", "name", "-o", "tsv"))
    return out.strip()


# --------------------------------------------------------------------------------------- lists


def test_executions_list_has_the_shape_of_az(cli: Cli) -> None:
    name = ok(cli("start", "talker", "--wait")).strip()
    rows = json.loads(ok(cli("executions", "list", "--job", "talker", "-o", "json")))
    row = next(r for r in rows if r["name"] == name)
    assert row["id"].endswith(f"/jobs/talker/executions/{name}")
    assert row["resourceGroup"] == "local"
    assert row["type"].lower() == "microsoft.app/jobs/executions"
    assert row["properties"]["status"] == "Succeeded"
    assert row["properties"]["startTime"] < row["properties"]["endTime"]
    container = row["properties"]["template"]["containers"][0]
    assert {"name": "LINES", "value": "2"} in container["env"]
    assert rows == sorted(rows, key=lambda r: r["properties"]["startTime"], reverse=True)


def test_executions_list_filters(cli: Cli) -> None:
    ok(cli("start", "talker", "--wait"))
    assert cli("start", "talker", "-e", "STATUS=1", "--wait").status == 3
    ok(cli("start", "twins", "--wait"))

    def names(*more: str) -> list[str]:
        return ok(cli("executions", "list", "--query", "[].name", "-o", "tsv", *more)).split()

    assert {name.split("-")[0] for name in names()} >= {"talker", "twins"}
    assert {name.split("-")[0] for name in names("--job", "twins")} == {"twins"}
    assert len(names("--limit", "1")) == 1
    assert names("--limit", "1") == names()[:1]
    failed = ok(cli("executions", "list", "--status", "failed", "-o", "csv"))
    states = {row["status"] for row in csv.DictReader(io.StringIO(failed))}
    assert states == {"Failed"}
    assert names("--since", "1h") == names()
    assert names("--since", "0s") == []


def test_global_options_are_taken_before_and_after_the_command(cli: Cli) -> None:
    before = cli("-o", "json", "--query", "[].name", "--profile", "local", "jobs", "list")
    after = cli("jobs", "list", "--profile", "local", "--query", "[].name", "-o", "json")
    assert ok(before) == ok(after)
    assert sorted(json.loads(before.out)) == ["ghost", "sleeper", "talker", "twins", "yearly"]
    assert ok(cli("-o", "json", "jobs", "list", "-o", "tsv", "--query", "[0].name")) == "ghost\n"
    elsewhere = Cli(Path(cli.folder).parent)
    file = str(cli.folder / "orchestrator.toml")
    assert ok(elsewhere("--settings", file, "jobs", "list", "-o", "json", "--query", "[].name"))


def test_tables_in_a_pipe_are_plain(cli: Cli) -> None:
    out = ok(cli.spawn("jobs", "list"))
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["job", "trigger", "starts"]
    assert [line.split()[0] for line in lines[1:]] == [
        "ghost",
        "sleeper",
        "talker",
        "twins",
        "yearly",
    ]
    assert "\x1b" not in out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colours_unless_told_otherwise(cli: Cli, no_color: bool) -> None:
    import pty

    ours, theirs = pty.openpty()
    options = ["--no-color"] if no_color else []
    running = cli.start(
        "jobs",
        "list",
        *options,
        stdout=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "90"},
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux ends a pseudo-terminal with EIO
        pass
    os.close(ours)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert b"talker" in seen
    assert (b"\x1b[32mReady" in seen) is not no_color


# ---------------------------------------------------------------------------------------- logs


def test_logs_are_found_by_job_execution_and_pattern(cli: Cli) -> None:
    name = ok(cli("start", "talker", "-e", "GREETING=needle", "-e", "LINES=5", "--wait")).strip()

    def lines(*arguments: str) -> list[str]:
        return ok(cli("logs", *arguments)).splitlines()

    until(lambda: len(lines("--execution", name)) == 5)
    assert lines("--execution", name, "--tail", "2")[-1].startswith("line 5")
    assert [line[:6] for line in lines("--execution", name, "--grep", "line [24]")] == [
        "line 2",
        "line 4",
    ]
    assert lines("--execution", "talker@latest", "--tail", "1")
    assert len(lines("--job", "talker", "--grep", "needle", "--since", "10m")) == 5
    rows = json.loads(ok(cli("logs", "--execution", name, "-o", "json")))
    assert rows[0]["execution"] == name
    assert rows[0]["stream"] == "stdout"
    stamped = lines("--execution", name, "--timestamps")
    assert stamped[0].split()[0] == rows[0]["time"]


def test_lines_of_several_replicas_are_told_apart(cli: Cli) -> None:
    result = cli("start", "twins", "--follow")
    speakers = {line.split()[0] for line in ok(result).splitlines()}
    assert len(speakers) == 2
    assert all(speaker.startswith("twins-") for speaker in speakers)


def test_logs_follow_ends_with_the_execution(cli: Cli) -> None:
    name = ok(cli("start", "talker", "-e", "SECONDS=1")).strip()
    out = ok(cli("logs", "--execution", name, "--follow"))
    assert len(out.splitlines()) == 2
    jsonl = ok(cli("start", "talker", "--follow", "-o", "jsonl"))
    assert [json.loads(line)["text"][:6] for line in jsonl.splitlines()] == ["line 1", "line 2"]


def test_logs_follow_of_a_job_hears_what_starts_later(cli: Cli) -> None:
    running = cli.start("logs", "--job", "talker", "--follow")
    try:
        time.sleep(2)  # it listens; what starts from now on is to be heard
        names = [ok(cli("start", "talker", "-e", "LINES=1", "--wait")).strip() for _ in range(2)]
        assert running.stdout is not None
        heard = [running.stdout.readline() for _ in range(2)]
        assert [line.split()[0] for line in heard] == names
    finally:
        running.send_signal(signal.SIGINT) if sys.platform != "win32" else running.kill()
        _, err = running.communicate(timeout=30)
    if sys.platform != "win32":
        assert (running.returncode, err) == (130, "")


# --------------------------------------------------------------------------------------- query


def test_query_reads_an_argument_a_file_and_standard_input(cli: Cli, tmp_path: Path) -> None:
    kql = "print a = 1, b = 'x'"
    file = tmp_path / "q.kql"
    file.write_text(kql)
    expected = [{"a": 1, "b": "x"}]
    assert json.loads(ok(cli("query", kql, "-o", "json"))) == expected
    assert json.loads(ok(cli("query", "-f", str(file), "-o", "json"))) == expected
    assert json.loads(ok(cli("query", "-", "-o", "json", stdin=kql))) == expected
    assert json.loads(ok(cli("query", "-f", "-", "-o", "json", stdin=kql))) == expected
    assert ok(cli("query", kql, "-o", "tsv")) == "1\tx\n"
    assert ok(cli("query", kql, "--query", "[0].b", "-o", "tsv")) == "x\n"
    assert ok(cli("query", kql)).split() == ["a", "b", "1", "x"]


# ----------------------------------------------------------------------------- deploy, status


def test_deploy_says_what_changed_and_nothing_twice(cli: Cli) -> None:
    settings = cli.folder / "orchestrator.toml"
    before = settings.read_text()
    try:
        settings.write_text(before.replace('timeout = "2s"', 'timeout = "3s"'))
        changed = json.loads(ok(cli("deploy", "-o", "json")))
        by_name = {change["name"]: change for change in changed}
        assert by_name["sleeper"]["action"] == "updated"
        assert by_name["talker"]["action"] == "unchanged"
        assert "timeout" in json.dumps(by_name["sleeper"]["fields"])
        again = json.loads(ok(cli("deploy", "-o", "json")))
        assert {change["action"] for change in again} == {"unchanged"}
        assert len(json.loads(ok(cli("deploy", "talker", "-o", "json")))) == 1
    finally:
        settings.write_text(before)
        ok(cli("deploy"))


def test_up_twice_changes_nothing(cli: Cli) -> None:
    changes = json.loads(ok(cli("up", "-o", "json")))
    assert {change["action"] for change in changes} == {"unchanged"}


def test_jobs_can_be_deleted_and_deployed_again(cli: Cli) -> None:
    ok(cli("jobs", "delete", "ghost", "--yes"))
    assert cli("jobs", "show", "ghost").status == 1
    made = json.loads(ok(cli("deploy", "ghost", "-o", "json")))
    assert made[0]["action"] == "created"


def test_status_shows_jobs_and_queues(cli: Cli) -> None:
    out = ok(cli("status"))
    assert out.startswith("profile local")
    assert "talker" in out
    assert "work" in out
    data = json.loads(ok(cli("status", "-o", "json")))
    assert {row["name"] for row in data["queues"]} == {"work"}
    assert ok(cli("status", "--query", "queues[].dead_letter", "-o", "tsv")) == "0\n"


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


def test_local_logs_show_the_servers_own_log(cli: Cli) -> None:
    assert ok(cli("local", "logs", "--tail", "3"))


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
