"""Executions, looked at and started again, as a user types it."""

from __future__ import annotations

import json

from tests.cli.asking import ok, until
from tests.cli.conftest import Cli


def test_retry_starts_again_with_what_was_changed_for_the_first(cli: Cli) -> None:
    first = cli("start", "talker", "-e", "GREETING=again", "--arg", "one", "--wait")
    name = ok(first).strip()
    again = cli("executions", "retry", name, "--follow")
    lines = ok(again).splitlines()
    assert lines == [f"line {n} args=['one'] greeting=again" for n in (1, 2)]
    named = ok(cli("executions", "retry", name, "--wait")).strip()
    assert named != name
    assert named.startswith("talker-")


def test_retry_ends_with_the_outcome_and_needs_something_to_wait_for(cli: Cli) -> None:
    name = cli("start", "talker", "-e", "STATUS=7", "--wait").out.strip()
    assert cli("executions", "retry", name, "--wait").status == 3
    assert cli("executions", "retry", name, "--timeout", "5s").status == 2
    missing = cli("executions", "retry", "talker-zzzzzzz")
    assert missing.status == 1
    assert "talker-zzzzzzz" in missing.err


def test_show_tells_why_an_execution_failed_and_json_stays_the_services(cli: Cli) -> None:
    name = cli("start", "talker", "-e", "STATUS=7", "--wait").out.strip()
    until(lambda: "about to fail" in ok(cli("executions", "show", name)))
    told = " ".join(ok(cli("executions", "show", name)).split())
    assert f"{name} failed" in told
    assert "exit code 7" in told
    assert "about to fail" not in ok(cli("executions", "show", name, "--no-why"))
    assert json.loads(ok(cli("executions", "show", name, "-o", "json")))["name"] == name


def test_show_says_once_why_an_image_could_not_be_pulled(cli: Cli) -> None:
    name = cli("start", "ghost", "--wait").out.strip()
    shown = ok(cli("executions", "show", name))
    assert " ".join(shown.split()).count("Failed to pull image") == 1, shown
    assert "Waiting: ImagePullFailure\n" in shown
    assert "Failed to pull image" in ok(cli("executions", "show", name, "--no-why"))


def test_show_tells_how_a_good_one_ended_only_when_asked(cli: Cli) -> None:
    name = ok(cli("start", "talker", "--wait")).strip()
    assert "last lines" not in ok(cli("executions", "show", name))
    assert f"{name} succeeded" in ok(cli("executions", "show", name, "--why"))


def test_history_can_be_asked_for_always_or_never(cli: Cli) -> None:
    name = ok(cli("start", "talker", "--wait")).strip()
    for option in ("--history", "--no-history"):
        listed = ok(cli("executions", "list", option, "--query", "[].name", "-o", "tsv")).split()
        assert listed.count(name) == 1


def test_a_job_is_named_with_or_without_the_option(cli: Cli) -> None:
    name = ok(cli("start", "talker", "--wait")).strip()
    for said in (["talker"], ["--job", "talker"]):
        listed = ok(cli("executions", "list", *said, "--query", "[].name", "-o", "tsv")).split()
        assert name in listed
        assert ok(cli("metrics", *said, "-o", "json"))
    missing = cli("executions", "list", "nobody")
    assert missing.status == 1
    assert "nobody" in missing.err
