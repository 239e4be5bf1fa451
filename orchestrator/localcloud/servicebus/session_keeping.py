"""Sessions of a queue: who has which, until when, and what is kept with them.

One receiver at a time has a session and gets its messages in their order; the locks of these
messages are the session's. When its holder lets go, they are ready again as if they had never
been delivered; when the lock ends by time, that was a failed delivery
(https://learn.microsoft.com/azure/service-bus-messaging/message-sessions). A session's lock lives
with the link that holds it, so it is not stored: a restart frees all sessions.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from orchestrator.localcloud.servicebus.definitions import SESSION, SessionRecord
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    InvalidOperation,
    MessageTooLarge,
    SessionCannotBeLocked,
    SessionLockLost,
)
from orchestrator.localcloud.servicebus.forwarding import Forwarding
from orchestrator.localcloud.servicebus.model import Done, LockedMessage, StoredMessage
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.structures.line import Line
from orchestrator.localcloud.servicebus.structures.session_shelf import (
    Session,
    SessionLock,
    SessionShelf,
)

_log = logging.getLogger(__name__)

Granted = Callable[[SessionLock], None]


class SessionWaiter:
    """Somebody who wants the next session that is to be had."""

    __slots__ = ("_waiters", "granted", "lost")

    def __init__(
        self,
        waiters: OrderedDict[SessionWaiter, None],
        granted: Granted,
        lost: Callable[[], None],
    ) -> None:
        self._waiters = waiters
        self.granted = granted
        self.lost = lost

    def cancel(self) -> None:
        """Want it no longer."""
        self._waiters.pop(self, None)


class SessionKeeping(Forwarding, ABC):
    """Adds to a queue what concerns sessions."""

    _lock_numbers = 0
    _serving = False
    _waiting_for_sessions: OrderedDict[SessionWaiter, None]

    @property
    def has_sessions(self) -> bool:
        """Whether its messages are had by session."""
        return isinstance(self._shelf, SessionShelf)

    @property
    def _sessions(self) -> SessionShelf:
        if not isinstance(self._shelf, SessionShelf):
            raise InvalidOperation(
                "A sessionful message receiver cannot be created on an entity that does not "
                "require sessions."
            )
        return self._shelf

    def _check_enabled(self) -> None:
        """Raises EntityDisabled unless messages may be taken from here."""
        if not self.properties.status.can_receive:
            raise EntityDisabled(
                f"The messaging entity {self.namespace}/{self.path} is disabled for receiving "
                f"(status {self.properties.status})."
            )

    def check_accept(self) -> None:
        """Whether receivers of a session are welcome. Raises EntityNotFound, EntityDisabled,
        InvalidOperation (no session queue)."""
        self._check_exists()
        self._check_enabled()
        _ = self._sessions
        self.check_stays("receiver")

    # -- having a session ----------------------------------------------------------------------

    def accept_session(self, session_id: str, lost: Callable[[], None]) -> SessionLock:
        """Lock the session of that id, which need not have messages. `lost` is called should the
        lock end before `release_session`. Raises SessionCannotBeLocked and as `check_accept`."""
        self.check_accept()
        if len(session_id) > self._context.limits.session_id_length:
            raise InvalidOperation(
                f"A session id may have up to {self._context.limits.session_id_length} characters."
            )
        self._now()
        session = self._sessions.session(session_id)
        if session.lock is not None:
            raise SessionCannotBeLocked(
                f"The requested session '{session_id}' cannot be accepted. It may be locked by "
                "another receiver."
            )
        return self._lock_session(session, lost)

    def await_session(self, granted: Granted, lost: Callable[[], None]) -> SessionWaiter:
        """Have `granted(lock)` called, not from this call, with the next session that has
        messages and that nobody has; first come, first served."""
        self.check_accept()
        self._now()
        waiter = SessionWaiter(self._waiting_for_sessions, granted, lost)
        self._waiting_for_sessions[waiter] = None
        self._serve_soon()
        return waiter

    def renew_session(self, lock: SessionLock) -> float:
        """Lock it for another lock_duration from now; the new locked_until. Raises
        SessionLockLost."""
        self._check_session(lock)
        lock.locked_until = self._context.clock.time() + self.properties.lock_duration
        self._watch_session(lock)
        return lock.locked_until

    def release_session(self, lock: SessionLock) -> None:
        """Let go of it; messages not settled are ready again, their delivery counts unchanged.
        One that is over stays so."""
        self._end_session(lock, expired=False)

    def lose_session(self, lock: SessionLock) -> None:
        """Take it from its holder as if the lock had expired."""
        self._end_session(lock, expired=True)

    def acquire_of(self, lock: SessionLock, count: int) -> list[LockedMessage]:
        """Lock up to `count` of the session's messages, oldest first. Raises SessionLockLost."""
        return self._lock_in(lock, self.pop_of(lock, count))

    def pop_of(self, lock: SessionLock, count: int) -> list[StoredMessage]:
        """Up to `count` ready messages of the session; the caller must lock or remove them."""
        self._check_session(lock)
        return self.pop_ready(count, self._now(), lambda: self._sessions.pop_of(lock.session))

    def _check_session(self, lock: SessionLock) -> None:
        self._check_exists()
        self._now()
        if lock.over:
            raise SessionLockLost(
                f"The session lock has expired on the session '{lock.session_id}' of "
                f"{self.namespace}/{self.path}. Accept the session again."
            )

    def _lock_session(self, session: Session, lost: Callable[[], None]) -> SessionLock:
        self._lock_numbers += 1
        lock = SessionLock(
            session,
            self._lock_numbers,
            self._context.clock.time() + self.properties.lock_duration,
            lost,
            Line(lambda: self._receivable_of(session), self._context.soon),
        )
        session.lock = lock
        shelf = self._sessions
        shelf.locks[lock.number] = lock
        shelf.tidy(session)
        self._watch_session(lock)
        return lock

    def _receivable_of(self, session: Session) -> int:
        return session.ready if self.properties.status.can_receive else 0

    def _watch_session(self, lock: SessionLock) -> None:
        self._sessions.session_agenda.add(lock.locked_until, lock.number)
        self._remind(lock.locked_until)

    @abstractmethod
    def _lock_in(self, lock: SessionLock, messages: list[StoredMessage]) -> list[LockedMessage]:
        """Messages of a session as its receiver holds them."""

    def _end_session(self, lock: SessionLock, *, expired: bool) -> None:
        if lock.over:
            return
        lock.over = True
        self._sessions.locks.pop(lock.number, None)
        now = self._context.clock.time()
        for held in list(lock.held.values()):
            # What is being settled comes free when that is done, and the session with it.
            if not held.settling:
                self._end_hold(held, now, expired=expired)
        self._free_session(lock)
        if expired:
            lock.lost()

    def _end_hold(self, held: LockedMessage, now: float, *, expired: bool) -> None:
        if expired:
            self._lock_expired(held, now)
        else:
            self._unlock(held)
            held.message.lock = None
            self._return(held.message, now)

    def _unlock(self, lock: LockedMessage) -> None:
        super()._unlock(lock)
        if lock.session is not None:
            lock.session.held.pop(lock.token, None)

    def _free_session(self, lock: SessionLock) -> None:
        """Nobody else gets the session while one of its messages is still being settled: what
        comes back must come before what follows it."""
        if lock.over and not lock.held and lock.session.lock is lock:
            lock.session.lock = None
            self._sessions.tidy(lock.session)
            self._serve_soon()

    def _freed(self, lock: LockedMessage) -> None:
        if lock.session is not None:
            self._free_session(lock.session)

    # -- time and arrivals -----------------------------------------------------------------------

    def _tidy(self, now: float) -> None:
        if isinstance(self._shelf, SessionShelf):
            while True:
                number = self._shelf.session_agenda.pop_due(now)
                if number is None:
                    break
                self._end_session(self._shelf.locks[number], expired=True)
        super()._tidy(now)

    def clock_set_back(self) -> None:
        super().clock_set_back()
        if isinstance(self._shelf, SessionShelf):
            latest = self._context.clock.time() + self.properties.lock_duration
            for lock in self._shelf.locks.values():
                if lock.locked_until > latest:
                    lock.locked_until = latest
                    self._watch_session(lock)

    def _offer(self, messages: Sequence[StoredMessage]) -> None:
        super()._offer(messages)
        if isinstance(self._shelf, SessionShelf):
            for session_id in {message.details.session_id or "" for message in messages}:
                session = self._shelf.session(session_id)
                if session.lock is not None:
                    session.lock.line.wake()
            self._serve_soon()

    def wake_sessions(self) -> None:
        """The settings have changed: who waits may be served now."""
        if isinstance(self._shelf, SessionShelf):
            for lock in self._shelf.locks.values():
                lock.line.wake()
            self._serve_soon()

    def _serve_soon(self) -> None:
        if self._waiting_for_sessions and not self._serving:
            self._serving = True
            self._context.soon(self._serve_sessions)

    def _serve_sessions(self) -> None:
        self._serving = False
        if self.deleted or not self.properties.status.can_receive:
            return
        available = self._sessions.available
        while available and self._waiting_for_sessions:
            waiter, _ = self._waiting_for_sessions.popitem(last=False)
            session = next(iter(available.values()))
            lock = self._lock_session(session, waiter.lost)
            try:
                waiter.granted(lock)
            except Exception:  # noqa: BLE001 -- one consumer's fault is not the others'
                _log.exception("a consumer could not take the session given to it")
                self.release_session(lock)

    # -- state and listing -----------------------------------------------------------------------

    def session_state(self, lock: SessionLock) -> bytes | None:
        """What is kept with the session. Raises SessionLockLost."""
        self._check_session(lock)
        return lock.session.state

    def set_session_state(self, lock: SessionLock, state: bytes | None, done: Done) -> None:
        """Keep that with the session, durably; None removes it. Raises SessionLockLost,
        MessageTooLarge."""
        self._check_session(lock)
        limit = self._context.limits.session_state_size
        if state is not None and len(state) > limit:
            raise MessageTooLarge(
                f"The session state of {len(state)} bytes exceeds the {limit} bytes allowed."
            )
        session = lock.session
        now = self._context.clock.time()
        change = Change()
        body = None if state is None else msgspec.json.encode(SessionRecord(state, now))
        change.define(SESSION, f"{self.number}|{session.id}", body)

        def finished(error: BrokerError | None) -> None:
            if error is None:
                session = self._sessions.session(lock.session_id)
                session.state = state
                session.updated_at = now
                self._sessions.tidy(session)
            done(error)

        self._commit(change, finished)

    def restore_session(self, session_id: str, record: SessionRecord) -> None:
        """Take in a session's state from the store."""
        if isinstance(self._shelf, SessionShelf):
            session = self._shelf.session(session_id)
            session.state = record.state
            session.updated_at = record.updated_at

    def forget_sessions(self, change: Change) -> None:
        """Remove what the store keeps of sessions; the queue is being deleted."""
        if isinstance(self._shelf, SessionShelf):
            for session in self._shelf.sessions.values():
                if session.state is not None:
                    change.define(SESSION, f"{self.number}|{session.id}", None)

    def session_ids(self, updated_after: float | None, skip: int, top: int) -> list[str]:
        """Ids in order: of the sessions that have messages (None), or whose state was written
        after that moment."""
        self._check_exists()
        self._now()
        found = sorted(
            session.id
            for session in self._sessions.sessions.values()
            if (
                session.size > 0
                if updated_after is None
                else session.state is not None and session.updated_at > updated_after
            )
        )
        return found[skip : skip + top]

    def peek_session(self, session_id: str, sequence: int, count: int) -> list[StoredMessage]:
        """As `peek`, of one session's messages."""
        self._check_exists()
        self._now()
        count = min(count, self._context.limits.peek_batch)
        if isinstance(self._shelf, SessionShelf):
            return self._shelf.walk_of(session_id, sequence, count)
        # A queue without sessions has no index of them.
        found: list[StoredMessage] = []
        for message in self._shelf.walk(sequence, len(self._shelf)):
            if message.details.session_id == session_id:
                found.append(message)
                if len(found) == count:
                    break
        return found
