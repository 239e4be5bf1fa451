"""`orchestrator queues list | show | create | delete | peek | sessions | purge`, and more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestrator.cli.completers import complete_from, complete_queues
from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.parameters import Regex, queue_argument, since_option
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.queues.messages import Messages

_HERE = "queues"
_QUEUES, _MESSAGES = "Queues", "Messages"


@click.group(
    "queues",
    cls=LazyGroup,
    entries={
        "list": Entry(_HERE, "list_", "The queues and how deep they are.", _QUEUES),
        "show": Entry(_HERE, "show", "One queue in detail.", _QUEUES),
        "create": Entry(_HERE, "create", "Make a queue.", _QUEUES),
        "delete": Entry(_HERE, "delete", "Delete queues with their messages.", _QUEUES),
        "peek": Entry(_HERE, "peek", "Look at messages; nothing is taken.", _MESSAGES),
        "sessions": Entry(_HERE, "sessions", "List a queue's sessions.", _MESSAGES),
        "send": Entry("queue_traffic", "send", "Send messages.", _MESSAGES),
        "receive": Entry("queue_traffic", "receive", "Take messages off a queue.", _MESSAGES),
        "purge": Entry(_HERE, "purge", "Delete the messages that wait.", _MESSAGES),
        "dead-letters": Entry(
            "dead_letters", "dead_letters", "List, resubmit, purge dead letters.", _MESSAGES
        ),
    },
    examples=[
        ("what waits where", "orchestrator queues list"),
        ("the next messages", "orchestrator queues peek results"),
    ],
)
def queues() -> None:
    """The Service Bus queues of the profile's namespace, and their messages."""


@command(
    "list",
    examples=[
        ("the queues", "orchestrator queues list"),
        (
            "those with dead letters",
            "orchestrator queues list --query '[?dead_letter > `0`].name' -o tsv",
        ),
    ],
)
def list_() -> None:
    """List the queues with their depths: active, dead-lettered, scheduled, not forwarded."""
    session = current()
    session.show(session.connect().queues())


@command(
    "show",
    examples=[
        ("depths and properties", "orchestrator queues show results"),
        ("one number", "orchestrator queues show results --query active -o tsv"),
    ],
)
@queue_argument
def show(queue: str) -> None:
    """Show QUEUE: its depths now, and how it was made."""
    session = current()
    session.show(session.connect().queue(queue))


