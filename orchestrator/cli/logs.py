"""`orchestrator logs`: what the jobs wrote, stored or live."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import Regex, complete_executions, job_option, since_option
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.results import LogLine


@command(
    "logs",
    examples=[
        ("the last hour of a job", "orchestrator logs --job receiver"),
        ("one execution, live", "orchestrator logs --execution sender@latest --follow"),
        (
            "what went wrong today",
            "orchestrator logs --since 1d --grep 'error|failed'",
        ),
    ],
)
@job_option("Only this job's lines.")
@click.option(
    "--execution",
    metavar="EXECUTION",
    shell_complete=complete_executions,
    help="Only this execution's: a name, JOB@latest, or @latest with --job.",
)
@since_option("How far back (2h) or since when. [default: 1h; with --execution: all]")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--grep", type=Regex(), help="Only lines that match this regular expression.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they are written.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
def logs(
    job: str | None,
    execution: str | None,
    since: datetime | None,
    tail: int | None,
    grep: str | None,
    follow: bool,
    timestamps: bool,
) -> None:
    """Print log lines, oldest first, as the containers wrote them.

    Lines of several executions or replicas are told apart by a prefix. With --follow the lines
    come live: of an execution until it has ended, of a job until Ctrl-C, also from executions that
    start later.
    """
    session = current()
    if follow:
        if since is not None:
            raise click.UsageError("--since looks back; with --follow use --tail N.")
        if not (job or execution):
            raise click.UsageError("--follow needs --job or --execution.")
        _follow(session, job, execution, tail=tail, grep=grep, timestamps=timestamps)
        return
    orc = session.connect()
    if execution is not None:
        lines = orc.run(execution, job).logs(since=since, tail=tail, grep=grep)
    else:
        lines = orc.logs(job, since=since or "1h", tail=tail, grep=grep)
    if not session.plain:
        session.show(lines)
        session.tell_missing(lines.partial)
        return
    from orchestrator.display.loglines import LinePrinter

    session.begin()
    printer = LinePrinter(sys.stdout, timestamps=timestamps)
    printer.choose_prefix(lines)
    for line in lines:
        printer.print(line)
    sys.stdout.flush()
    session.tell_missing(lines.partial)
    if not lines:
        where = f"of {execution or job} " if execution or job else ""
        session.hint(f"No log lines {where}found. A new line can be asked for after a few seconds.")


def _follow(
    session: Session,
    job: str | None,
    execution: str | None,
    *,
    tail: int | None,
    grep: str | None,
    timestamps: bool,
) -> None:
    from orchestrator.cli.following import Deadline, line_writer, pump

    orc = session.connect()
    lines: Iterator[LogLine]
    if execution is not None:
        lines = orc.run(execution, job).follow(tail=tail, grep=grep)
        prefix = "auto"
    else:
        lines = orc.follow(job, tail=tail, grep=grep)
        prefix = "execution"
    written = line_writer(session, prefix=prefix, timestamps=timestamps)
    for line in pump(lines, Deadline(None)):
        written(line)
