"""Bad input, by name: one sentence, the next step, a truthful exit status, and no traceback."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.asking import ok
from tests.cli.conftest import SETTINGS, Cli, Result


def refused(result: Result, status: int, *words: str) -> None:
    """The command failed as it should: it says so on stderr, and stdout is empty."""
    assert result.status == status, result
    assert result.out == ""
    assert "Traceback" not in result.err
    lines = result.err.splitlines()
    assert lines[0].endswith((".", "?"))
    assert any(line.startswith("Next: ") for line in lines), result.err
    for word in words:
        assert word in result.err, result.err


# ------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exections"], ["Did you mean 'orchestrator executions'?"]),
        (["executions", "lst"], ["Did you mean 'orchestrator executions list'?"]),
        (["xyzzy"], ["There is no command 'orchestrator xyzzy'", "orchestrator --help"]),
        (["start", "talker", "--folow"], ["--folow", "Did you mean --follow?"]),
        (["start"], ["needs JOB"]),
        (["start", "talker", "--env", "COUNT"], ["--env", "'COUNT' has no '='", "NAME=VALUE"]),
        (["start", "talker", "--env", "=5"], ["names no variable"]),
        (["start", "talker", "--wait", "--timeout", "10 minutes"], ["--timeout", "10m"]),
        (["start", "talker", "--wait", "--timeout=-5"], ["negative"]),
        (["start", "talker", "--timeout", "10m"], ["--timeout needs --wait or --follow"]),
        (["start", "talker", "--wait", "--follow"], ["either"]),
        (["executions", "list", "--since", "yesterday"], ["--since", '"yesterday"']),
        (["executions", "list", "--status", "Failled"], ["Did you mean Failed?"]),
        (["executions", "list", "--limit", "0"], ["--limit"]),
        (["executions", "list", "a", "--job", "b"], ["'a' and --job b", "give one of them"]),
        (["metrics"], ["either JOB or --queue QUEUE"]),
        (["metrics", "a", "--queue", "b"], ["either JOB or --queue QUEUE"]),
        (["executions", "list", "-o", "xml"], ["table, json, jsonl, yaml, csv, tsv"]),
        (["logs", "--grep", "a(b"], ["--grep", "position 2", "a(b\n   ^"]),
        (["logs", "--follow"], ["--job or --execution"]),
        (["jobs", "list", "--query", "[].{"], ["--query is not JMESPath", "[].{\n      ^"]),
        (["query"], ["query is empty"]),
        (["query", "print 1", "-f", "x.kql"], ["x.kql"]),
        (["query", "-f", "missing.kql"], ["missing.kql", "does not exist"]),
        (["stop"], ["EXECUTION"]),
        (["stop", "--all"], ["--all needs --job"]),
        (["stop", "x", "--job", "talker", "--all"], ["not both"]),
        (["local", "up", "--port", "70000"], ["--port", "70000"]),
        (["local", "env", "--shell", "tcsh"], ["--shell", "sh, fish, powershell"]),
        (["completion", "tcsh"], ["bash, zsh, fish"]),
        (["demo", "--messages", "0"], ["--messages"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_told_before_anything_is_contacted(
    bare: Cli, arguments: list[str], words: list[str]
) -> None:
    refused(bare(*arguments), 2, *words)


# --------------------------------------------------------------------------------- the settings


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('cron = "0 0 1 1 *"', 'cron = "0 0 0 1 1 *"', ["jobs.yearly.cron", "five"]),
        ("[jobs.ghost]", "[jobs.ghost]\ncpu = 3.3", ["jobs.ghost", "3.3"]),
        ("[jobs.ghost]", "[jobs.Ghost_1]", ["Ghost_1"]),
        ("[jobs.ghost]", "[jobs.ghost]\nimgae = 'x'", ["imgae", "image"]),
        ('LINES = "2"', 'LINES = { secret = "nowhere" }', ["nowhere"]),
        ('timeout = "2s"', 'timeout = "2 sec"', ["jobs.sleeper.timeout", "2 sec"]),
        ("[queues.work]", "[queues.work", ["orchestrator.toml"]),
    ],
    ids=["cron-of-six", "cpu-memory", "job-name", "key", "secret", "unit", "toml"],
)
def test_wrong_settings_name_the_file_and_the_key(
    bare: Cli, old: str, new: str, words: list[str]
) -> None:
    assert old in SETTINGS
    (bare.folder / "orchestrator.toml").write_text(SETTINGS.replace(old, new))
    refused(bare("jobs", "list"), 2, "orchestrator.toml", *words)


def test_an_unknown_profile_is_answered_with_the_near_miss(bare: Cli) -> None:
    refused(bare("--profile", "locla", "jobs", "list"), 2, "locla", 'Did you mean "local"?')


def test_a_settings_file_that_is_not_there_is_named(bare: Cli) -> None:
    refused(bare("--settings", "other.toml", "jobs", "list"), 2, "other.toml")


def test_the_name_of_a_saved_query_is_no_query(cli: Cli) -> None:
    refused(cli("query", "failures-by-job"), 2, "--saved failures-by-job")
    refused(cli("query", "print 1", "--param", "a=1"), 2, 'The query has no parameter "a"')


# ------------------------------------------------------------------------------ the local cloud


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["jobs", "list"],
        ["executions", "list"],
        ["start", "talker"],
        ["logs", "--job", "talker"],
        ["query", "print 1"],
        ["deploy"],
        ["local", "env"],
    ],
    ids=" ".join,
)
def test_without_a_local_cloud_every_command_says_how_to_start_it(
    bare: Cli, arguments: list[str]
) -> None:
    refused(bare(*arguments), 1, "No local cloud is running", "orchestrator local up")


def test_where_no_project_is_that_is_said(bare: Cli, tmp_path: Path) -> None:
    """Not to start a local cloud, which would be an empty one beside that of the project."""
    (bare.folder / "orchestrator.toml").unlink(missing_ok=True)
    for arguments in (["jobs", "list"], ["start", "talker"], ["logs", "--job", "talker"]):
        refused(bare(*arguments), 1, "there is no orchestrator.toml here", "orchestrator init")


def test_down_without_a_local_cloud_is_no_failure(bare: Cli) -> None:
    result = bare("down")
    assert (result.status, result.out) == (0, "")
    assert "was not running" in result.err


def test_local_status_tells_by_its_exit_status(bare: Cli, cli: Cli) -> None:
    stopped = bare("local", "status", "--query", "state", "-o", "tsv")
    assert (stopped.status, stopped.out) == (1, "stopped\n")
    running = cli("local", "status", "--query", "state", "-o", "tsv")
    assert (running.status, running.out) == (0, "running\n")


def test_a_local_cloud_that_runs_is_not_passed_for_another(cli: Cli) -> None:
    port = json.loads(ok(cli("local", "status", "-o", "json")))["ports"]["https"]
    ok(cli("local", "up", "--port", str(port)))
    refused(cli("local", "up", "--port", str(port + 1)), 1, f"on the port {port} instead of")
    refused(cli("local", "up", "--rbac", "enforce"), 1, 'with rbac = "off"', "local down")


def test_settings_that_wait_for_the_next_start_are_told(cli: Cli, tmp_path: Path) -> None:
    changed = tmp_path / "orchestrator.toml"
    state = json.dumps(str(cli.folder / ".orchestrator" / "local"))
    local = f'kind = "local"\nthrottling = "enforce"\nstate = {state}\n'
    changed.write_text(SETTINGS.replace('kind = "local"\n', local, 1))
    result = cli("--settings", str(changed), "local", "up")
    ok(result)
    assert 'throttling = "off" instead of "enforce"' in result.err
    assert "orchestrator local down" in result.err
    assert "rbac" not in result.err
    assert "instead of" not in cli("local", "up").err


def test_a_port_that_is_taken_is_named(bare: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(bare("local", "up", "--port", port), 1, port)
    assert bare("local", "status").status == 1


def pinned_to_any_port(bare: Cli) -> None:
    """Let this project's local cloud choose its ports."""
    ports = "".join(
        f"{name} = 0\n" for name in ("port", "identity_port", "amqp_port", "amqps_port")
    )
    settings = SETTINGS.replace('kind = "local"\n', f'kind = "local"\n{ports}')
    (bare.folder / "orchestrator.toml").write_text(settings)


