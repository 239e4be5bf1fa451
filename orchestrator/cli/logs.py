"""`orchestrator logs`: what the jobs wrote, stored or live."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.completers import complete_executions, complete_jobs
from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import Moment, Regex, job_option, since_option
from orchestrator.cli.session import Session, current
from orchestrator.errors import JobNotFound

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orchestrator.client import Orchestrator
    from orchestrator.display.loglines import Prefix
    from orchestrator.logs.system_log import SystemEvents
    from orchestrator.results import Logs


def _complete_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        *complete_jobs(ctx, param, incomplete),
        *complete_executions(ctx, param, incomplete),
    ]


@command(
    "logs",
    examples=[
        ("the last hour of a job", "orchestrator logs receiver"),
        ("one execution, live", "orchestrator logs --execution sender@latest --follow"),
        (
            "what went wrong today",
            "orchestrator logs --since 1d --grep 'error|failed'",
        ),
        (
            "the errors of yesterday",
            "orchestrator logs --since 2d --until 1d --stream stderr",
        ),
        (
            "what the platform did with an execution",
            "orchestrator logs --execution sender@latest --system",
        ),
        ("what the platform does, live", "orchestrator logs --job receiver --system --follow"),
        ("ten minutes of them", "orchestrator logs --job receiver --follow --until +10m"),
        ("as records, live", "orchestrator logs --job receiver --follow -o jsonl"),
    ],
)
@click.argument("name", required=False, shell_complete=_complete_names)
@job_option("Only this job's lines.")
@click.option(
    "--execution",
    metavar="EXECUTION",
    shell_complete=complete_executions,
    help="Only this execution's: a name, JOB@latest, or @latest with --job.",
)
@since_option("How far back (2h) or since when. [default: 1h; with --execution: all]")
@click.option(
    "--until",
    type=Moment(ahead=True),
    help="Only what was written so long ago, or before then; +10m: with --follow, ten minutes from "
    "now.",
)
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only the last N lines; with --follow, of each container.",
)
@click.option("--grep", type=Regex(), help="Only lines that match this regular expression.")
@click.option(
    "--stream",
    type=click.Choice(("stdout", "stderr")),
    help="Only lines that were written there.",
)
@click.option("--system", is_flag=True, help="The platform's own events instead of the lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they are written.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
@click.option("--raw", is_flag=True, help="The lines' text and nothing else: no prefix, no colour.")
def logs(
    name: str | None,
    job: str | None,
    execution: str | None,
    since: datetime | timedelta | None,
    until: datetime | timedelta | None,
    tail: int | None,
    grep: str | None,
    stream: str | None,
    system: bool,
    follow: bool,
    timestamps: bool,
    raw: bool,
) -> None:
    """Print log lines, oldest first, as the containers wrote them.

    Lines of several executions or replicas are told apart by a prefix. With --follow the lines
    come live: of an execution until it has ended, of a job until Ctrl-C, also from executions that
    start later; either ends with status 0 when the time of --until has come.

    NAME is a job's or an execution's, as with --job or --execution.
    """
    session = current()
    if name is not None:
        if job or execution:
            raise click.UsageError(f"'{name}' and --job or --execution: give one of them.")
        job, execution = _meant(session, name)
    if raw and (timestamps or not session.plain):
        raise click.UsageError("--raw is the text alone; leave out --timestamps, -o and --query.")
    if _empty(since, until):
        raise click.UsageError("--until is before --since: there is no time between them.")
    if system and (stream is not None or raw):
        raise click.UsageError("Events have no stream and no raw text; leave out --system.")
    if follow:
        if since is not None and tail is not None:
            raise click.UsageError("--follow begins --since a time or with --tail N, not both.")
        if not (job or execution):
            raise click.UsageError("--follow needs --job or --execution.")
        given = {"tail": tail, "grep": grep, "since": since, "until": until}
        if system:
            _follow_events(session, job, execution, given)
            return
        given["stream"] = stream
        _follow(session, job, execution, given=given, timestamps=timestamps, raw=raw)
        return
    began: Any = since or ("1h" if execution is None else None)
    what: dict[str, Any] = {"execution": execution, "since": began, "until": until}
    what |= {"tail": tail, "grep": grep}
    orc = session.connect()
    if system:
        _show_stored_events(session, orc.events(job, **what), one=execution is not None)
    else:
        lines = orc.logs(job, **what, stream=stream)
        _show_lines(session, lines, timestamps=timestamps, raw=raw)


def _show_stored_events(session: Session, events: SystemEvents, *, one: bool) -> None:
    nothing = _WHY_NONE.get(events.state, "").replace("log lines", "system events")
    _show_events(session, events, nothing or "No system events found.", one=one)
    if nothing and not session.plain:
        session.say(nothing)


def _show_lines(session: Session, lines: Logs, *, timestamps: bool, raw: bool) -> None:
    if session.plain:
        from orchestrator.display.loglines import LinePrinter

        session.begin()
        printer = LinePrinter(sys.stdout, timestamps=timestamps, raw=raw)
        printer.choose_prefix(lines)
        for line in lines:
            printer.print(line)
    else:
        session.show(lines)
    session.tell_missing(lines.partial)
    if not lines:
        _say_none(session, lines.state)


def _show_events(session: Session, events: SystemEvents, empty: str, *, one: bool) -> None:
    """Of one execution, a person gets what every event says in full, without its name each time."""
    from dataclasses import replace

    from orchestrator.display.terminal import is_terminal
    from orchestrator.display.views import of_records

    if not (one and session.plain and is_terminal(sys.stdout)):
        session.show(events, empty=empty)
        return
    known: tuple[str, ...] = ("execution", "job")
    if len({event.replica for event in events} - {""}) < 2:
        known += ("replica",)
    session.show(replace(of_records(events, empty=empty, without=known), whole=True))


def _empty(since: datetime | timedelta | None, until: datetime | timedelta | None) -> bool:
    """Whether the end is not after the beginning; both are moments, or both how long ago."""
    if isinstance(since, datetime) and isinstance(until, datetime):
        return until <= since
    ago = isinstance(since, timedelta) and isinstance(until, timedelta)
    return ago and until >= since  # type: ignore[operator]


def _meant(session: Session, name: str) -> tuple[str | None, str | None]:
    """(job, execution) that a name without an option means."""
    if "@" in name:
        return None, name
    if name in session.connect().settings.jobs or not _EXECUTION.fullmatch(name):
        return name, None
    try:
        session.connect().job(name)
    except JobNotFound:
        return None, name
    return name, None


_EXECUTION = re.compile(r".+-[a-z0-9]{7}")  # such a name may be a job's, too
_WHY_NONE = {
    "no-table": "No log lines: the log workspace has no table of them yet. It comes into being "
    "with the first rows, on Azure some minutes after the first execution.",
    "late": "No log lines yet: what ran last may not be ingested; on Azure that takes minutes. "
    "Live ones: --follow",
    "none": "No log lines: nothing was written that is asked for here.",
}


def _say_none(session: Session, state: str) -> None:
    """Say on stderr why there is nothing: what is on its way is not what was never written."""
    if state in _WHY_NONE:
        session.say(_WHY_NONE[state])


def _follow_events(
    session: Session, job: str | None, execution: str | None, given: dict[str, Any]
) -> None:
    from orchestrator.cli.following import Deadline, event_writer, pump

    events = session.connect().follow_events(job, execution, **given, notice=session.say)
    written = event_writer(session)
    for event in pump(events, Deadline(None)):
        written(event)


def _of_many(orc: Orchestrator, execution: str, job: str | None) -> bool:
    """Whether an execution may have several replicas, so that the first to speak is named, too."""
    of = orc.job(orc.run(execution, job).job)
    return max(of.parallelism, of.completions) > 1


def _follow(
    session: Session,
    job: str | None,
    execution: str | None,
    *,
    given: dict[str, Any],
    timestamps: bool,
    raw: bool,
) -> None:
    from orchestrator.cli.following import Deadline, line_writer, pump

    orc = session.connect()
    lines = orc.follow(job, execution, **given, notice=session.say)
    prefix: Prefix = "replica" if execution is None or _of_many(orc, execution, job) else "auto"
    written = line_writer(session, prefix=prefix, timestamps=timestamps, raw=raw)
    for line in pump(lines, Deadline(None)):
        written(line)
