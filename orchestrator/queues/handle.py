"""One queue and its messages: look, send, receive, purge.

results = orc.queues["results"]
results.peek()
results.send("8", id="17-result")
results.dead_letters.resubmit()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid4

from orchestrator.arguments import check_limit, seconds_of, since_of
from orchestrator.errors import BadInput, OrchestratorError
from orchestrator.quantities import as_moment, as_seconds
from orchestrator.queues import bus
from orchestrator.queues.message_copy import typed
from orchestrator.queues.messages import (
    Filter,
    Message,
    Messages,
    Outcome,
    Sent,
    message_of,
    pattern_of,
)
from orchestrator.waiting import now

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiver

    from orchestrator.azure.clients import Clients
    from orchestrator.quantities import Since
    from orchestrator.queues.dead_letters import DeadLetters
    from orchestrator.queues.records import Queue, QueueSessions
    from orchestrator.queues.verbs import QueueVerbs
    from orchestrator.waiting import Time

# (done, of how many) after each step of a long work.
OnProgress: TypeAlias = Callable[[int, int], None]
OnLook: TypeAlias = Callable[[int], None]  # with how many messages were looked at so far

# A moment to come, or how far ahead it is: a datetime, a timedelta, seconds, or text.
Ahead: TypeAlias = datetime | timedelta | float | str | None

RECEIVE_BATCH = 100  # messages asked for at once where several are wanted
PURGE_BATCH = 1000
_SHORTEST_LIFE = timedelta(milliseconds=1)  # AMQP counts milliseconds
PURGE_BYTES = 16 * 1024 * 1024  # how much a purge lets come at once
LAST_WAIT = 3.0  # seconds without a message after which a purge asks whether there are any
SILENCES = 4  # so often in a row; what is there still, somebody else has locked


class QueueHandle:
    """One queue. Made by `orc.queues["name"]`; nothing is contacted until a verb is called.

    Every verb raises QueueNotFound when there is no such queue, and NotReachable,
    AuthenticationFailed and PermissionDenied as everything does.
    """

    def __init__(self, verbs: QueueVerbs, clients: Clients, time: Time, name: str) -> None:
        self._verbs = verbs
        self._clients = clients
        self._time = time
        self.name = name

    def __repr__(self) -> str:
        return f"<QueueHandle {self.name} of {self._clients.profile.namespace or 'the profile'}>"

    def _repr_html_(self) -> str | None:
        """Its depths and properties now, in a notebook; the plain text where nobody answers."""
        try:
            return self.show()._repr_html_()
        except OrchestratorError:
            return None

    def show(self) -> Queue:
        """Its depths and properties, now."""
        return self._verbs.one(self.name)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The messages that were dead-lettered from this queue."""
        from orchestrator.queues.dead_letters import DeadLetters

        return DeadLetters(self, self._clients, self._time)

    @cached_property
    def transfer_dead_letters(self) -> DeadLetters:
        """The messages that could not be forwarded from this queue."""
        from orchestrator.queues.dead_letters import DeadLetters

        return DeadLetters(self, self._clients, self._time, transfer=True)

    def opened(self, doing: str, *, patient: bool = True) -> AbstractContextManager[bus.Bus]:
        """Links to this queue, for a `with` block; `doing` as for `failures.told`, `patient` as
        for `Clients.bus`."""
        return bus.opened(
            self._clients,
            self.name,
            f"{doing} {self.name}",
            lambda: self._verbs.missing(self.name),
            patient=patient,
        )

    # ---------------------------------------------------------------- look

    def peek(
        self,
        limit: int | None = 10,
        *,
        start: int = 1,
        since: Since = None,
        grep: str | None = None,
        session: str | None = None,
    ) -> Messages:
        """Messages in the order of the queue, neither locked nor taken.

        Scheduled, deferred and locked ones are among them. `limit`: at most so many (None: all);
        the result's `more` tells whether there are others. `start`: from this sequence number on.
        `since`: enqueued since then. `grep`: a regular expression found in the body, the id or a
        property. `session`: of a queue with sessions, which one; without it, one after the other.
        A session is held while it is looked into: the result's `held` names those that somebody
        else holds, whose messages are not among it.
        """
        check_limit(limit)
        wanted = Filter(since=since_of(since, self._time, self._clients), grep=pattern_of(grep))
        doing = "peek into the queue"
        try:
            with self.opened(doing) as links, links.receiver(session=session) as receiver:
                items, more = look(receiver, wanted, limit, start)
            return Messages(items, more=more)
        except bus.SessionNeeded:
            from orchestrator.queues.sessions import look_into
        with self.opened(doing, patient=False) as links:
            items, more, held = look_into(
                links, limit, lambda receiver, most: look(receiver, wanted, most, start)
            )
        return Messages(items, more=more, held=held)

    def sessions(self, limit: int | None = None) -> QueueSessions:
        """The sessions of a queue with sessions: those with messages, and those with a state.

        `limit`: at most so many (None: all). Raises InvalidRequest for a queue without sessions.
        """
        from orchestrator.queues.records import QueueSession, QueueSessions

        check_limit(limit)
        with self.opened("list the sessions of the queue") as links:
            # Held until the client is closed, which closes only those listings that are still
            # referred to; and an exhausted islice lets go of its own.
            listing = links.sessions()
            return QueueSessions([QueueSession(id=id) for id in islice(listing, limit)])

    # ---------------------------------------------------------------- send

    def send(
        self,
        *bodies: Any,
        id: str | None = None,
        content_type: str | None = None,
        subject: str | None = None,
        correlation_id: str | None = None,
        session_id: str | None = None,
        to: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, Any] | None = None,
        time_to_live: float | str | timedelta | None = None,
        at: Ahead = None,
        on_progress: OnProgress | None = None,
    ) -> Sent:
        """Send a message for each body; returns when the broker has accepted all of them.

        A body is text, bytes, or anything that `json.dumps` takes, which is sent as
        `application/json`. The other arguments count for each message; `id` names a single one
        (without it each gets a new one). `time_to_live`: seconds, "10m" or a timedelta.
        `at`: nobody receives it before then: a datetime, ISO text, or how far ahead ("10m").

        A queue that detects duplicates drops a message whose id it has seen, and says nothing.
        Raises BadInput, StorageFull when the queue is full, InvalidRequest when a message is too
        large; the messages before it are sent.
        """
        if not bodies:
            raise BadInput("There is nothing to send.", "Give at least one body.")
        if id is not None and len(bodies) > 1:
            raise BadInput(
                f"{len(bodies)} messages cannot all have the id {id}.", "Send them one by one."
            )
        moment = _moment_ahead(at, self._time)
        try:
            life = None if time_to_live is None else timedelta(seconds=as_seconds(time_to_live))
        except (ValueError, OverflowError) as error:
            raise BadInput(f"The time to live is wrong: {error}.", "Give it as in 10m.") from None
        if life is not None and life < _SHORTEST_LIFE:  # the SDK sends 0, which says: for ever
            raise BadInput(
                f"A time to live of {life.total_seconds():g} s is not possible.",
                "Give a millisecond or more, or none: then the queue's own counts.",
            )
        common: dict[str, Any] = {
            "subject": subject,
            "correlation_id": correlation_id,
            "session_id": session_id,
            "to": to,
            "reply_to": reply_to,
            "application_properties": _properties(properties or {}),
            "time_to_live": life,
            "scheduled_enqueue_time_utc": moment,
        }
        messages = [_outgoing(body, id, content_type, common) for body in bodies]
        done = 0

        def sent(count: int) -> None:
            nonlocal done
            done += count
            if on_progress:
                on_progress(done, len(messages))

        try:
            with self.opened("send to the queue") as links, links.sender() as sender:
                bus.send_all(sender, messages, sent)
        except OrchestratorError as error:
            if done:
                error.add_note(f"{done} of {len(messages)} messages were sent before.")
            raise
        return Sent(
            queue=self.name,
            sent=len(messages),
            ids=tuple(str(message.message_id) for message in messages),
        )

    # ---------------------------------------------------------------- receive

    def receive(
        self, limit: int = 1, *, wait: float | str | timedelta = 5.0, session: str | None = None
    ) -> Messages:
        """Take up to `limit` messages off the queue.

        `wait`: how long for the first (seconds, "10s", a timedelta); then until none comes for a
        moment. `session`: of a queue with sessions, which one; without it, one after the other that
        has messages and nobody holds. To keep a message in the queue until it is dealt with, use
        `consume`.
        """
        return Messages(self._consume(limit, wait, session, min(limit, RECEIVE_BATCH)))

    def consume(
        self,
        limit: int | None = None,
        *,
        wait: float | str | timedelta = 5.0,
        session: str | None = None,
    ) -> Iterator[Message]:
        """Messages one by one; each is taken off the queue when the next one is asked for.

        So a loop that breaks off or raises leaves the one it was at in the queue, to be received
        again; so does one that is slower than the queue's lock. Ends when none has come for
        `wait`, or after `limit`.
        """
        return self._consume(limit, wait, session, 1)

    def _consume(
        self,
        limit: int | None,
        wait: float | str | timedelta,
        session: str | None,
        batch: int,
    ) -> Iterator[Message]:
        check_limit(limit)
        seconds = max(seconds_of(wait), 0.1)  # the SDK refuses 0
        doing = "receive from the queue"
        try:
            with self.opened(doing) as links, links.receiver(session=session) as receiver:
                yield from _taken(receiver, limit, seconds, batch)
            return
        except bus.SessionNeeded:
            from orchestrator.queues.sessions import received
        with self.opened(doing, patient=False) as links:
            yield from received(
                links,
                limit,
                seconds,
                lambda receiver, most, wait: _taken(receiver, most, wait, batch),
                self._time,
            )

    # ---------------------------------------------------------------- purge

    def purge(self, *, dry_run: bool = False, on_progress: OnProgress | None = None) -> Outcome:
        """Delete the messages that are waiting, as many as there are when it begins.

        Scheduled and deferred messages, those that somebody has locked, and dead letters stay.
        Of a queue with sessions, all are emptied but those that somebody holds. `dry_run`: only
        count them.
        """
        queue = self.show()
        count = queue.active
        if dry_run or not count:
            return Outcome(
                queue=queue.name, action="purged", matched=count, done=0, dry_run=dry_run
            )
        doing, size = "purge the queue", queue.size // count
        if (queue.raw.get("properties") or {}).get("requiresSession"):
            from orchestrator.queues.sessions import purge

            with self.opened(doing, patient=False) as links:
                done = purge(links, count, _at_once(size), on_progress)
            count = max(count, done)  # meanwhile there may have come some
        else:
            with self.opened(doing) as links, links.receiver(delete=True) as receiver:
                done = drained(receiver, count, size, lambda: self.show().active, on_progress)
        return Outcome(
            queue=queue.name, action="purged", matched=count, done=done, left=count - done
        )


