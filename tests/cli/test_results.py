"""What the commands show: lists, logs, answers, changes, each format."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.cli.asking import ok, until
from tests.cli.conftest import Cli

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
        # Each line begins with its replica: the execution's name and five characters more.
        assert [line.split()[0].rpartition("-")[0] for line in heard] == names
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
    # Other tests of the same project make queues of their own.
    assert [row["name"] for row in data["queues"]].count("work") == 1
    query = "queues[?name=='work'].dead_letter"
    assert ok(cli("status", "--query", query, "-o", "tsv")) == "0\n"
