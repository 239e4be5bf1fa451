"""A client's receiver link to one session of a queue: a named one, or the next that is to be had.

The attach of a receiver that asks for the next session is answered when there is one; the answer
names the session in the source's filter and the end of its lock in the link's properties. The
session belongs to the link: when the link goes, it is free; when its lock ends, the link goes a
moment later (`LINGER`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import INVALID_FIELD, AmqpError
from orchestrator.localcloud.amqp.link import OutgoingDelivery, OutgoingLink, with_filters
from orchestrator.localcloud.servicebus.errors import BrokerError, SessionLockLost
from orchestrator.localcloud.servicebus.front.faults import settlement
from orchestrator.localcloud.servicebus.front.links.door import wire_error
from orchestrator.localcloud.servicebus.front.links.receive import SESSION_FILTER, ReceiverDoor
from orchestrator.localcloud.servicebus.model import LockedMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.session_keeping import SessionWaiter
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

TIMEOUT = "com.microsoft:timeout"
LOCKED_UNTIL = "com.microsoft:locked-until-utc"

# Milliseconds that somebody waits for the next session who does not say how long.
PATIENCE = 60_000
_LONGEST = 24 * 3600 * 1000

LINGER = 1.0
"""Seconds (of the machine) from the end of a session's lock to that of its link. Clients may wait
for one more message as long as the lock lasts, from a little after it began, and their own tests
expect no error then (azure-servicebus 7.15, tests/async_tests/test_sessions_async.py,
`…_receive_handler_receiveanddelete`: a lock and a wait of 10 s)."""

_TICKS_TO_EPOCH = 621355968000000000


def ticks(seconds: float) -> int:
    """.NET's 100 ns since year 1 of an epoch time."""
    return _TICKS_TO_EPOCH + int(seconds * 1000) * 10_000


class SessionDoor(ReceiverDoor):
    """Joins one session of `queue` to an outgoing link."""

    def __init__(self, peer: Peer, link: OutgoingLink, queue: Queue) -> None:
        super().__init__(peer, link, queue)
        self.session: SessionLock | None = None
        self._session_waiter: SessionWaiter | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._queue.check_accept()
        asked_for = self.link.source.filters.get(SESSION_FILTER)
        wanted = asked_for.value if isinstance(asked_for, t.Described) else asked_for
        if wanted is None:
            self._session_waiter = self._queue.await_session(self._granted, self._lost)
            asked = self.link.properties.get(TIMEOUT)
            patience = asked if isinstance(asked, int) and asked > 0 else PATIENCE
            self._patience = asyncio.get_running_loop().call_later(
                min(patience, _LONGEST) / 1000, self._give_up
            )
        elif isinstance(wanted, str):
            self._granted(self._queue.accept_session(str(wanted), self._lost))
        else:
            raise AmqpError(INVALID_FIELD, "The session filter must be a string or null.")

    def _granted(self, session: SessionLock) -> None:
        self._stop_waiting()
        self.session = session
        self._waiter = self._queue.waiter_of(session, self._available)
        asked = self.link.source.filters[SESSION_FILTER]
        self.link.accept(
            max_message_size=self._queue.max_message_size,
            source=with_filters(
                self.link.source, {t.Symbol(SESSION_FILTER): _answered(asked, session.session_id)}
            ),
            properties={LOCKED_UNTIL: ticks(session.locked_until)},
        )
        self.on_sendable()
        self._peer.wake()

    def _give_up(self) -> None:
        self._stop_waiting()
        self._peer.refuse(
            self,
            AmqpError(
                TIMEOUT,
                f"No session of {self.path} had messages and was free within the time given.",
            ),
        )

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._session_waiter is not None:
            self._session_waiter.cancel()
            self._session_waiter = None

    def _lost(self) -> None:
        self._waiter.cancel()
        self._leaving = asyncio.get_running_loop().call_later(LINGER, self._leave)

    def _leave(self) -> None:
        self._peer.detach(self, wire_error(self._gone()))

    def _gone(self) -> BrokerError:
        name = "" if self.session is None else self.session.session_id
        return SessionLockLost(
            f"The session lock has expired on the session '{name}' of {self.path}. Accept the "
            "session again."
        )

    # What ReceiverDoor asks of the queue

    def _check(self) -> None:
        self._queue.check_accept()

    def _changed(self) -> None:
        try:
            self._check()
        except BrokerError as error:
            if self.link.attached:
                self._peer.detach(self, wire_error(error))
            else:
                self._peer.refuse(self, wire_error(error))

    def _acquire(self, count: int) -> Sequence[LockedMessage]:
        return [] if self.session is None else self._queue.acquire_of(self.session, count)

    def _take(self, count: int) -> int:
        if self.session is None:
            return 0
        return self._queue.take_of(self.session, count, self._taken)

    def on_sendable(self) -> None:
        if self.session is None:
            return
        if not self.session.over:
            super().on_sendable()
        elif self.link.drain and not self._reserved:
            self.link.drained()

    def _settle(self, delivery: OutgoingDelivery, outcome: p.Outcome) -> None:
        if self.session is not None and self.session.over:
            if outcome.transaction is not None and delivery.settled:
                self._peer.transactions.spoil(outcome.transaction, wire_error(self._gone()))
            self._settled(delivery, settlement(outcome), outcome, None, self._gone())
        else:
            super()._settle(delivery, outcome)

    def on_detached(self) -> None:
        self._stop_waiting()
        if self._leaving is not None:
            self._leaving.cancel()
        super().on_detached()
        if self.session is not None:
            self._queue.release_session(self.session)


def _answered(filter_: Any, session_id: str) -> Any:
    """A session filter with the session that was found: described where the client's was (as the
    standard has filters, and Go's azservicebus reads no others), bare where it was not (Python's
    and JavaScript's SDKs)."""
    if isinstance(filter_, t.Described):
        return t.Described(filter_.descriptor, session_id)
    return session_id
