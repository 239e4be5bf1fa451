"""`orchestrator executions list | show | wait | retry`."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from orchestrator.cli.grammar import OUTCOMES, Entry, LazyGroup, OneOf, command
from orchestrator.cli.parameters import (
    execution_argument,
    job_option,
    job_or_option,
    since_option,
    timeout_option,
)
from orchestrator.cli.session import current

_HERE = "executions"
_MANY = 25  # jobs from which on listing shows how far it is
STATUSES = ("Running", "Processing", "Succeeded", "Failed", "Stopped", "Degraded", "Unknown")


@click.group(
    "executions",
    cls=LazyGroup,
    entries={
        "list": Entry(_HERE, "list_", "Executions of a job or of all, newest first."),
        "show": Entry(_HERE, "show", "One execution in detail."),
        "wait": Entry(_HERE, "wait", "Wait until one has ended; its outcome is the exit status."),
        "retry": Entry(_HERE, "retry", "Start again with the same template and overrides."),
    },
    examples=[("the newest execution of a job", "orchestrator executions show sender@latest")],
)
def executions() -> None:
    """List and show executions, wait for them, start them again."""


@command(
    "list",
    examples=[
        ("all jobs' executions of the last two hours", "orchestrator executions list --since 2h"),
        ("what failed", "orchestrator executions list --status Failed"),
        (
            "only the names",
            'orchestrator executions list sender --query "[].name" -o tsv',
        ),
        ("also what is no longer listed", "orchestrator executions list --since 30d --history"),
    ],
)
@job_or_option("Only this job's.")
@click.option(
    "--status",
    type=OneOf(STATUSES),
    multiple=True,
    metavar="STATUS",
    help=f"Only with this status; repeatable. One of {', '.join(STATUSES)}.",
)
@since_option("Only what started so recently (2h), or since a time.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.option(
    "--history/--no-history",
    default=None,
    help="Ask the system logs for older ones always, or never. [default: where a list is full]",
)
def list_(
    job: str | None,
    status: tuple[str, ...],
    since: datetime | timedelta | None,
    limit: int | None,
    history: bool | None,
) -> None:
    """List executions, newest first.

    The service lists the last 100 of a scheduled or event-driven job; older ones are taken from the
    system logs and marked. -o json has the shape that `az containerapp job execution list` prints.
    """
    from orchestrator.display.progress import Progress

    session = current()
    with Progress() as spinner:

        def asked(done: int, total: int) -> None:
            if total > _MANY:  # a few take no time that anyone would watch
                spinner.begin(f"executions of {done:,} of {total:,} jobs")

        found = session.connect().executions(
            job, status=status or None, since=since, limit=limit, history=history, progress=asked
        )
    bounds = [f"with the status {' or '.join(status)}"] if status else []
    bounds += ["since then"] if since is not None else []
    session.show(found, empty=f"No executions {' '.join(bounds)}." if bounds else "")
    if found.partial:
        session.say(f"Older executions may be missing: {found.partial}")


@command(
    "show",
    examples=[
        ("the newest of a job", "orchestrator executions show sender@latest"),
        ("its start template", "orchestrator executions show @latest --job sender -o yaml"),
        ("also why it succeeded", "orchestrator executions show sender@latest --why"),
    ],
)
@execution_argument
@job_option("The execution's job; needed for @latest.")
@click.option(
    "--why/--no-why",
    default=None,
    help="Tell how it ended, from the logs, in a paragraph. [default: if it went wrong]",
)
def show(execution: str, job: str | None, why: bool | None) -> None:
    """Show EXECUTION: a name, JOB@latest, or @latest with --job.

    Of one that failed a paragraph tells why: status, exit codes, what the system log says of it,
    and its last lines. -o json has the shape of `az containerapp job execution show`.
    """
    from orchestrator.display.views import of_record

    session = current()
    orc = session.connect()
    found = orc.execution(execution, job)
    told = session.plain and (why or (why is None and found.finished and not found.succeeded))
    # The paragraph begins with the message.
    session.show(of_record(found, without=("message",) if told else ()))
    if told:
        from orchestrator.display.terminal import width
        from orchestrator.records import one_line

        click.echo()
        paragraph = one_line(orc.explain(found.name, found.job).paragraph)
        click.echo(click.wrap_text(paragraph, min(width(), 100)))


@command(
    "retry",
    statuses={0: "started; with --follow or --wait: succeeded", **OUTCOMES},
    examples=[
        ("the newest of a job again", "orchestrator executions retry sender@latest"),
        ("and watch it", "orchestrator executions retry sender-abc1234 --follow"),
    ],
)
@execution_argument
@job_option("The execution's job; needed for @latest.")
@click.option("--wait", "waits", is_flag=True, help="Wait for the end; its outcome is the status.")
@click.option("-f", "--follow", is_flag=True, help="Print its output as it comes, then as --wait.")
@timeout_option
def retry(
    execution: str, job: str | None, waits: bool, follow: bool, timeout: timedelta | None
) -> None:
    """Start again with the template and the overrides that EXECUTION had.

    The job itself may have been changed since; this runs what ran then. Prints the name of the new
    execution.
    """
    if timeout is not None and not (waits or follow):
        raise click.UsageError("--timeout needs --wait or --follow.")
    from orchestrator.cli import following

    session = current()
    orc = session.connect()
    with following.uncertain(
        f"{execution} was being started again", "orchestrator executions list"
    ):
        run = orc.retry(execution, job)
    if not (waits or follow):
        if session.plain:
            click.echo(run.name)
            session.hint(f"Follow it: orchestrator logs --execution {run.name} --follow")
        else:
            session.show(run.execution)
        return
    if follow:
        if session.plain:
            session.hint(f"Started {run.name}.")
        status = following.follow(session, run, timeout, timestamps=False)
    else:
        if session.plain:
            click.echo(run.name)
        ended, status = following.wait(run, timeout)
        if ended is not None and not session.plain:
            session.show(ended)
    click.get_current_context().exit(status)


@command(
    "wait",
    statuses={0: "it succeeded", **OUTCOMES},
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

    The exit status tells the outcome.
    """
    from orchestrator.cli import following

    session = current()
    run = session.connect().run(execution, job)
    if session.plain:
        click.echo(run.name)
    ended, status = following.wait(run, timeout)
    if ended is not None and not session.plain:
        session.show(ended)
    click.get_current_context().exit(status)