def test_two_ups_at_once_start_one_local_cloud(bare: Cli) -> None:
    pinned_to_any_port(bare)
    try:
        both = [bare.start("up") for _ in range(2)]
        for one in both:
            _, err = one.communicate(timeout=60)
            assert one.returncode == 0, err
        running = bare("local", "status", "--query", "pid", "-o", "tsv")
        assert running.status == 0
        servers = [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(bare.folder) in " ".join(process.info["cmdline"] or [])
        ]
        assert [str(process.pid) for process in servers] == [running.out.strip()]
    finally:
        assert bare("local", "reset", "--yes").status == 0


def test_a_local_cloud_that_died_is_noticed_and_nothing_is_lost(bare: Cli) -> None:
    pinned_to_any_port(bare)
    try:
        assert bare("up").status == 0
        pid = int(bare("local", "status", "--query", "pid", "-o", "tsv").out)
        server = psutil.Process(pid)
        server.kill()
        psutil.wait_procs([server], timeout=10)
        refused(bare("jobs", "list"), 1, "No local cloud is running", "orchestrator local up")
        assert bare("local", "status", "--query", "state", "-o", "tsv").out == "stale\n"
        assert bare("local", "up").status == 0
        names = bare("jobs", "list", "--query", "[].name", "-o", "tsv").out.split()
        assert names == ["ghost", "sleeper", "talker", "twins", "yearly"]
    finally:
        assert bare("local", "reset", "--yes").status == 0
    assert not (bare.folder / ".orchestrator" / "local").exists()


