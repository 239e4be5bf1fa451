"""`orchestrator plan | drift`: what `deploy` would change, and what others have changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from orchestrator.cli.completers import complete_jobs
from orchestrator.cli.grammar import DIFFERENT, command
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.planning.verbs import Plan


@command(
    "plan",
    statuses={0: "nothing to do", DIFFERENT: "there are changes"},
    examples=[
        ("what would deploy do?", "orchestrator plan"),
        ("of one job", "orchestrator plan receiver"),
        (
            "its version alone, for deploy --plan-version",
            "orchestrator plan --query version -o tsv",
        ),
    ],
)
@click.argument("jobs", nargs=-1, metavar="[JOB]…", shell_complete=complete_jobs)
@click.option("--prune", is_flag=True, help="Also show what `deploy --prune` would delete.")
def plan(jobs: tuple[str, ...], prune: bool) -> None:
    """Show what `deploy` would change, field by field, old → new; nothing is sent.

    Secrets are compared, and never shown.
    """
    if prune and jobs:
        raise click.UsageError("--prune looks at all jobs, so none can be named with it.")
    session = current()
    found = session.connect().plan(*jobs, prune=prune)
    show_plan(session, found)
    if found.changes:
        replaced = any(job.action == "replaced" for job in found)
        options = f"{' --prune' if prune else ''}{' --replace' if replaced else ''}"
        named = "".join(f" {job}" for job in jobs)
        session.hint(f"Next: orchestrator deploy{named}{options} --plan-version {found.version}")
        raise click.exceptions.Exit(DIFFERENT)


@command(
    "drift",
    statuses={0: "all are in step", DIFFERENT: "one is not"},
    examples=[
        ("has somebody changed a job by hand?", "orchestrator drift"),
        ("in a scheduled check", "orchestrator drift -o json > drift.json"),
    ],
)
@click.argument("jobs", nargs=-1, metavar="[JOB]…", shell_complete=complete_jobs)
def drift(jobs: tuple[str, ...]) -> None:
    """Show where live jobs differ from orchestrator.toml: the settings' value → the live one."""
    session = current()
    found = session.connect().drift(*jobs)
    if session.plain:
        from orchestrator.display.plans import write_drift

        session.begin()
        write_drift(found, sys.stdout)
    else:
        session.show(found)
    if found.drifted:
        session.hint("Next: orchestrator plan, or take the live values into orchestrator.toml")
        raise click.exceptions.Exit(DIFFERENT)


def show_plan(session: Session, found: Plan) -> None:
    """Print a plan: for people its own way, else `version` and `jobs`."""
    from orchestrator.display.views import View, of_records

    if session.plain:
        from orchestrator.display.plans import write_plan

        session.begin()
        write_plan(found, sys.stdout)
        return
    table = of_records(found)
    data = {"version": found.version, "jobs": table.data}
    session.show(View(data, table.headings, table.cells))
