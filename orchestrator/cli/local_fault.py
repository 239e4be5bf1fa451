"""`orchestrator local fault add | list | remove`: what goes wrong in the local cloud, on demand."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click

from orchestrator.cli.completers import complete_faults, complete_queues
from orchestrator.cli.grammar import Entry, LazyGroup, OneOf, command
from orchestrator.cli.local import state_option
from orchestrator.cli.local_clock import steering
from orchestrator.cli.parameters import Duration
from orchestrator.cli.session import Session, current

_HERE = "local_fault"
KINDS = (
    "status",
    "latency",
    "drop",
    "server-busy",
    "lock-lost",
    "disconnect",
    "log-delay",
)


@click.group(
    "fault",
    cls=LazyGroup,
    entries={
        "add": Entry(_HERE, "add", "Let something go wrong from now on."),
        "list": Entry(_HERE, "list_", "The faults there are, and how often they struck."),
        "remove": Entry(_HERE, "remove", "Remove one, or all."),
    },
    examples=[
        ("throttle everything", "orchestrator local fault add status --status 429"),
    ],
)
def fault() -> None:
    """Faults on demand: refusals, latency, broken connections, lost locks, late logs."""


def _show(session: Session, faults: list[dict[str, Any]], *, single: bool = False) -> None:
    from orchestrator.display.views import Heading, View

    session.show(
        View(
            data=faults[0] if single else faults,
            headings=[
                Heading("id", "id"),
                Heading("kind", "kind"),
                Heading("on", "on"),
                Heading("how", "how"),
                Heading("rate", "rate", "number"),
                Heading("left", "left"),
                Heading("hits", "hits", "number"),
            ],
            cells=[
                [
                    found["id"],
                    found["kind"],
                    found["on"]
                    + (f" ({found['queue']})" if found.get("queue", "*") != "*" else ""),
                    _how(found),
                    found["rate"],
                    "always" if found["count"] is None else str(found["count"] - found["hits"]),
                    found["hits"],
                ]
                for found in faults
            ],
            empty="No faults: everything works.",
            single=single,
        )
    )


def _how(found: dict[str, Any]) -> str:
    words = []
    if "status" in found:
        words.append(str(found["status"]))
    if found.get("retry_after") is not None:
        words.append(f"retry after {found['retry_after']:g}s")
    if found.get("delay"):
        words.append(f"{found['delay']:g}s")
    if found.get("after"):
        words.append("once it is done")
    return ", ".join(words)


@command(
    "add",
    examples=[
        (
            "throttle the next two starts of a job",
            "orchestrator local fault add status --status 429 --retry-after 2s "
            "--on Microsoft.App/jobs/start/action --count 2",
        ),
        (
            "every tenth completion finds its lock lost",
            "orchestrator local fault add lock-lost --on complete --rate 0.1",
        ),
        (
            "sent messages that are stored, and the sender never told",
            "orchestrator local fault add disconnect --on send --after --count 1",
        ),
        (
            "logs that can be queried after 3 minutes",
            "orchestrator local fault add log-delay --delay 3m",
        ),
    ],
)
@click.argument("kind", type=OneOf(KINDS), metavar="KIND")
@click.option("--on", metavar="PATTERN", help="Only these operations; * and ? stand for anything.")
@click.option(
    "--queue",
    metavar="PATTERN",
    shell_complete=complete_queues,
    help="Service Bus: only these queues.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="P",
    help="Strike with this probability, above 0 and at most 1.",
)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Strike so often.")
@click.option("--status", type=int, metavar="CODE", help="Of `status`: the HTTP status (503).")
@click.option(
    "--retry-after",
    type=Duration(),
    metavar="DURATION",
    help="Of `status`: when to try again, says the answer.",
)
@click.option("--delay", type=Duration(), metavar="DURATION", help="Of `latency`, `log-delay`.")
@click.option(
    "--after",
    is_flag=True,
    help="Of `drop`, `disconnect`: break off when the work is done, before the answer.",
)
@state_option
def add(
    kind: str,
    on: str | None,
    queue: str | None,
    rate: float | None,
    count: int | None,
    status: int | None,
    retry_after: timedelta | None,
    delay: timedelta | None,
    after: bool,
    state: str | None,
) -> None:
    """Add a fault of a KIND: it strikes from now on, until it is spent or removed.

    HTTP: status, latency, drop. Service Bus: server-busy, lock-lost, disconnect. Logs: log-delay.
    """
    if delay is None and kind in ("latency", "log-delay"):
        raise click.UsageError(f"A fault of the kind {kind} needs --delay.")
    session = current()
    from orchestrator.localcloud.state import LocalCloudError

    try:
        added = steering(session, state).add_fault(
            kind,
            on=on,
            queue=queue,
            rate=rate,
            count=count,
            status=status,
            retry_after=None if retry_after is None else retry_after.total_seconds(),
            delay=None if delay is None else delay.total_seconds(),
            after=True if after else None,
        )
    except LocalCloudError as error:  # it speaks of the fields of its API
        error.message = re.sub(
            r"'(on|queue|rate|count|status|delay|after)'", r"--\1", error.message
        )
        error.hint = "orchestrator local fault add --help"
        raise
    _show(session, [added], single=True)


@command("list", examples=[("as JSON", "orchestrator local fault list -o json")])
@state_option
def list_(state: str | None) -> None:
    """List the faults, and how often each has struck."""
    session = current()
    _show(session, steering(session, state).faults())


@command(
    "remove",
    examples=[
        ("one", "orchestrator local fault remove f1"),
        ("all", "orchestrator local fault remove --all"),
    ],
)
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_faults)
@click.option("--all", "all_", is_flag=True, help="All of them.")
@state_option
def remove(ids: tuple[str, ...], all_: bool, state: str | None) -> None:
    """Remove faults by their ids, or all."""
    if bool(ids) == all_:
        raise click.UsageError("Name the faults to remove, or say --all.")
    session = current()
    client = steering(session, state)
    if all_:
        gone = client.faults()
        client.clear_faults()
    else:
        gone = [client.remove_fault(id_) for id_ in ids]
    if not session.plain:
        _show(session, gone)
    elif all_:
        session.say(f"Removed {len(gone)} fault{'' if len(gone) == 1 else 's'}.")
    else:
        session.say(f"Removed {', '.join(found['id'] for found in gone)}.")
