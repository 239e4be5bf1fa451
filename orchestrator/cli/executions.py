"""`orchestrator executions list | show | wait`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from orchestrator.cli.grammar import Entry, LazyGroup, OneOf, command
from orchestrator.cli.parameters import (
    execution_argument,
    job_option,
    since_option,
    timeout_option,
)
from orchestrator.cli.session import current

_HERE = "executions"
STATUSES = ("Running", "Processing", "Succeeded", "Failed", "Stopped", "Degraded", "Unknown")


@click.group(
    "executions",
    cls=LazyGroup,
    entries={
        "list": Entry(_HERE, "list_", "Executions of a job or of all, newest first."),
        "show": Entry(_HERE, "show", "One execution in detail."),
        "wait": Entry(_HERE, "wait", "Wait until one has ended; its outcome is the exit status."),
    },
    examples=[("the newest execution of a job", "orchestrator executions show sender@latest")],
)
def executions() -> None:
    """List, show and wait for executions."""


@command(
    "list",
    examples=[
        ("all jobs' executions of the last two hours", "orchestrator executions list --since 2h"),
        ("what failed", "orchestrator executions list --status Failed"),
        (
            "only the names",
            'orchestrator executions list --job sender --query "[].name" -o tsv',
        ),
    ],
)
@job_option("Only this job's.")
@click.option(
    "--status",
    type=OneOf(STATUSES),
    multiple=True,
    metavar="STATUS",
    help=f"Only with this status; repeatable. One of {', '.join(STATUSES)}.",
)
@since_option("Only what started so recently (2h), or since a time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
def list_(
    job: str | None, status: tuple[str, ...], since: datetime | None, limit: int | None
) -> None:
    """List executions, newest first.

    -o json has the shape that `az containerapp job execution list` prints.
    """
    session = current()
    found = session.connect().executions(job, status=status or None, since=since, limit=limit)
    session.show(found)


@command(
    "show",
    examples=[
        ("the newest of a job", "orchestrator executions show sender@latest"),
        ("its start template", "orchestrator executions show @latest --job sender -o yaml"),
    ],
)
@execution_argument
@job_option("The execution's job; needed for @latest.")
def show(execution: str, job: str | None) -> None:
    """Show EXECUTION: a name, JOB@latest, or @latest with --job."""
    session = current()
    session.show(session.connect().execution(execution, job))


@command(
    "wait",
    examples=[
        ("wait for the newest of a job", "orchestrator executions wait sender@latest"),
        ("not for ever", "orchestrator executions wait sender-abc1234 --timeout 5m"),
    ],
)
@execution_argument
@job_option("The execution's job; needed for @latest.")
@timeout_option
def wait(execution: str, job: str | None, timeout: timedelta | None) -> None:
    """Wait until EXECUTION has ended.

    The exit status tells the outcome: 0 succeeded, 3 failed, 4 stopped, 5 exceeded its replica
    time-out, 124 --timeout ran out first.
    """
    from orchestrator.cli import following

    session = current()
    run = session.connect().run(execution, job)
    if session.plain:
        click.echo(run.name)
    ended, status = following.wait(session, run, timeout)
    if ended is not None and not session.plain:
        session.show(ended)
    click.get_current_context().exit(status)
