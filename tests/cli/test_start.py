"""Start, wait, follow, stop, as a user types them, against a real local cloud."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.cli.asking import latest, ok, status_of, until
from tests.cli.conftest import Cli

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


def test_a_misspelt_variable_or_image_is_told_and_the_execution_runs(cli: Cli) -> None:
    started = cli("start", "talker", "-e", "LINSE=1")
    ok(started)
    assert started.err == "LINSE is new to the job; did you mean LINES?\n"
    assert cli("start", "talker", "-e", "LINES=1", "-e", "GREETING=x").err == ""
    image = cli("start", "talker", "--image", "talkre")
    assert image.err == "The image talkre is none of [images]; did you mean talker?\n"
    assert "no-such-image is none of [images]" in cli("start", "ghost").err


def test_a_variable_without_its_option_is_told_with_it(cli: Cli) -> None:
    refused = cli("start", "talker", "FOO=1", "--env", "A=2", "B=3")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "'orchestrator start' takes no more arguments: FOO=1 B=3 is too many.",
        "Next: orchestrator start talker --env FOO=1 --env A=2 --env B=3",
    ]
    refused = cli("start", "talker", "--wait", "FOO=1")
    assert refused.err.endswith("Next: orchestrator start talker --wait --env FOO=1\n")
    assert "Next: orchestrator status --help" in cli("status", "FOO=1").err


def test_an_empty_list_of_some_executions_does_not_say_that_there_are_none(cli: Cli) -> None:
    ok(cli("start", "talker", "--wait"))
    listed = cli("executions", "list", "talker", "--status", "Degraded", "--since", "1h")
    assert ok(listed) == ""
    assert listed.err == "No executions with the status Degraded since then.\n"


def test_an_argument_that_is_one_of_some_is_told_with_them(cli: Cli) -> None:
    refused = cli("local", "fault", "add")
    assert refused.status == 2
    assert "'orchestrator local fault add' needs KIND: one of status, latency, " in refused.err


def test_an_option_without_its_dashes_is_told_with_them(cli: Cli) -> None:
    refused = cli("metrics", "queue", "work")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.endswith("Next: orchestrator metrics --queue work\n")
    refused = cli("logs", "job", "talker", "--tail", "1")
    assert refused.err.endswith("Next: orchestrator logs --job talker --tail 1\n")


@pytest.mark.parametrize("way", [("--image", "a b"), ("--image", ""), ("--command", "")])
def test_no_image_and_no_command_are_wrong_usage(cli: Cli, way: tuple[str, str]) -> None:
    refused = cli("start", "talker", *way)
    assert (refused.status, refused.out) == (2, "")


def test_args_reach_the_payload(cli: Cli) -> None:
    out = ok(cli("start", "talker", "--arg", "one", "--arg", "two words", "--follow"))
    assert "args=['one', 'two words']" in out


def test_another_command_runs_in_place_of_the_jobs(cli: Cli) -> None:
    words = ("--command", sys.executable, "--arg", "-c", "--arg", "print('instead', 6 * 7)")
    assert ok(cli("start", "talker", *words, "--follow")) == "instead 42\n"
    assert "args=[]" in ok(cli("start", "talker", "--follow"))  # that once


def test_a_failed_execution_ends_with_3_and_shows_its_stderr(cli: Cli) -> None:
    result = cli("start", "talker", "-e", "STATUS=7", "--follow")
    assert result.status == 3
    assert "about to fail" in result.out
    assert "failed after" in result.err
    assert "Next: orchestrator executions show talker-" in result.err  # its lines stand above
    waited = cli("start", "talker", "-e", "STATUS=7", "--wait", "-o", "json")
    assert waited.status == 3
    assert "Next: orchestrator logs --execution talker-" in waited.err
    assert json.loads(waited.out)["properties"]["status"] == "Failed"


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
        name = latest(cli, "talker")
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
    name = latest(cli, "talker")
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert f"Detached from {name}; it continues." in err
    assert "Traceback" not in err
    assert status_of(cli, name) == "Running"
    ok(cli("stop", name))


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_while_the_start_is_on_its_way_says_that_it_may_have_begun(cli: Cli) -> None:
    slow = ("local", "fault", "add", "latency", "--delay", "20s", "--on", "POST */start")
    fault = json.loads(ok(cli(*slow, "-o", "json")))["id"]

    def struck() -> bool:
        listed = json.loads(ok(cli("local", "fault", "list", "-o", "json")))
        return any(one["id"] == fault and one["hits"] for one in listed)

    try:
        starting = cli.start("start", "talker")
        until(struck)
        starting.send_signal(signal.SIGINT)
        out, err = starting.communicate(timeout=30)
    finally:
        ok(cli("local", "fault", "remove", fault))
    assert (starting.returncode, out) == (130, "")
    first, second = err.splitlines()
    assert first == "Interrupted while talker was being started; it may have begun."
    assert second.endswith(" executions list talker")


def test_stop_all_stops_what_runs_and_nothing_else(cli: Cli) -> None:
    names = {ok(cli("start", "talker", "-e", "SECONDS=60")).strip() for _ in range(2)}
    until(lambda: all(status_of(cli, name) == "Running" for name in names))
    stopped = json.loads(ok(cli("stop", "--job", "talker", "--all", "-o", "json")))
    assert {row["name"] for row in stopped} == names
    assert json.loads(ok(cli("stop", "--job", "talker", "--all", "-o", "json"))) == []
