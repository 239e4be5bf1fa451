"""Log lines, stored and live, as a user asks for them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.asking import ok, until
from tests.cli.conftest import COMMAND, Cli


@pytest.fixture(scope="module")
def failed(project: Path) -> str:
    """An execution that wrote two lines and a complaint, all of them stored."""
    cli = Cli(project)
    name = cli("start", "talker", "-e", "STATUS=7", "-e", "GREETING=\x1b[31mred", "--wait").out
    name = name.strip()
    until(lambda: len(cli("logs", "--execution", name).out.splitlines()) == 3)
    return name


def test_one_stream_of_the_two(cli: Cli, failed: str) -> None:
    of = ("logs", "--execution", failed, "--stream")
    assert ok(cli(*of, "stderr")) == "about to fail\n"
    assert len(ok(cli(*of, "stdout")).splitlines()) == 2
    assert ok(cli(*of, "stderr", "--follow")) == "about to fail\n"
    assert cli(*of, "both").status == 2


def test_until_ends_what_is_told(cli: Cli, failed: str) -> None:
    records = json.loads(ok(cli("logs", "--execution", failed, "-o", "json")))
    middle = records[1]["time"]
    told = ok(cli("logs", "--execution", failed, "--until", middle, "-o", "json"))
    assert [r["text"] for r in json.loads(told)] == [records[0]["text"]]
    followed = ok(cli("logs", "--execution", failed, "--until", middle, "-o", "jsonl", "--follow"))
    assert [json.loads(line)["text"] for line in followed.splitlines()] == [records[0]["text"]]


def test_following_until_a_moment_ends_well(cli: Cli) -> None:
    name = ok(cli("start", "talker", "-e", "SECONDS=25")).strip()
    until(lambda: cli("logs", "--execution", name).out)
    assert ok(cli("logs", "--job", "talker", "-f", "--until", "+1s")).startswith(name)
    events = ok(cli("logs", "--job", "talker", "-f", "--until", "+1s", "--system", "--tail", "1"))
    assert "ContainerStarted" in events
    events = ok(cli("logs", "--execution", name, "-f", "--until", "+1s", "--system"))
    assert "ContainerStarted" in events
    assert cli("logs", "--job", "talker", "--since", "+1h").status == 2
    ok(cli("stop", name))


def test_raw_is_the_text_alone(cli: Cli, failed: str) -> None:
    assert "\x1b[31mred" in ok(cli("logs", "--execution", failed, "--raw"))
    assert cli("logs", "--execution", failed, "--raw", "-o", "json").status == 2
    assert cli("logs", "--execution", failed, "--raw", "-t").status == 2


def test_the_platforms_events_are_told(cli: Cli, failed: str) -> None:
    def events() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(
            ok(cli("logs", "--execution", failed, "--system", "-o", "json"))
        )
        return found

    until(lambda: any(e["reason"] == "BackoffLimitExceeded" for e in events()))
    assert {e["execution"] for e in events()} <= {failed, ""}
    assert "BackoffLimitExceeded" in ok(cli("logs", "--execution", failed, "--system"))
    live = ok(cli("logs", "--execution", failed, "--system", "--follow"))
    assert [line.split()[1] for line in live.splitlines()] == [e["reason"] for e in events()]
    assert "BackoffLimitExceeded" in live
    assert cli("logs", "--execution", failed, "--system", "--follow", "--raw").status == 2
    only = ok(cli("logs", "--execution", failed, "--system", "--grep", "backoff", "-o", "json"))
    assert [e["reason"] for e in json.loads(only)] == ["BackoffLimitExceeded"]


def test_on_a_terminal_the_events_of_one_execution_are_told_in_full(
    cli: Cli, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def columns(*which: str) -> list[str]:
        return ok(cli("logs", *which, "--system")).splitlines()[0].split()

    until(lambda: cli("logs", "--execution", failed, "--system").out)
    assert "execution" in columns("--execution", failed)  # a pipe gets all of them
    monkeypatch.setattr("orchestrator.display.terminal.is_terminal", lambda stream: True)
    assert columns("--execution", failed) == ["time", "type", "reason", "text"]
    assert {"execution", "job"} <= set(columns("--job", "talker"))
    monkeypatch.setattr("orchestrator.display.tables.is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "100")
    assert "…" not in ok(cli("logs", "--execution", failed, "--system"))


def test_json_lines_come_one_by_one_while_it_runs(cli: Cli) -> None:
    name = ok(cli("start", "talker", "-e", "SECONDS=20")).strip()
    with cli.start("logs", "--execution", name, "--follow", "-o", "jsonl") as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        assert (first["execution"], first["stream"]) == (name, "stdout")
        assert running.poll() is None
        ok(cli("stop", name))
        rest = running.stdout.read()  # `communicate` would not see what is buffered here
        assert running.wait(30) == 0
    assert [json.loads(line)["text"][:6] for line in rest.splitlines()] == ["line 2"]


def test_live_rows_have_the_heading_and_the_columns_of_stored_ones(cli: Cli) -> None:
    name = ok(cli("start", "talker", "--wait")).strip()
    for what in ([], ["--system"]):
        stored = ("logs", "--execution", name, *what, "-o", "csv")
        until(lambda stored=stored: len(cli(*stored).out.splitlines()) > 2)
        assert ok(cli(*stored, "--follow")) == ok(cli(*stored))
    rows = ok(cli("logs", "--execution", name, "-f", "-o", "csv", "--query", "{t: text}"))
    assert rows.splitlines()[0] == "t"
    assert len(rows.splitlines()) == 3


def test_a_reader_that_has_enough_and_ctrl_c_end_it_quietly(cli: Cli) -> None:
    name = ok(cli("start", "talker", "-e", "SECONDS=25", "-e", "LINES=50")).strip()
    with cli.start("logs", "--execution", name, "--follow") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        if sys.platform == "win32":
            running.kill()
        else:
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == 130
            assert "Traceback" not in running.stderr.read()
    piped = f"{subprocess.list2cmdline(COMMAND)} logs --execution {name} --follow | head -n 1"
    if sys.platform != "win32":
        done = subprocess.run(
            ["bash", "-c", f"{piped}; echo ${{PIPESTATUS[0]}}"], cwd=cli.folder,
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[0].startswith("line 1")
        assert done.stdout.splitlines()[1] in ("0", "141")
        assert done.stderr == ""
    cli("stop", name)


def test_nothing_written_is_told_from_no_table_yet(cli: Cli) -> None:
    ok(cli("start", "talker", "--wait"))  # with which there is a table
    quiet = ok(cli("start", "talker", "-e", "LINES=0", "--wait")).strip()
    until(lambda: "nothing was written" in cli("logs", "--execution", quiet).err)
    assert cli("local", "fault", "add", "log-delay", "--delay", "1d").status == 0
    try:
        late = ok(cli("start", "talker", "--wait")).strip()
        # A day ago this cloud's workspace had no row at all.
        assert "no table of them yet" in cli("logs", "--execution", late).err
    finally:
        ok(cli("local", "fault", "remove", "--all"))
    assert len(ok(cli("logs", "--execution", late)).splitlines()) == 2


def test_followed_replicas_are_named_from_the_first_line_on(cli: Cli) -> None:
    name = ok(cli("start", "twins", "--wait")).splitlines()[0].strip()
    lines = ok(cli("logs", "--execution", name, "--follow")).splitlines()
    assert lines
    assert {line.split()[0].rpartition("-")[0] for line in lines} == {name}


def test_a_name_alone_is_a_jobs_or_an_executions(cli: Cli, failed: str) -> None:
    told = ok(cli("logs", "--execution", failed))
    assert ok(cli("logs", failed)) == told
    assert ok(cli("logs", "talker")) == ok(cli("logs", "--job", "talker"))
    assert len(ok(cli("logs", "talker@latest")).splitlines()) >= 2
    both = cli("logs", failed, "--job", "talker")
    assert both.status == 2
    assert "give one of them" in both.err
    unknown = cli("logs", "takler")
    assert unknown.status == 1
    assert "talker" in unknown.err
