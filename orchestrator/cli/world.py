"""`orchestrator up | down | status | deploy`: a profile's whole world."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from orchestrator.cli.completers import complete_jobs
from orchestrator.cli.grammar import command
from orchestrator.cli.plan import show_plan
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.display.progress import Progress
    from orchestrator.results import Changes, Step


@command(
    "up",
    examples=[
        ("on this machine", "orchestrator up"),
        ("on Azure", "orchestrator --profile azure up"),
    ],
)
def up() -> None:
    """Make everything in orchestrator.toml real, saying what changed.

    What the jobs live in comes from a Bicep template (`infra deploy`), then the jobs (`deploy`).
    What is there and right is left alone. For a local profile the local cloud is started first.
    """
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    with Progress() as progress:
        # Without settings there is nothing to start a local cloud for: `up` says so.
        if orc.profile.kind == "local" and orc.settings.path is not None:
            ensure_cloud(session, progress)
        changes = orc.up(progress=shown_in(progress))
    _show_changes(session, changes)
    for note in changes.notes:
        session.note(note)
    _next(session, changes)


@command("down", examples=[("stop the local cloud", "orchestrator down")])
def down() -> None:
    """Stop the local cloud of the profile. Resources, messages and logs stay for the next `up`.

    On Azure nothing is stopped: there, `orchestrator jobs suspend` keeps jobs from starting.
    """
    from orchestrator.cli.local import config_of, stop_cloud

    session = current()
    profile = session.connect().profile
    if profile.kind != "local":
        raise NothingToStop(profile.name)
    stop_cloud(session, config_of(session).state)


class NothingToStop(click.UsageError):
    """`down` was asked of Azure."""

    def __init__(self, profile: str) -> None:
        super().__init__(f"The profile '{profile}' is on Azure, where `down` stops nothing.")
        self.hint = "orchestrator jobs suspend JOB, or choose a local profile with --profile."


@command(
    "status",
    examples=[
        ("at a glance", "orchestrator status"),
        ("dead-lettered messages", 'orchestrator status --query "queues[].dead_letter" -o tsv'),
    ],
)
def status() -> None:
    """Show the jobs with their last executions, and how deep the queues are."""
    session = current()
    orc = session.connect()
    found = orc.status()
    if not session.plain:
        from orchestrator.display.views import View, of_records

        board = of_records(found.jobs)
        session.show(View(found.as_json(), board.headings, board.cells))
        return
    from orchestrator.display.board import write_board

    session.begin()
    write_board(found, sys.stdout, facts=_facts(session))


@command(
    "deploy",
    examples=[
        ("all jobs", "orchestrator deploy"),
        ("one", "orchestrator deploy receiver"),
        ("what was planned, or nothing", "orchestrator deploy --plan-version VERSION"),
        ("also delete what the settings name no more", "orchestrator deploy --prune"),
        (
            "what changed?",
            "orchestrator deploy --query \"[?action!='unchanged'].name\" -o tsv",
        ),
    ],
)
@click.argument("jobs", nargs=-1, metavar="[JOB]…", shell_complete=complete_jobs)
@click.option("--dry-run", is_flag=True, help="Show the plan, as `plan` does; send nothing.")
@click.option(
    "--plan-version",
    metavar="VERSION",
    help="Refuse if the live jobs or the settings have changed since that `orchestrator plan`.",
)
@click.option(
    "--prune", is_flag=True, help="Delete jobs of this project that the settings name no more."
)
@click.option(
    "--replace",
    is_flag=True,
    help="Delete and make anew a job where a field cannot be changed; its executions are lost.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before something is deleted.")
def deploy(
    jobs: tuple[str, ...],
    dry_run: bool,
    plan_version: str | None,
    prune: bool,
    replace: bool,
    yes: bool,
) -> None:
    """Create or update the jobs of orchestrator.toml (all, or JOB…), saying what changed.

    Jobs that others made in the resource group are left alone.
    """
    from orchestrator.display.progress import Progress

    if prune and jobs:
        raise click.UsageError("--prune looks at all jobs, so none can be named with it.")
    session = current()
    orc = session.connect()
    if dry_run:
        show_plan(session, orc.plan(*jobs, prune=prune, version=plan_version))
        session.hint("Nothing was sent.")
        return
    if (prune or replace) and not yes:
        plan_version = _agreed(session, jobs, plan_version, prune=prune, replace=replace)
    with Progress() as progress:
        changes = orc.deploy(
            *jobs,
            plan_version=plan_version,
            prune=prune,
            replace=replace,
            progress=shown_in(progress),
        )
    session.show(changes, empty="There are no jobs in the settings.")
    for note in changes.notes:
        session.note(note)
    _next(session, changes)


def _agreed(
    session: Session, jobs: tuple[str, ...], given: str | None, *, prune: bool, replace: bool
) -> str | None:
    """Ask about what would be deleted; the version that holds the answer to what was shown."""
    from orchestrator.cli.jobs import ask

    orc = session.connect()
    plan = orc.plan(*jobs, prune=prune)
    lost = [job.name for job in plan if job.action == "deleted"]
    lost += [job.name for job in plan if replace and job.action == "replaced"]
    if not lost:
        return given
    what = f"{'job' if len(lost) == 1 else 'jobs'} {', '.join(lost)}"
    ask(f"Delete {what} with all executions (profile {orc.profile.name})?")
    return given or plan.version


# ------------------------------------------------------------------------------------- shared


def ensure_cloud(session: Session, progress: Progress) -> bool:
    """See that the profile's local cloud runs; True if it was started here."""
    from orchestrator.cli.local import config_of, tell_other_settings
    from orchestrator.localcloud import process

    config = config_of(session)
    found = process.status(config.state)
    if found.state == "running":
        progress.clear()
        tell_other_settings(session, config, found.connection or {})
        return False
    progress.begin("starting the local cloud")
    process.up(config)
    progress.done("local cloud started")
    return True


def shown_in(progress: Progress) -> Callable[[Step], None]:
    """A callback for `up` and `deploy` that shows each step while it is done."""

    def show(step: Step) -> None:
        if step.change is None:
            count = f"{step.number}/{step.total}  " if step.total else ""
            progress.begin(f"{count}{step.title}")

    return show


def _show_changes(session: Session, changes: Changes) -> None:
    """For people, what was there and right is a number: it is most of it, most of the time."""
    from orchestrator.results import Changes

    if not session.plain:
        session.show(changes)
        return
    from orchestrator.display.deployed import summary

    shown = [c for c in changes if c.action != "unchanged"]
    if shown:
        session.show(Changes(shown))
        click.echo()
    session.begin()
    click.echo(summary(changes))


def _facts(session: Session) -> list[str]:
    if session.connect().profile.kind != "local":
        return []
    from orchestrator.cli.local import config_of
    from orchestrator.localcloud import process
    from orchestrator.records import show_duration

    uptime = process.status(config_of(session).state).uptime
    return [] if uptime is None else [f"up {show_duration(uptime)}"]


def _next(session: Session, changes: Changes) -> None:
    jobs = {change.name for change in changes if change.kind == "job"}
    by_hand = [
        name
        for name, spec in session.connect().settings.jobs.items()
        if name in jobs and spec.trigger == "manual"
    ]
    if by_hand:
        session.hint(f"Next: orchestrator start {by_hand[0]} --follow")
