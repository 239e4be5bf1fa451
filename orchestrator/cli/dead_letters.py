"""`orchestrator queues dead-letters list | resubmit | purge`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli.completers import complete_reasons
from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.parameters import Regex, queue_argument, since_option
from orchestrator.cli.queues import counted, show_messages, stopped
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.queues.dead_letters import DeadLetters
    from orchestrator.queues.messages import Outcome

F = TypeVar("F", bound=Callable[..., Any])
_HERE = "dead_letters"


@click.group(
    "dead-letters",
    cls=LazyGroup,
    entries={
        "list": Entry(_HERE, "list_", "The dead letters of a queue, and why."),
        "resubmit": Entry(_HERE, "resubmit", "Send them to their queue again."),
        "purge": Entry(_HERE, "purge", "Delete them."),
    },
    examples=[("why are they there?", "orchestrator queues dead-letters list parameters")],
)
def dead_letters() -> None:
    """Messages that could not be dealt with: look, send again, delete."""


def _filters(function: F) -> F:
    for option in (
        click.option(
            "--grep",
            type=Regex(),
            help="Only those whose body, id, a property, reason or description matches.",
        ),
        since_option("Only what was enqueued so recently (2h), or since a time."),
        click.option(
            "--reason",
            "reasons",
            multiple=True,
            metavar="REASON",
            shell_complete=complete_reasons,
            help="Only with this reason, such as MaxDeliveryCountExceeded; repeatable.",
        ),
        click.option(
            "--transfer",
            is_flag=True,
            help="Of the messages that the queue could not forward (transfer dead letters).",
        ),
    ):
        function = option(function)
    return function


@command(
    "list",
    examples=[
        ("all, with reasons", "orchestrator queues dead-letters list parameters"),
        (
            "how often which reason",
            "orchestrator queues dead-letters list parameters --limit 100000 "
            '--query "[].reason" -o tsv | sort | uniq -c',
        ),
        (
            "one in full",
            "orchestrator queues dead-letters list parameters --grep by-hand-1 --full",
        ),
    ],
)
@queue_argument
@_filters
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--full", is_flag=True, help="Each message in full, one below the other.")
def list_(
    queue: str,
    transfer: bool,
    reasons: tuple[str, ...],
    since: datetime | timedelta | None,
    grep: str | None,
    limit: int,
    full: bool,
) -> None:
    """List the dead letters of QUEUE, oldest first; nothing is locked or taken."""
    from orchestrator.display.progress import Progress

    session = current()
    letters = _letters(session, queue, transfer)
    with Progress() as progress:
        progress.begin(_looking(queue, letters))
        found = letters.list(
            reason=reasons,
            since=since,
            grep=grep,
            limit=limit,
            on_look=lambda seen: progress.update(f"{seen:,}"),
        )
    show_messages(session, found, full=full)
    if not found and reasons:
        _tell_reasons(session, letters)


@command(
    "resubmit",
    statuses={0: "all are sent again", 1: "some are still there"},
    examples=[
        ("which would it be?", "orchestrator queues dead-letters resubmit parameters --dry-run"),
        (
            "those that failed too often since the fix",
            "orchestrator queues dead-letters resubmit parameters "
            "--reason MaxDeliveryCountExceeded --since 2h",
        ),
    ],
)
@queue_argument
@_filters
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Only show which.")
def resubmit(
    queue: str,
    transfer: bool,
    reasons: tuple[str, ...],
    since: datetime | timedelta | None,
    grep: str | None,
    limit: int | None,
    dry_run: bool,
) -> None:
    """Send the dead letters of QUEUE to it again, then take them out of the dead letters.

    A copy is accepted by the queue before the dead letter goes, so nothing is lost whenever it
    stops; run it again to finish. Copies keep everything but the dead-letter reason. On a queue
    that detects duplicates a copy's id ends in ~resubmitted-NUMBER: its own would be dropped.
    """
    from orchestrator.display.progress import Progress

    session = current()
    letters = _letters(session, queue, transfer)
    reached = 0

    def tell(done: int, total: int) -> None:
        nonlocal reached
        if not reached:
            progress.begin(f"resubmitting {letters.noun}s of {queue}")
        reached = done
        progress.update(f"{done:,}/{total:,}")

    with Progress() as progress:
        progress.begin(_looking(queue, letters))  # which they are is found out first
        try:
            outcome = letters.resubmit(
                reason=reasons,
                since=since,
                grep=grep,
                limit=limit,
                dry_run=dry_run,
                on_progress=tell,
                on_look=lambda seen: progress.update(f"{seen:,}"),
            )
        except KeyboardInterrupt:
            progress.clear()
            stopped(
                f"Stopped after {counted(reached, letters.noun)}; nothing is lost.",
                "Run it again to finish.",
            )
    _show(session, letters, outcome, by_reason=bool(reasons), sifted=bool(reasons or since or grep))


@command(
    "purge",
    statuses={0: "all are deleted", 1: "some are still there"},
    examples=[
        ("ask, then delete", "orchestrator queues dead-letters purge parameters"),
        (
            "only the expired ones",
            "orchestrator queues dead-letters purge parameters --reason TTLExpiredException --yes",
        ),
    ],
)
@queue_argument
@_filters
@click.option("--dry-run", is_flag=True, help="Only show which.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def purge(
    queue: str,
    transfer: bool,
    reasons: tuple[str, ...],
    since: datetime | timedelta | None,
    grep: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete the dead letters of QUEUE: all, or those that match."""
    from orchestrator.cli.jobs import ask
    from orchestrator.display.progress import Progress

    session = current()
    letters = _letters(session, queue, transfer)
    wanted: dict[str, Any] = {"reason": reasons, "since": since, "grep": grep}
    reached = 0

    def purged(done: int, total: int) -> None:
        nonlocal reached
        reached = done
        progress.update(f"{done:,}/{total:,}")

    if any(wanted.values()) or dry_run:
        with Progress() as progress:
            progress.begin(_looking(queue, letters))
            outcome = letters.purge(
                **wanted, dry_run=True, on_look=lambda seen: progress.update(f"{seen:,}")
            )
        count = outcome.matched
    else:
        count = letters.count()
    if not dry_run:
        if count and not yes:
            profile = session.connect().profile.name
            ask(f"Delete {counted(count, letters.noun)} of {queue} (profile {profile})?")
        with Progress() as progress:
            progress.begin(f"purging {letters.noun}s of {queue}")
            try:
                outcome = letters.purge(**wanted, on_progress=purged)
            except KeyboardInterrupt:
                progress.clear()
                stopped(
                    f"Stopped after {counted(reached, letters.noun)} or a few more; "
                    "they are deleted.",
                    "Run it again to finish.",
                )
    _show(session, letters, outcome, by_reason=bool(reasons), sifted=bool(reasons or since or grep))


