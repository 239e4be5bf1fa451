"""`orchestrator queues send | receive`."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import NoReturn

import click

from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import Duration, Variable, queue_argument
from orchestrator.cli.session import current


@command(
    "send",
    examples=[
        ("a number to work on", "orchestrator queues send parameters 7"),
        (
            "with an id and a property",
            "orchestrator queues send parameters 7 --id by-hand-1 --property source=me",
        ),
        ("JSON", "orchestrator queues send orders '{}' --content-type application/json"),
        ("each line a message", "seq 1 100 | orchestrator queues send parameters --lines -"),
        ("tomorrow", "orchestrator queues send parameters 7 --at 1d"),
    ],
)
@queue_argument
@click.argument("body", required=False)
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="The body is this file's content; - is standard input.",
)
@click.option("--lines", is_flag=True, help="Each line is a message of its own.")
@click.option("--id", "message_id", metavar="ID", help="The message id. [default: a new one]")
@click.option("--content-type", metavar="TYPE", help="Such as application/json.")
@click.option("--subject", metavar="TEXT", help="The subject (label).")
@click.option("--correlation-id", metavar="ID", help="The correlation id.")
@click.option("--session", "session_id", metavar="ID", help="The session it belongs to.")
@click.option(
    "--property",
    "properties",
    type=Variable(),
    multiple=True,
    help="An application property; repeatable.",
)
@click.option("--time-to-live", type=Duration(), help="How long it waits at most.")
@click.option(
    "--at", metavar="WHEN", help="Nobody receives it before: in 10m, or 2026-11-24T06:00Z."
)
def send(
    queue: str,
    body: str | None,
    file: str | None,
    lines: bool,
    message_id: str | None,
    content_type: str | None,
    subject: str | None,
    correlation_id: str | None,
    session_id: str | None,
    properties: tuple[tuple[str, str], ...],
    time_to_live: timedelta | None,
    at: str | None,
) -> None:
    """Send BODY to QUEUE; with - or -f the body is read.

    Done when the queue has accepted it. A queue that detects duplicates drops an id that it has
    seen, and says nothing.
    """
    from orchestrator.display.progress import Progress

    bodies = _bodies(body, file, lines=lines)
    if message_id is not None and len(bodies) > 1:
        raise click.UsageError(f"--id names one message, and these are {len(bodies)}.")
    session = current()
    handle = session.connect().queues[queue]
    accepted = 0

    def tell(done: int, total: int) -> None:
        nonlocal accepted
        accepted = done
        progress.update(f"{done:,}/{total:,}")

    with Progress() as progress:
        progress.begin(f"sending to {queue}")
        try:
            sent = handle.send(
                *bodies,
                id=message_id,
                content_type=content_type,
                subject=subject,
                correlation_id=correlation_id,
                session_id=session_id,
                properties=dict(properties),
                time_to_live=time_to_live,
                at=at.removeprefix("in ") if at else None,
                on_progress=tell,
            )
        except KeyboardInterrupt:
            progress.clear()
            _interrupted(accepted, len(bodies))
    session.show(sent)


def _interrupted(accepted: int, total: int) -> NoReturn:
    from orchestrator.cli.queues import counted, stopped

    stopped(
        f"Stopped: {accepted:,} of {counted(total)} are sent for certain, those that were under "
        "way perhaps.",
        "Send the rest alone; what is sent again is there twice, unless the queue detects "
        "duplicates.",
    )


def _bodies(body: str | None, file: str | None, *, lines: bool) -> list[str | bytes]:
    if body is not None and file is not None:
        raise click.UsageError("Give the body either as an argument or with -f, not both.")
    content: str | bytes
    if body is not None and body != "-":
        content = body
    elif file is not None and file != "-":
        from pathlib import Path

        content = _text(Path(file).read_bytes())
    elif body is None and file is None:  # an empty standard input must not become a message
        raise click.UsageError("There is no body; give it as an argument, with -f FILE, or -.")
    else:
        buffer = getattr(sys.stdin, "buffer", None)
        content = _text(buffer.read()) if buffer is not None else sys.stdin.read()
    if not lines:
        return [content]
    found = _lines(content)
    if not found:
        raise click.UsageError("There are no lines to send.")
    return found


def _lines(content: str | bytes) -> list[str | bytes]:
    """The lines that are not empty, without their ends.

    A line ends with a line feed, before which a carriage return may stand. What else `splitlines`
    takes for an end, such as U+2028, stands unescaped in the texts of JSON lines.
    """
    if isinstance(content, bytes):
        raw = (line.removesuffix(b"\r") for line in content.split(b"\n"))
        return [line for line in raw if line]
    lines = (line.removesuffix("\r") for line in content.split("\n"))
    return [line for line in lines if line]


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


@command(
    "receive",
    examples=[
        ("the next message", "orchestrator queues receive results"),
        ("up to a hundred, as JSON lines", "orchestrator queues receive results -n 100 -o jsonl"),
        ("wait for one", "orchestrator queues receive results --wait 5m"),
    ],
)
@queue_argument
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option(
    "--wait", type=Duration(), default="5s", show_default=True, help="How long for a message."
)
@click.option(
    "--session", "session_id", metavar="ID", help="Of a queue with sessions: only this one."
)
def receive(queue: str, limit: int, wait: timedelta, session_id: str | None) -> None:
    """Take messages off QUEUE, oldest first, and print them.

    Each is printed first and taken off then, so that an interruption loses none. Of a queue with
    sessions, one session after the other that nobody holds. To look without taking: orchestrator
    queues peek.
    """
    from orchestrator.cli.following import record_writer
    from orchestrator.queues.messages import Messages
    from orchestrator.records import one_line

    session = current()
    messages = session.connect().queues[queue].consume(limit, wait=wait, session=session_id)
    written = None if session.plain else record_writer(session, Messages)
    count = 0
    for message in messages:
        count += 1
        if written is not None:
            written(message)
        elif limit == 1:
            session.show(message)
        else:
            click.echo(f"{message.id}  {one_line(message.text)}")
            sys.stdout.flush()
    if not count:
        from orchestrator.quantities import short_duration

        session.say(f"No message came within {short_duration(wait)}.")