class Ruled(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """A value that obeys the rule of a key of `[queues.<name>]` in the settings."""

    def __init__(self, rule: str, name: str) -> None:
        self.rule = rule
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from orchestrator.settings import rules

        try:
            return getattr(rules, self.rule).check(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


@command(
    "create",
    examples=[
        ("as [queues.NAME] says, or by default", "orchestrator queues create extra"),
        (
            "one that drops duplicates",
            "orchestrator queues create extra --lock-duration 5m --duplicate-detection 10m",
        ),
    ],
)
@click.argument("queue", metavar="QUEUE", shell_complete=complete_from("queues"))
@click.option(
    "--lock-duration",
    type=Ruled("lock_duration", "DURATION"),
    help="How long a received message is locked, 5s to 5m. [default: 1m]",
)
@click.option(
    "--max-delivery-count",
    type=click.IntRange(1, 2000),
    metavar="N",
    help="Deliveries after which a message is dead-lettered. [default: 10]",
)
@click.option(
    "--time-to-live",
    type=Ruled("duration", "DURATION"),
    help="How long a message waits at most. [default: for ever]",
)
@click.option(
    "--dead-letter-on-expiration",
    is_flag=True,
    default=None,
    help="Dead-letter a message then, instead of dropping it.",
)
@click.option(
    "--duplicate-detection",
    type=Ruled("duplicate_window", "DURATION"),
    help="Drop a message whose id was seen so recently, 20s to 7d. [default: off]",
)
@click.option("--sessions", is_flag=True, default=None, help="Messages are received by session.")
@click.option(
    "--max-size", type=Ruled("queue_size", "SIZE"), help="1GiB to 80GiB. [default: the service's]"
)
def create(queue: str, **options: Any) -> None:
    """Make QUEUE.

    Where orchestrator.toml has [queues.QUEUE] it is made so, but for the options given here. One
    that is there already and is so is left; one that differs is not changed.
    """
    import msgspec

    from orchestrator.results import Changes
    from orchestrator.settings import QueueSpec

    session = current()
    orc = session.connect()
    given = {name: value for name, value in options.items() if value is not None}
    spec = msgspec.structs.replace(orc.settings.queues.get(queue) or QueueSpec(), **given)
    session.show(Changes([orc.queues.create(queue, spec)]))


@command(
    "delete",
    examples=[
        ("ask, then delete", "orchestrator queues delete extra"),
        ("in a script", "orchestrator queues delete extra more --yes"),
    ],
)
@click.argument("names", metavar="QUEUE…", nargs=-1, required=True, shell_complete=complete_queues)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete QUEUE and every message in it, dead letters too."""
    from orchestrator.cli.jobs import ask
    from orchestrator.results import Changes

    session = current()
    orc = session.connect()
    found = [orc.queue(name) for name in names]  # all are there, or none is deleted
    if not yes:
        held = sum(
            q.active + q.dead_letter + q.scheduled + q.transfer + q.transfer_dead_letter
            for q in found
        )
        what = f"the {'queue' if len(found) == 1 else 'queues'} {', '.join(q.name for q in found)}"
        ask(f"Delete {what} with {counted(held)} (profile {orc.profile.name})?")
    session.show(Changes([orc.queues.delete(queue.name) for queue in found]))


@command(
    "peek",
    examples=[
        ("the next ten", "orchestrator queues peek results"),
        ("whole messages, properties and all", "orchestrator queues peek results --limit 2 --full"),
        ("which of them speak of an order", "orchestrator queues peek results --grep 'order-4\\d'"),
    ],
)
@queue_argument
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=1),
    default=1,
    metavar="NUMBER",
    help="Begin at this sequence number.",
)
@since_option("Only what was enqueued so recently (2h), or since a time.")
@click.option("--grep", type=Regex(), help="Only those whose body, id or property matches.")
@click.option(
    "--session", "session_id", metavar="ID", help="Of a queue with sessions: only this one."
)
@click.option("--full", is_flag=True, help="Each message in full, one below the other.")
def peek(
    queue: str,
    limit: int,
    start: int,
    since: datetime | timedelta | None,
    grep: str | None,
    session_id: str | None,
    full: bool,
) -> None:
    """Look at the messages of QUEUE, oldest first; nothing is locked or taken.

    Scheduled, deferred and locked messages are among them. Of a queue with sessions, those of one
    session after the other.
    """
    session = current()
    handle = session.connect().queues[queue]
    found = handle.peek(limit, start=start, since=since, grep=grep, session=session_id)
    show_messages(session, found, full=full)


@command(
    "sessions",
    examples=[
        ("which sessions have messages or a state", "orchestrator queues sessions orders"),
        ("look into one of them", "orchestrator queues peek orders --session customer-17"),
    ],
)
@queue_argument
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most so many.",
)
def sessions(queue: str, limit: int | None) -> None:
    """List the sessions of QUEUE: those with messages, and those with a state."""
    session = current()
    session.show(session.connect().queues[queue].sessions(limit))


@command(
    "purge",
    examples=[
        ("ask, then delete", "orchestrator queues purge results"),
        ("how many would it be?", "orchestrator queues purge results --dry-run"),
        ("in a script", "orchestrator queues purge results --yes"),
    ],
)
@queue_argument
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def purge(queue: str, dry_run: bool, yes: bool) -> None:
    """Delete the messages that wait in QUEUE, as many as there are when it begins.

    Scheduled, deferred and locked messages and dead letters stay; of a queue with sessions, what
    is in those that somebody holds.
    """
    from orchestrator.cli.jobs import ask
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    handle = orc.queues[queue]
    outcome = handle.purge(dry_run=True)
    if outcome.matched and not dry_run:
        if not yes:
            ask(
                f"Delete {counted(outcome.matched)} of the queue {outcome.queue} "
                f"(profile {orc.profile.name})?"
            )
        reached = 0

        def tell(done: int, total: int) -> None:
            nonlocal reached
            reached = done
            progress.update(f"{done:,}/{total:,}")

        with Progress() as progress:
            progress.begin(f"purging {outcome.queue}")
            try:
                outcome = handle.purge(on_progress=tell)
            except KeyboardInterrupt:
                progress.clear()
                stopped(
                    f"Stopped after {counted(reached)} or a few more; they are deleted.",
                    "Run it again to finish.",
                )
    if dry_run and session.plain:
        click.echo(f"{counted(outcome.matched)} of {outcome.queue} would be purged.")
    else:
        session.show(outcome)


# ------------------------------------------------------------------------------------- shared


def counted(number: int, noun: str = "message") -> str:
    """`1 message`, `1,200 messages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def stopped(said: str, hint: str) -> NoReturn:
    """Say how far a command was when Ctrl-C came, and end as it does then."""
    from orchestrator.cli.failures import INTERRUPTED, end_line, report

    end_line()
    report(said, hint, error=False)
    raise click.exceptions.Exit(INTERRUPTED)


def show_messages(session: Session, found: Messages, *, full: bool) -> None:
    """A table, or each in full; and, on stderr, that there are more."""
    if full and session.plain:
        for index, message in enumerate(found):
            if index:
                click.echo()
            session.show(message)
    else:
        session.show(found)
    if found.more:
        shown = "this one" if len(found) == 1 else f"these {len(found)}"
        session.say(f"There are more than {shown}; --limit N shows more.")
    if found.held:
        some = ", ".join(found.held[:5]) + (", …" if len(found.held) > 5 else "")
        session.say(
            f"Not looked into: {counted(len(found.held), 'session')} that somebody else holds "
            f"({some})."
        )
