"""Where a queue with sessions keeps its messages: each session's by themselves, oldest first."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice

from orchestrator.localcloud.servicebus.model import LockedMessage, MessageState, StoredMessage
from orchestrator.localcloud.servicebus.structures.agenda import Agenda
from orchestrator.localcloud.servicebus.structures.line import Line
from orchestrator.localcloud.servicebus.structures.sequences import SequenceIndex
from orchestrator.localcloud.servicebus.structures.shelf import Shelf

_SLACK = 64


class SessionLock:
    """A session in the hands of one receiver.

    locked_until: epoch seconds; `Queue.renew_session` moves it. over: it has ended. held: the
    messages locked with it, by token. lost: called when it ends without the holder's doing.
    line: where the holder waits for messages.
    """

    __slots__ = ("held", "line", "locked_until", "lost", "number", "over", "session")

    def __init__(
        self,
        session: Session,
        number: int,
        locked_until: float,
        lost: Callable[[], None],
        line: Line,
    ) -> None:
        self.session = session
        self.number = number
        self.locked_until = locked_until
        self.lost = lost
        self.line = line
        self.over = False
        self.held: dict[bytes, LockedMessage] = {}

    @property
    def session_id(self) -> str:
        return self.session.id

    def __repr__(self) -> str:
        return f"SessionLock({self.session.id!r}, until={self.locked_until}, over={self.over})"


class Session:
    """The messages of one session id, its state, and who has it.

    state: what a client keeps with the session, None for nothing; updated_at: when that was
    last written (epoch seconds).
    """

    __slots__ = ("heap", "id", "index", "lock", "ready", "size", "state", "updated_at")

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.ready = 0
        self.size = 0
        self.heap: list[int] = []
        self.index = SequenceIndex()
        self.lock: SessionLock | None = None
        self.state: bytes | None = None
        self.updated_at = 0.0


class SessionShelf(Shelf):
    """A `Shelf` whose ready messages are found by session. All operations are O(log n)."""

    __slots__ = ("available", "locks", "session_agenda", "sessions")

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        # Sessions with ready messages that nobody has, in the order in which they became so.
        self.available: OrderedDict[str, Session] = OrderedDict()
        self.locks: dict[int, SessionLock] = {}
        self.session_agenda = Agenda(self._session_valid, self.locks.__len__)

    def session(self, session_id: str) -> Session:
        """That session; a new one if there is none. `tidy` it after use."""
        found = self.sessions.get(session_id)
        if found is None:
            found = self.sessions[session_id] = Session(session_id)
        return found

    def tidy(self, session: Session) -> None:
        """Note whether it is there to be had, and forget one of which nothing is left."""
        if session.ready and session.lock is None:
            self.available[session.id] = session
            return
        self.available.pop(session.id, None)
        if not session.size and session.lock is None and session.state is None:
            self.sessions.pop(session.id, None)

    def add(self, messages: Sequence[StoredMessage]) -> None:
        super().add(messages)
        for message in messages:
            session = self._of(message)
            session.size += 1
            session.index.add(message.sequence)

    def remove(self, message: StoredMessage) -> None:
        super().remove(message)
        session = self._of(message)
        session.size -= 1
        session.index.remove(message.sequence)
        self.tidy(session)

    def offer(self, messages: Sequence[StoredMessage]) -> None:
        self.ready += len(messages)
        for message in messages:
            session = self._of(message)
            session.ready += 1
            heapq.heappush(session.heap, message.sequence)
            if len(session.heap) > 2 * session.ready + _SLACK:
                session.heap = sorted({n for n in session.heap if self._is_ready(n)})
            self.tidy(session)

    def withhold(self, message: StoredMessage) -> None:
        super().withhold(message)
        session = self._of(message)
        session.ready -= 1
        self.tidy(session)

    def pop_ready(self) -> StoredMessage | None:
        """None: messages of sessions are had by session only."""
        return None

    def pop_any(self) -> StoredMessage | None:
        """The oldest of a session that nobody has."""
        while self.available:
            session = next(iter(self.available.values()))
            message = self.pop_of(session)
            self.tidy(session)
            if message is not None:
                return message
            self.available.pop(session.id, None)
        return None

    def pop_of(self, session: Session) -> StoredMessage | None:
        """The session's oldest ready message; the caller must lock or remove it at once."""
        while session.heap:
            message = self.messages.get(heapq.heappop(session.heap))
            if (
                message is not None
                and message.lock is None
                and message.state is MessageState.ACTIVE
            ):
                self.ready -= 1
                session.ready -= 1
                return message
        return None

    def walk_of(self, session_id: str, sequence: int, count: int) -> list[StoredMessage]:
        """Up to `count` messages of a session in any state from `sequence` on, in order."""
        session = self.sessions.get(session_id)
        if session is None:
            return []
        return [self.messages[number] for number in islice(session.index.start(sequence), count)]

    def next_due(self) -> float:
        return min(super().next_due(), self.session_agenda.next_due())

    def _of(self, message: StoredMessage) -> Session:
        return self.session(message.details.session_id or "")

    def _session_valid(self, when: float, number: int) -> bool:
        lock = self.locks.get(number)
        return lock is not None and lock.locked_until == when