def drained(
    receiver: ServiceBusReceiver,
    count: int,
    size: int,
    left: Callable[[], int],
    on_progress: OnProgress | None,
) -> int:
    """Receive, and so delete, up to `count` messages; how many there were.

    A service that is slow to send is not taken for an empty queue: what it sends to a receiver that
    has gone is deleted and counted by nobody.

    Args:
        size: Of a message, bytes, about.
        left: How many there are now, as the service says.
    """
    done = silences = 0
    at_once = _at_once(size)
    while done < count:
        batch = receiver.receive_messages(min(at_once, count - done), max_wait_time=LAST_WAIT)
        if not batch:
            silences += 1
            if silences == SILENCES or not left():
                break
            continue
        silences = 0
        done += len(batch)
        if on_progress:
            on_progress(done, count)
    return done


def _at_once(size: int) -> int:
    """How many messages of about `size` bytes a purge lets come at once."""
    return max(1, min(PURGE_BATCH, PURGE_BYTES // max(1, size)))


def _taken(
    receiver: ServiceBusReceiver, limit: int | None, wait: float, batch: int
) -> Iterator[Message]:
    """Up to `limit` messages, each completed when the next is asked for; until none has come for
    `wait` seconds."""
    taken = 0
    while limit is None or taken < limit:
        most = batch if limit is None else min(batch, limit - taken)
        held = receiver.receive_messages(most, max_wait_time=wait)
        if not held:
            return
        try:
            while held:
                yield message_of(held[0])
                receiver.complete_message(held[0])
                held.pop(0)
                taken += 1
        finally:
            give_back(receiver, held)


LOOKED = 100  # messages between two words about a long look


def look(
    receiver: ServiceBusReceiver,
    wanted: Filter,
    limit: int | None,
    start: int = 1,
    on_look: OnLook | None = None,
) -> tuple[list[Message], bool]:
    """The messages that match, at most `limit`, and whether there are more of them.

    `on_look` is called after every `LOOKED` messages, whether they match or not.
    """
    found: list[Message] = []
    most = None if limit is None or not wanted.everything else limit + 1
    for number, received in enumerate(bus.peeked(receiver, start, most), 1):
        if on_look and number % LOOKED == 0:
            on_look(number)
        message = message_of(received)
        if not wanted.matches(message):
            continue
        if limit is not None and len(found) == limit:
            return found, True
        found.append(message)
    return found, False


def give_back(receiver: ServiceBusReceiver, held: list[ServiceBusReceivedMessage]) -> None:
    """Let others have these at once, not only when their locks end; never raises."""
    from azure.servicebus.exceptions import ServiceBusError

    for message in held:
        try:
            receiver.abandon_message(message)
        except (ServiceBusError, ValueError, OSError):
            return  # the link is gone, and the locks end by themselves


def _outgoing(
    body: Any, id: str | None, content_type: str | None, common: Mapping[str, Any]
) -> ServiceBusMessage:
    from azure.servicebus import ServiceBusMessage

    if not isinstance(body, str | bytes):
        try:
            body = json.dumps(body, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"A body is text, bytes, or what JSON can say: {error}.", "Encode it yourself."
            ) from None
        content_type = content_type or "application/json"
    try:
        return ServiceBusMessage(
            body,
            message_id=uuid4().hex if id is None else id,
            content_type=content_type,
            **common,
        )
    except (ValueError, TypeError) as error:
        raise BadInput(
            f"That message cannot be: {error}",
            "An id, a session's id and a partition key have up to 128 characters.",
        ) from None


def _properties(given: Mapping[str, Any]) -> dict[str, Any] | None:
    for name, value in given.items():
        if not _sayable(value):
            raise BadInput(
                f"The property {name} cannot be sent: AMQP has no form for {value!r}.",
                "Properties are texts, bytes, numbers of up to 64 bits, true or false, times, "
                "UUIDs, or lists and maps of these.",
            )
    return {name: typed(value) for name, value in given.items()} or None


def _sayable(value: Any) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    if isinstance(value, list):
        return all(_sayable(item) for item in value)
    if isinstance(value, dict):
        return all(_sayable(part) for pair in value.items() for part in pair)
    return value is None or isinstance(value, str | bytes | float | Decimal | UUID | datetime)


def _moment_ahead(at: Ahead, time: Time) -> datetime | None:
    if at is None:
        return None
    moment_now = now(time)
    try:
        if isinstance(at, str) and at.strip()[:1].isdigit() and "-" not in at:
            at = timedelta(seconds=as_seconds(at))
        if isinstance(at, timedelta | int | float):
            return moment_now + timedelta(seconds=as_seconds(at))
        return as_moment(at, moment_now).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"The time to send at is wrong: {error}.",
            "Give how far ahead it is (10m), or when (2026-11-24T06:00Z).",
        ) from None
