"""`orchestrator plan | drift | deploy --…` against a real local cloud."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.display.plans import write_plan
from orchestrator.planning.verbs import Plan, PlannedJob
from orchestrator.results import FieldChange
from tests.cli.asking import ok
from tests.cli.conftest import SETTINGS, Cli

EXTRA = '[jobs.extra]\ntrigger = "manual"\nimage = "talker"\n'


@pytest.fixture
def changed(cli: Cli) -> Iterator[list[str]]:
    """Options of a project that wants one field otherwise and one job more."""
    path = cli.folder / "changed.toml"
    path.write_text(SETTINGS.replace('LINES = "2"', 'LINES = "7"') + EXTRA)
    yield ["--settings", str(path)]
    ok(cli("deploy", "--prune", "--yes"))


def test_the_exit_status_tells_whether_there_is_anything_to_do(
    cli: Cli, changed: list[str]
) -> None:
    same = cli("plan")
    assert (same.status, same.out.splitlines()[-1].split(".")[0]) == (0, "5 unchanged")
    plan = cli("plan", *changed)
    assert plan.status == 2
    assert "~ talker   updated\n    env.LINES  2 → 7\n" in plan.out
    assert "+ extra    created\n" in plan.out
    assert "1 to create, 1 to update, 4 unchanged.  Version " in plan.out


def test_deploy_takes_the_version_of_the_plan_and_no_other(cli: Cli, changed: list[str]) -> None:
    version = cli("plan", *changed, "--query", "version", "-o", "tsv").out.strip()
    stale = cli("deploy", "--plan-version", version)
    assert stale.status == 1
    assert "changed since that plan" in stale.err
    assert "Next: Nothing was sent. Plan again" in stale.err
    done = json.loads(ok(cli("deploy", *changed, "--plan-version", version, "-o", "json")))
    assert [c["action"] for c in done if c["name"] in ("talker", "extra")] == ["updated", "created"]


def test_a_dry_run_sends_nothing(cli: Cli, changed: list[str]) -> None:
    shown = ok(cli("deploy", *changed, "--dry-run", "-o", "json"))
    assert [j["name"] for j in json.loads(shown)["jobs"] if j["action"] == "created"] == ["extra"]
    assert cli("jobs", "show", "extra").status == 1


def test_an_image_that_nobody_knows_is_told_before_it_runs(cli: Cli, changed: list[str]) -> None:
    ghost = "The image no-such-image is none of [images], which has talker."
    assert f"    note: {ghost}\n" in ok(cli("plan", "ghost"))
    assert json.loads(ok(cli("plan", "ghost", "-o", "json")))["jobs"][0]["notes"] == [ghost]
    assert cli("deploy", "ghost").err == f"ghost: {ghost}\n"
    assert cli("deploy", "talker").err == ""


def test_prune_asks_and_without_a_terminal_it_wants_yes(cli: Cli, changed: list[str]) -> None:
    ok(cli("deploy", "extra", *changed))
    assert "- extra    deleted" in cli("plan", "--prune").out
    unasked = cli("deploy", "--prune")
    assert (unasked.status, "Run it again with --yes" in unasked.err) == (2, True)
    assert cli("jobs", "show", "extra").status == 0
    gone = ok(
        cli("deploy", "--prune", "--yes", "--query", "[?action=='deleted'].name", "-o", "tsv")
    )
    assert gone.split() == ["extra"]
    assert cli("jobs", "show", "extra").status == 1


def test_drift_shows_what_was_changed_by_hand(cli: Cli, changed: list[str]) -> None:
    assert cli("drift").status == 0
    ok(cli("deploy", *changed))
    drift = cli("drift")
    assert drift.status == 2
    assert "env.LINES  2 → 7" in drift.out
    assert "2 of 6 jobs are not as the settings say." in drift.out
    states = json.loads(cli("drift", "-o", "json", "--query", "[].state").out)
    assert sorted(set(states)) == ["drifted", "in step", "not in the settings"]


def test_jobs_and_prune_do_not_go_together(cli: Cli) -> None:
    for command, status in (("plan", 1), ("deploy", 2)):
        refused = cli(command, "talker", "--prune")
        assert (refused.status, "none can be named" in refused.err) == (status, True)


def test_what_is_no_version_of_a_plan_is_wrong_usage(cli: Cli) -> None:
    for way in (["deploy"], ["deploy", "--dry-run"]):
        refused = cli(*way, "--plan-version", "abc")
        assert refused.status == 2
        assert '"abc" is not the version of a plan' in refused.err


def test_wrong_usage_is_1_only_where_2_is_an_answer(cli: Cli) -> None:
    acts = ("infra", "what-if")
    assert cli(*acts, "--no-such-option").status == 2
    assert cli(*acts, "--exit-code", "--no-such-option").status == 1
    broken = cli.folder / "broken.toml"
    broken.write_text("[jobs")
    assert cli("--settings", str(broken), *acts).status == 2
    assert cli("--settings", str(broken), *acts, "--exit-code").status == 1
    assert cli("--settings", str(broken), "deploy", "--dry-run").status == 2


def test_a_plan_that_failed_is_not_taken_for_changes(cli: Cli, tmp_path: Path) -> None:
    """2 says that there are changes, so nothing that went wrong does."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[jobs")
    lacking = tmp_path / "lacking.toml"
    lacking.write_text(SETTINGS + '[jobs.talker.secrets]\ntok = { env = "NOT_SET_ANYWHERE" }\n')
    for command in ("plan", "drift"):
        assert cli("--settings", str(broken), command).status == 1
        failed = cli("--settings", str(lacking), command)
        assert (failed.status, "NOT_SET_ANYWHERE is not set" in failed.err) == (1, True)
        assert cli(command, "--no-such-option").status == 1
    assert cli("--settings", str(broken), "deploy").status == 2


def test_long_values_that_differ_at_their_end_are_told_apart() -> None:
    group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers"
    old, new = (f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/{n}" for n in "ab")
    job = PlannedJob(
        name="x", action="updated", fields=(FieldChange(path="identity", old=old, new=new),)
    )
    out = io.StringIO()
    write_plan(Plan([job], version="1-2"), out)
    line = out.getvalue().splitlines()[1]
    assert "userAssignedIdentities/a" in line
    assert line.endswith("userAssignedIdentities/b")
    assert len(line) < 150
