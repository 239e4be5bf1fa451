"""The messages of a queue with sessions whose sessions nobody has named: session by session.

Service Bus gives them to who holds the session they are of, and this SDK peeks so, too. Several
sessions are held at once: the SDK's receivers take up to a second each to close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import islice
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.queues.bus import Bus, peeked
from orchestrator.queues.messages import Message

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceiver

    from orchestrator.queues.handle import OnProgress
    from orchestrator.waiting import Time

# The messages that match, at most so many as are asked for, and whether there are more.
Look: TypeAlias = Callable[["ServiceBusReceiver", int | None], tuple[list[Message], bool]]
# Up to so many messages, until none has come for so many seconds.
Take: TypeAlias = Callable[["ServiceBusReceiver", int | None, float], Iterator[Message]]

AT_ONCE = 8  # sessions held at the same time
SILENCE = 1.0  # seconds without a message after which a session is taken to have no more
SILENCES = 4  # so often in a row where it is known to have some
LONGEST = 60.0  # seconds that the service is asked to wait for a session


def look_into(links: Bus, limit: int | None, look: Look) -> tuple[list[Message], bool, list[str]]:
    """The messages of the sessions, one session after the other in the order of the service;
    whether there are more; the sessions that others hold."""
    from azure.servicebus.exceptions import SessionCannotBeLockedError

    found: list[Message] = []
    held: list[str] = []
    ids = links.sessions()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while some := list(islice(ids, AT_ONCE)):
            left = None if limit is None else limit - len(found)

            def look_at(
                receiver: ServiceBusReceiver, left: int | None = left
            ) -> tuple[list[Message], bool] | None:
                try:
                    with receiver:
                        return look(receiver, left)
                except SessionCannotBeLockedError:
                    return None

            # Receivers are made in this thread: their client notes each of them.
            made = [links.receiver(session=id) for id in some]
            for id, seen in zip(some, threads.map(look_at, made), strict=True):
                if seen is None:
                    held.append(id)
                    continue
                messages, more = seen
                if limit is not None and len(found) + len(messages) > limit:
                    return [*found, *messages][:limit], True, held
                found += messages
                if more:
                    return found, True, held
    return found, False, held


def received(
    links: Bus, limit: int | None, wait: float, take: Take, clock: Time
) -> Iterator[Message]:
    """What `take` gives of one session after the other, `limit` messages at most, until no session
    that nobody holds has had one for `wait` seconds."""
    from azure.servicebus.exceptions import OperationTimeoutError, SessionCannotBeLockedError

    taken = 0
    ends = clock.time() + wait
    while limit is None or taken < limit:
        receiver = links.next_session(max(min(ends - clock.time(), LONGEST), 0.1))
        with ExitStack() as session:
            try:
                session.enter_context(receiver)
            except (OperationTimeoutError, SessionCannotBeLockedError):
                if clock.time() < ends:
                    continue
                return
            most = None if limit is None else limit - taken
            for message in take(receiver, most, min(wait, SILENCE)):
                taken += 1
                yield message
        ends = clock.time() + wait


def purge(links: Bus, count: int, at_once: int, on_progress: OnProgress | None) -> int:
    """Receive, and so delete, what is active in each session when it is reached; how many there
    were.

    Sessions that others hold are left as they are. `count`: how many are expected, for
    `on_progress`. `at_once`: messages that may come together.
    """
    from azure.servicebus.exceptions import SessionCannotBeLockedError

    done = 0
    stop = Event()
    lock = Lock()

    def came(number: int) -> None:
        nonlocal done
        with lock:
            done += number
            if on_progress:
                on_progress(done, max(done, count))

    def visit(receiver: ServiceBusReceiver) -> None:
        with suppress(SessionCannotBeLockedError), receiver:
            left = _active(receiver)
            silences = 0
            while left > 0 and silences < SILENCES and not stop.is_set():
                batch = receiver.receive_messages(min(at_once, left), max_wait_time=SILENCE)
                silences = 0 if batch else silences + 1
                left -= len(batch)
                if batch:
                    came(len(batch))

    # All are listed first: the service counts from the beginning of a list that becomes shorter.
    ids = iter(list(links.sessions()))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            while some := list(islice(ids, AT_ONCE)):
                made = [links.receiver(session=id, delete=True) for id in some]
                list(threads.map(visit, made))
        finally:
            stop.set()
    return done


def _active(receiver: ServiceBusReceiver) -> int:
    """How many messages of the receiver's session it can receive."""
    from azure.servicebus import ServiceBusMessageState

    active = ServiceBusMessageState.ACTIVE
    return sum(message.state == active for message in peeked(receiver))
