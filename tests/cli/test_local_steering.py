"""`orchestrator local clock` and `local fault`, on a local cloud of their own."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.localcloud import process
from orchestrator.localcloud.config import CloudConfig
from tests.cli.asking import ok, until
from tests.cli.conftest import Cli

SETTINGS = """
[profiles.local]
kind = "local"

[images.tick]
process = ["{python}", "-I", "-S", "-c", "print('tick')"]

[jobs.often]
trigger = "schedule"
cron = "*/5 * * * *"
image = "tick"

[images.slow]
process = ["{python}", "-I", "-S", "-c", "import time; time.sleep(600)"]

[jobs.slow]
trigger = "schedule"
cron = "30 * * * *"
image = "slow"
timeout = "10h"
"""


@pytest.fixture(scope="module")
def timely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("timely")
    (folder / "orchestrator.toml").write_text(SETTINGS)
    state = folder / ".orchestrator" / "local"
    process.up(CloudConfig(state, folder, port=0, identity_port=0, amqp_port=0, amqps_port=0))
    try:
        yield Cli(folder)
    finally:
        process.reset(state)


def shown(cli: Cli, *arguments: str) -> dict[str, object]:
    done = cli("local", "clock", *arguments, "-o", "json")
    assert done.status == 0, done.err
    return dict(json.loads(done.out))


def test_hours_of_a_schedule_run_with_one_command_and_are_listed_and_logged(timely: Cli) -> None:
    assert timely("up").status == 0
    assert shown(timely, "freeze")["frozen"] is True
    before = datetime.fromisoformat(str(shown(timely, "show")["time"]))
    ok(timely("jobs", "suspend", "slow"))
    state = shown(timely, "advance", "2h")
    ok(timely("jobs", "resume", "slow"))
    assert datetime.fromisoformat(str(state["time"])) - before == timedelta(hours=2)
    listed = timely("executions", "list", "--job", "often", "-o", "json")
    executions = json.loads(listed.out)
    assert [e["properties"]["status"] for e in executions] == ["Succeeded"] * 24
    lines = timely("logs", "--job", "often", "--since", "3h", "-o", "json")
    assert len(json.loads(lines.out)) == 24
    assert shown(timely, "reset")["steered"] is False


def test_the_table_says_what_time_it_is(timely: Cli) -> None:
    rate = timely("local", "clock", "rate", "60")
    assert rate.status == 0, rate.err
    for word in ("time", "ahead", "rate", "60", "frozen", "no", "machine"):
        assert word in rate.out
    assert timely("local", "clock", "reset").status == 0


def test_an_advance_names_what_it_waits_for_and_where_it_was_left(timely: Cli) -> None:
    assert timely("up").status == 0
    ok(timely("local", "clock", "freeze"))
    long = ("advance", "2h", "--patience", "5m")
    late = timely("local", "clock", *long, "--timeout", "5s")
    assert late.status == 124
    assert "It waited for slow-" in late.err
    assert "--patience" in late.err
    with timely.start("local", "clock", *long) as running:
        until(lambda: "slow" in str(shown(timely, "show")["waiting_for"]))
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr is not None
        assert "time is 2" in (said := running.stderr.read())
        assert "and stands still" in said
    state = shown(timely, "show")
    assert (state["advancing_to"], state["frozen"]) == (None, True)
    assert str(state["time"])[11:19].endswith(":30:00")
    ok(timely("jobs", "suspend", "slow"))
    ok(timely("stop", "--all", "--job", "slow"))
    ok(timely("local", "clock", "reset"))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("advance", "soon"), 2, '"soon" is not a duration'),
        (("advance", "-5m"), 2, "-5"),
        (("advance", "500000w"), 2, "calendar"),
        (("rate", "0"), 2, "A rate is above 0"),
        (("rate", "fast"), 2, "fast"),
        (("adavnce", "5m"), 2, "advance"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(
    timely: Cli, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = timely("local", "clock", *arguments)
    assert (done.status, "Traceback" in done.err) == (status, False), done.err
    assert words in done.err


def test_without_a_local_cloud_the_way_to_start_it_is_named(bare: Cli, tmp_path: Path) -> None:
    done = bare("local", "clock", "show")
    assert done.status == 1
    assert "orchestrator local up" in done.err


def test_faults_are_added_listed_met_and_removed(timely: Cli) -> None:
    assert timely("up").status == 0
    added = timely(
        *("local", "fault", "add", "status", "--status", "429", "--retry-after", "2m"),
        *("--on", "Microsoft.App/jobs/read"),
        *("-o", "json"),
    )
    assert added.status == 0, added.err
    id_ = json.loads(added.out)["id"]
    met = timely("jobs", "list")
    assert met.status == 1
    assert "Traceback" not in met.err
    listed = timely("local", "fault", "list")
    for word in (id_, "status", "Microsoft.App/jobs/read", "429, retry after 120s", "always"):
        assert word in listed.out
    removed = timely("local", "fault", "remove", id_)
    assert (removed.status, removed.err.strip()) == (0, f"Removed {id_}.")
    assert timely("jobs", "list").status == 0
    assert json.loads(timely("local", "fault", "list", "-o", "json").out) == []
    assert timely("local", "fault", "add", "log-delay", "--delay", "3m").status == 0
    assert "Removed 1 fault." in timely("local", "fault", "remove", "--all").err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("add", "satus"), 2, "Did you mean status?"),
        (("add", "status", "--status", "200"), 2, "--status is one of"),
        (("add", "status", "--queue", "x"), 2, "has no --queue"),
        (("add", "latency"), 2, "needs --delay"),
        (("add", "drop", "--rate", "2"), 2, "<=1"),
        (("add", "disconnect", "--on", "nonsense"), 2, "--on names no operation of Service Bus"),
        (("remove",), 2, "Name the faults to remove, or say --all."),
        (("remove", "f99"), 1, "There is no fault 'f99'"),
    ],
)
def test_a_wrong_fault_is_answered_in_a_sentence(
    timely: Cli, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = timely("local", "fault", *arguments)
    assert (done.status, "Traceback" in done.err) == (status, False), done.err
    assert words in done.err


def test_since_a_moment_that_is_past_by_the_clouds_clock_alone_is_no_slip(timely: Cli) -> None:
    ok(timely("local", "clock", "freeze"))
    ok(timely("jobs", "suspend", "slow"))
    ok(timely("local", "clock", "advance", "1h"))
    now = datetime.fromisoformat(str(shown(timely, "show")["time"]))
    past, to_come = (str(now + timedelta(minutes=n)) for n in (-20, 20))
    listed = timely("executions", "list", "--job", "often", "--since", past, "-o", "json")
    assert len(json.loads(ok(listed))) >= 4
    refused = timely("executions", "list", "--since", to_come)
    assert refused.status == 2
    assert "is still to come" in refused.err
    ok(timely("local", "clock", "reset"))
