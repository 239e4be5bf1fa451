"""Where a queue keeps its messages: found by number, walked in order, handed out oldest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import islice

from orchestrator.localcloud.servicebus.model import ACTIVE, NEVER, SCHEDULED, StoredMessage
from orchestrator.localcloud.servicebus.structures.agenda import Agenda
from orchestrator.localcloud.servicebus.structures.sequences import SequenceIndex

_SLACK = 64


class Shelf:
    """Messages that are durable, by sequence number, and the moments at which they change.

    A message is *ready* when it may be handed to a receiver: active and without a lock. Ready
    messages are in a heap of sequence numbers; one that ceases to be ready stays in it as a void
    entry, found out when it surfaces. Should void entries outnumber the ready ones, the heap is
    rebuilt, so that an abandoned queue whose messages expire does not grow.

    All operations are O(log n), amortised.
    """

    __slots__ = (
        "_heap",
        "_index",
        "lock_agenda",
        "message_agenda",
        "messages",
        "ready",
        "scheduled",
        "size",
    )

    def __init__(self) -> None:
        self.messages: dict[int, StoredMessage] = {}
        self.ready = 0
        self.scheduled = 0
        self.size = 0
        self._index = SequenceIndex()
        self._heap: list[int] = []
        self.message_agenda = Agenda(self._message_valid, self.messages.__len__)
        self.lock_agenda = Agenda(self._lock_valid, self._locked)

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, messages: Sequence[StoredMessage]) -> None:
        """Take in messages that have just become durable; not yet ready."""
        for message in messages:
            sequence = message.sequence
            self.messages[sequence] = message
            self._index.add(sequence)
            self.size += len(message.payload)
            if message.state is SCHEDULED:
                self.scheduled += 1

    def remove(self, message: StoredMessage) -> None:
        """Let go of a message that is not ready (see `withhold`)."""
        del self.messages[message.sequence]
        self._index.remove(message.sequence)
        self.size -= message.size
        if message.state is SCHEDULED:
            self.scheduled -= 1

    def offer(self, messages: Sequence[StoredMessage]) -> None:
        """Make active messages without a lock ready."""
        self.ready += len(messages)
        for message in messages:
            heapq.heappush(self._heap, message.sequence)
        if len(self._heap) > 2 * self.ready + _SLACK:
            self._heap = sorted({n for n in self._heap if self._is_ready(n)})

    def withhold(self, message: StoredMessage) -> None:
        """Note that a ready message is not ready any more (the caller gives it a lock)."""
        self.ready -= 1

    def pop_ready(self) -> StoredMessage | None:
        """The oldest ready message; the caller must lock or remove it at once."""
        heap = self._heap
        while heap:
            message = self.messages.get(heapq.heappop(heap))
            if message is not None and message.lock is None and message.state == 0:
                self.ready -= 1
                return message
        return None

    def pop_any(self) -> StoredMessage | None:
        """A ready message to be moved elsewhere; the caller must lock or remove it at once."""
        return self.pop_ready()

    def walk(self, sequence: int, count: int) -> list[StoredMessage]:
        """Up to `count` messages in any state from `sequence` on, in order."""
        return [self.messages[number] for number in islice(self._index.start(sequence), count)]

    def watch(self, message: StoredMessage) -> float:
        """Note when the message, as it is now, must be looked at again; that moment."""
        lock = message.lock
        if lock is not None:
            self.lock_agenda.add(lock.locked_until, message.sequence)
            return lock.locked_until
        due = message_due(message)
        self.message_agenda.add(due, message.sequence)
        return due

    def watch_locks(self, until: float, messages: Iterable[StoredMessage]) -> float:
        """As `watch`, of messages that have just been locked until that moment."""
        self.lock_agenda.add_all(until, [message.sequence for message in messages])
        return until

    def next_due(self) -> float:
        return min(self.lock_agenda.next_due(), self.message_agenda.next_due())

    def pop_due(self, now: float) -> StoredMessage | None:
        """One message whose moment has come; None when there is no other."""
        sequence = self.lock_agenda.pop_due(now)
        if sequence is None:
            sequence = self.message_agenda.pop_due(now)
        return None if sequence is None else self.messages[sequence]

    def _locked(self) -> int:
        return len(self.messages) - self.ready - self.scheduled

    def _is_ready(self, sequence: int) -> bool:
        message = self.messages.get(sequence)
        return message is not None and message.lock is None and message.state == 0

    def _lock_valid(self, when: float, sequence: int) -> bool:
        message = self.messages.get(sequence)
        if message is None or message.lock is None:
            return False
        return message.lock.locked_until == when

    def _message_valid(self, when: float, sequence: int) -> bool:
        message = self.messages.get(sequence)
        return message is not None and message.lock is None and message_due(message) == when


def message_due(message: StoredMessage) -> float:
    """When something becomes of a message that is not locked: it expires, or its time comes."""
    if message.state is ACTIVE:
        return message.expires_at
    if message.state is SCHEDULED:
        return message.details.scheduled_at or 0.0
    return NEVER
