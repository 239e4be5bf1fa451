"""Follow an execution or wait for it, and end with its outcome.

Lines are read on a thread of their own and printed on the main one, so that Ctrl-C and a
`--timeout` are obeyed at once, also while the service is silent (a blocking socket read cannot be
interrupted on Windows).
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli.failures import INTERRUPTED, end_line, report
from orchestrator.cli.session import Session

if TYPE_CHECKING:
    from orchestrator.display.loglines import Prefix
    from orchestrator.executions.run import Run
    from orchestrator.logs.system_log import SystemEvent
    from orchestrator.records import Records
    from orchestrator.results import Execution, LogLine, Record


_R = TypeVar("_R", "LogLine", "SystemEvent")


class Deadline:
    """A moment on the machine's monotonic clock; without `after` it never comes."""

    def __init__(self, after: timedelta | None) -> None:
        self._end = None if after is None else time.monotonic() + after.total_seconds()

    def left(self) -> float | None:
        """Seconds until then, not below 0; None if it never comes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


class RanOutError(Exception):
    """The deadline came before the lines ended."""


def pump(lines: Iterator[_R], deadline: Deadline) -> Iterator[_R]:
    """The same lines, read on another thread. Raises RanOutError, and whatever reading raises."""
    waiting: queue.Queue[_R | BaseException | None] = queue.Queue(maxsize=10_000)

    def read() -> None:
        try:
            for line in lines:
                waiting.put(line)
            waiting.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised again by the reader below
            waiting.put(error)

    threading.Thread(target=read, name="follow", daemon=True).start()
    while True:
        try:
            # A wait without any limit could not be interrupted on Windows.
            left = deadline.left()
            item = waiting.get(timeout=3600 if left is None else left)
        except queue.Empty:
            if deadline.left() == 0:
                raise RanOutError from None
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def line_writer(
    session: Session, *, prefix: Prefix = "auto", timestamps: bool = False, raw: bool = False
) -> Callable[[LogLine], None]:
    """How one log line is written on stdout at once, in the chosen format."""
    session.begin()
    if session.plain:
        from orchestrator.display.loglines import LinePrinter

        printer = LinePrinter(sys.stdout, prefix=prefix, timestamps=timestamps, raw=raw)
        return printer.print
    from orchestrator.results import Logs

    return record_writer(session, Logs)


def event_writer(session: Session) -> Callable[[SystemEvent], None]:
    """The same for events of the system log."""
    session.begin()
    if session.plain:
        from orchestrator.display.loglines import EventPrinter

        return EventPrinter(sys.stdout).print
    from orchestrator.logs.system_log import SystemEvents

    return record_writer(session, SystemEvents)


def record_writer(session: Session, kind: type[Records[Any]]) -> Callable[[Any], None]:
    """How one record is written on stdout at once, in a format for programs.

    A list that has no end can't be closed, so JSON is written as JSON lines, and YAML as one list
    item per line. CSV and TSV have the columns of a whole list of that `kind`, and CSV its heading.
    """
    from orchestrator.display.formats import json_line, write
    from orchestrator.display.views import View, of_data, of_records

    session.begin()
    unheaded = session.format == "csv"

    def view_of(record: Record) -> View | None:
        if session.selection is None:
            return of_records(kind([record]))
        data = session.selection.search(record.as_json())
        return None if data is None else of_data(data)

    def data_of(record: Record) -> object:
        data: object = record.as_json()
        return data if session.selection is None else session.selection.search(data)

    def written(record: Record) -> None:
        nonlocal unheaded
        if session.format in ("json", "jsonl"):
            sys.stdout.write(json_line(data_of(record), sys.stdout))
        elif session.format == "yaml":
            sys.stdout.write(f"- {json_line(data_of(record), sys.stdout)}")
        elif (view := view_of(record)) is not None:
            headless = view.headless or not unheaded
            unheaded = False
            write(replace(view, headless=headless), sys.stdout, session.format)
        sys.stdout.flush()

    return written


def outcome(execution: Execution, *, followed: bool = False) -> int:
    """Say on stderr how an execution ended; its exit status (0, 3, 4 or 5).

    `followed`: its output stands above already, so that the next step is why it ended so.
    """
    from orchestrator.display.terminal import colour
    from orchestrator.records import show

    took = f" after {show(execution.duration)}" if execution.duration is not None else ""
    status = execution.exit_code
    if status == 0:
        text = f"{execution.name} succeeded{took}."
        click.echo(click.style(text, fg="green") if colour(sys.stderr) else text, err=True)
        return 0
    why = execution.message or execution.reason
    why = f": {why.rstrip('.')}" if why else ""
    hint = f"orchestrator logs --execution {execution.name}"
    if followed or execution.reason in ("ImagePullFailure", "ContainerStartFailure"):
        hint = f"orchestrator executions show {execution.name}"
    if status == 4:
        report(f"{execution.name} was stopped{took}.", hint)
    elif status == 5:
        report(f"{execution.name} exceeded its replica time-out and was ended{took}.", hint)
    else:
        report(f"{execution.name} failed{took}{why}.", hint)
    return status


def follow(session: Session, run: Run, timeout: timedelta | None, *, timestamps: bool) -> int:
    """Print the run's output as it comes, then its outcome; the exit status."""
    deadline = Deadline(timeout)
    try:
        many = session.connect().job(run.job).parallelism > 1
        written = line_writer(session, prefix="replica" if many else "auto", timestamps=timestamps)
        lines = session.connect().follow(run.job, run.name, notice=session.say)
        for line in pump(lines, deadline):
            written(line)
        return outcome(run.wait(deadline.left()), followed=True)
    except RanOutError:
        raise _out_of_time(run) from None
    except KeyboardInterrupt:
        return detached(run)


def wait(run: Run, timeout: timedelta | None) -> tuple[Execution | None, int]:
    """Wait with a spinner until the run has ended and say how; (execution, exit status)."""
    from orchestrator.display.progress import Progress

    with Progress() as progress:
        try:
            progress.begin(run.name)
            execution = run.wait(
                None if timeout is None else timeout.total_seconds(),
                on_change=lambda seen: progress.update(seen.status),
            )
        except KeyboardInterrupt:
            progress.clear()
            return None, detached(run)
    return execution, outcome(execution)


@contextmanager
def uncertain(what: str, look: str) -> Iterator[None]:
    """Where Ctrl-C comes while a request is on its way, say that it may have been carried out."""
    try:
        yield
    except KeyboardInterrupt:
        end_line()
        report(f"Interrupted while {what}; it may have begun.", f"Look: {look}", error=False)
        raise click.exceptions.Exit(INTERRUPTED) from None


def detached(run: Run) -> int:
    """Say that the execution goes on without us; 130."""
    end_line()
    report(
        f"Detached from {run.name}; it continues.",
        f"orchestrator logs --execution {run.name} --follow",
        error=False,
    )
    return INTERRUPTED


def _out_of_time(run: Run) -> Exception:
    from orchestrator.errors import WaitTimeout

    return WaitTimeout(
        f"{run.name} is still running and --timeout has run out; it continues.",
        f"orchestrator executions wait {run.name}",
    )
