"""`orchestrator doctor` against a real local cloud."""

from __future__ import annotations

import json

from tests.cli.asking import ok
from tests.cli.conftest import Cli


def test_the_exit_status_tells_of_problems_and_the_line_what_to_do(cli: Cli) -> None:
    assert cli("doctor", "yearly").status == 0
    ok(cli("jobs", "suspend", "yearly"))
    sick = cli("doctor", "yearly")
    ok(cli("jobs", "resume", "yearly"))
    assert sick.status == 1
    assert "problem  yearly: state: The job is suspended" in sick.out
    assert "jobs resume yearly" in sick.out


def test_what_is_well_is_shown_when_asked_for_and_as_data(cli: Cli) -> None:
    assert "fine" not in cli("doctor", "talker").out
    found = json.loads(cli("doctor", "talker", "--all", "-o", "json").out)
    assert ("fine", "clock") in [(f["level"], f["check"]) for f in found]
    assert set(found[0]) == {"level", "check", "what", "job", "evidence", "next"}


def test_a_cloud_that_does_not_run_is_said_at_once(bare: Cli) -> None:
    refused = bare("doctor")
    assert (refused.status, "local up" in refused.err) == (1, True)