def test_a_corrupt_state_folder_names_the_file_and_loses_nothing(bare: Cli) -> None:
    state = bare.folder / ".orchestrator" / "local"
    state.mkdir(parents=True)
    database = state / "arm.sqlite"
    database.write_bytes(b"this is no database" * 100)
    refused(bare("local", "up", "--port", "0"), 1, "arm.sqlite", "orchestrator local reset")
    assert database.read_bytes() == b"this is no database" * 100


def test_reset_refuses_a_folder_that_is_not_its_own(bare: Cli) -> None:
    other = bare.folder / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    result = bare("local", "reset", "--yes", "--state", str(other))
    refused(result, 1, "not a local cloud's state folder")
    assert (other / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("arguments", [["local", "reset"], ["jobs", "delete", "talker"]])
def test_what_asks_needs_someone_to_ask(cli: Cli, arguments: list[str]) -> None:
    refused(cli(*arguments), 2, "--yes")
    assert cli("jobs", "show", "talker").status == 0


# ---------------------------------------------------------------------------------- the service


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["start", "talkr"], 1, ["talkr", "talker"]),
        (["jobs", "show", "talkr"], 1, ["talkr", "talker"]),
        (["jobs", "delete", "nothing", "--yes"], 1, ["nothing"]),
        (["deploy", "talkr"], 1, ["talkr", "talker"]),
        (["executions", "show", "talker-nosuch"], 1, ["talker-nosuch"]),
        (["executions", "show", "yearly@latest"], 1, ["yearly"]),
        (["stop", "yearly"], 1, ["yearly is a job", "not run yet"]),
        (["executions", "list", "--job", "talkr"], 1, ["talkr"]),
        (["executions", "wait", "@latest"], 2, ["--job"]),
        (["stop", "talker-nosuch"], 1, ["talker-nosuch"]),
        (["query", "print 1 |"], 2, []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_named(
    cli: Cli, arguments: list[str], status: int, words: list[str]
) -> None:
    refused(cli(*arguments), status, *words)


def test_a_job_in_place_of_an_execution_is_told_how_to_name_its_newest(cli: Cli) -> None:
    ok(cli("start", "talker", "--wait"))
    for command in (["executions", "show"], ["stop"]):
        refused(cli(*command, "talker"), 1, "talker is a job, talker@latest its newest execution.")


def test_a_wrong_query_is_marked_where_it_is_wrong(cli: Cli) -> None:
    result = cli("query", "print x = 1\n| where x >> 2")
    refused(result, 2)
    lines = result.err.splitlines()
    marked = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert "where x >> 2" in lines[marked - 1]
    assert ">> 2".startswith(lines[marked - 1][lines[marked].index("^") :][:1])


def test_a_table_that_does_not_exist_is_no_crash(cli: Cli) -> None:
    refused(cli("query", "NoSuchTable_CL | take 1"), 1, "NoSuchTable_CL")


def test_a_suspended_job_does_not_start(cli: Cli) -> None:
    try:
        assert cli("jobs", "suspend", "yearly").status == 0
        refused(cli("start", "yearly"), 1, "yearly", "orchestrator jobs resume yearly")
    finally:
        assert cli("jobs", "resume", "yearly").status == 0
    assert cli("executions", "list", "--job", "yearly", "-o", "tsv").out == ""


def test_down_and_demo_on_azure_say_that_they_are_not_for_it(bare: Cli) -> None:
    refused(bare("--profile", "azure", "down"), 2, "azure")
    refused(bare("--profile", "azure", "demo"), 2, "azure")
    refused(bare("--profile", "azure", "local", "status"), 2, "azure")


def test_the_demo_needs_its_three_jobs(bare: Cli) -> None:
    refused(bare("demo"), 2, "sender", "orchestrator init")
    assert not (bare.folder / ".orchestrator").exists()


# ------------------------------------------------------------------------------------- the rest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told_in_one_sentence(cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        result = cli.spawn("jobs", "list", stdout=full)
    refused(result, 1, "No space left on device")


def test_a_reader_that_goes_away_is_no_failure_to_speak_of(cli: Cli) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = cli.spawn("jobs", "list", stdout=writing)
    finally:
        os.close(writing)
    assert result.err == ""
    assert result.status == 141


def test_what_nobody_foresaw_ends_in_a_sentence_and_a_private_file(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import orchestrator

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the token is Bearer abc123")

    details = tmp_path / "details"
    details.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(details))
    monkeypatch.setattr(orchestrator, "connect", broken)
    result = bare("start", "talker", "--env", "PASSWORD=hunter2")
    refused(result, 1, "ZeroDivisionError", str(details))
    (file,) = details.iterdir()
    text = file.read_text()
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "abc123" not in text
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Traceback" in bare("-v", "start", "talker").err


def test_without_settings_no_local_cloud_is_started(tmp_path: Path) -> None:
    for command in (["up"], ["demo"]):
        refused(
            Cli(tmp_path)(*command), 2, "There is no orchestrator.toml here", "orchestrator init"
        )
    assert not (tmp_path / ".orchestrator").exists()