def _letters(session: Session, queue: str, transfer: bool) -> DeadLetters:
    handle = session.connect().queues[queue]
    return handle.transfer_dead_letters if transfer else handle.dead_letters


def _looking(queue: str, letters: DeadLetters) -> str:
    return f"looking through the {letters.noun}s of {queue}"


def _show(
    session: Session, letters: DeadLetters, outcome: Outcome, *, by_reason: bool, sifted: bool
) -> None:
    """What was done, or would be; exit status 1 if something is left."""
    if outcome.dry_run:
        session.show(outcome.messages)
        count = counted(outcome.matched, letters.noun)
        session.say(f"{count} of {outcome.queue} would be {outcome.action}.")
    elif session.plain and not outcome.matched:
        asked = " that match" if sifted else ""
        session.say(f"{outcome.queue} has no {letters.noun}s{asked}: nothing to do.")
    else:
        session.show(outcome)
    if not outcome.matched and by_reason:
        _tell_reasons(session, letters)
    if outcome.left and not outcome.dry_run:
        from orchestrator.cli.failures import report

        report(
            f"{counted(outcome.left, letters.noun)} of {outcome.queue} are still there: somebody "
            "else holds them, or their locks ended too soon.",
            "Run it again in a minute.",
        )
        click.get_current_context().exit(1)


def _tell_reasons(session: Session, letters: DeadLetters) -> None:
    """On stderr, the reasons that there are, when none had the one asked for."""
    reasons = Counter(message.reason or "(none)" for message in letters.list(limit=10_000))
    if reasons:
        there = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(10))
        session.say(f"The reasons there are: {there}.")
