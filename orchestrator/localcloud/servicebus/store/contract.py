"""What the broker asks of a durable store, and the terms in which it asks.

The engine describes one atomic unit of work as a `Change` and hands it to `Store.commit`. The
store commits changes in the order given, several at a time where it can, and tells each change's
`done` in that order. All of a change is durable, or nothing of it ever was.

Rows are addressed by one integer, the key: the queue's number and the message's sequence number
(`key_of`). A queue's number and a sequence number are never given twice to different things, so
within a group of changes a key is put at most once, before its updates, before its deletion.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    NO_DETAILS,
    Details,
    Done,
    LockedMessage,
    MessageState,
    StoredMessage,
)

_log = logging.getLogger(__name__)

SEQUENCE_BITS = 40
MAX_SEQUENCE = (1 << SEQUENCE_BITS) - 1

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Details).decode
_new_tuple = tuple.__new__


def key_of(queue: int, sequence: int) -> int:
    """The row key of a message: ascending by queue, within it by sequence number."""
    return queue << SEQUENCE_BITS | sequence


class MessageRow(NamedTuple):
    """A message as it was put; `details` is JSON of `Details` or None for none."""

    key: int
    state: int
    delivery_count: int
    enqueued_at: float
    expires_at: float | None
    details: bytes | None
    payload: bytes

    @property
    def queue(self) -> int:
        return self.key >> SEQUENCE_BITS

    def message(self) -> StoredMessage:
        return StoredMessage(
            sequence=self.key & MAX_SEQUENCE,
            payload=self.payload,
            enqueued_at=self.enqueued_at,
            expires_at=NEVER if self.expires_at is None else self.expires_at,
            details=NO_DETAILS if self.details is None else _decode(self.details),
            delivery_count=self.delivery_count,
            state=MessageState(self.state),
        )


class StateRow(NamedTuple):
    """What changed of a message since it was put; the last one written holds.

    token: 16 bytes of the lock token, None if not locked.
    """

    key: int
    state: int
    delivery_count: int
    token: bytes | None
    locked_until: float | None
    modified: bytes | None


class HistoryRow(NamedTuple):
    """A message id that a queue remembers for duplicate detection, until `until`."""

    queue: int
    message_id: str
    until: float


class Definition(NamedTuple):
    """A namespace, queue or access rule; `body` is JSON that only the broker reads."""

    kind: str
    key: str
    body: bytes


class Change:
    """One atomic unit of work. Built by the engine, then left alone."""

    __slots__ = ("definitions", "deletes", "drops", "history", "last", "puts", "states")

    def __init__(self) -> None:
        self.puts: list[MessageRow] = []
        self.states: list[StateRow] = []
        self.deletes: list[int] = []
        self.last: dict[int, int] = {}
        self.history: dict[tuple[int, str], float | None] = {}
        self.definitions: dict[tuple[str, str], bytes | None] = {}
        self.drops: list[int] = []

    def put(self, queue: int, *messages: StoredMessage) -> None:
        """Add messages; also notes the last one's sequence number as the queue's last."""
        base = key_of(queue, 0)
        # A named tuple's own constructor costs more than all that is in it.
        self.puts += [
            _new_tuple(
                MessageRow,
                (
                    base | message.sequence,
                    message.state,
                    message.delivery_count,
                    message.enqueued_at,
                    None if message.expires_at == NEVER else message.expires_at,
                    None if message.details is NO_DETAILS else _encode(message.details),
                    message.payload,
                ),
            )
            for message in messages
        ]
        self.note_sequence(queue, messages[-1].sequence)

    def note_sequence(self, queue: int, sequence: int) -> None:
        """That number of the queue's is used, even if no message with it is put."""
        if sequence > self.last.get(queue, 0):
            self.last[queue] = sequence

    def update(
        self,
        queue: int,
        message: StoredMessage,
        *,
        lock: LockedMessage | None = None,
        state: MessageState | None = None,
        delivery_count: int | None = None,
        modified: bytes | None = None,
    ) -> None:
        """Write what can change of a message that was put; what is not given is as it is now,
        but the lock: None is no lock."""
        self.states.append(
            StateRow(
                key_of(queue, message.sequence),
                int(message.state if state is None else state),
                message.delivery_count if delivery_count is None else delivery_count,
                None if lock is None else lock.token,
                None if lock is None else lock.locked_until,
                message.details.modified if modified is None else modified,
            )
        )

    def delete(self, queue: int, *sequences: int) -> None:
        """Remove messages."""
        base = key_of(queue, 0)
        self.deletes.extend([base | sequence for sequence in sequences])

    def remember(self, queue: int, message_id: str, until: float) -> None:
        """Add to the queue's duplicate-detection history."""
        self.history[queue, message_id] = until

    def forget(self, queue: int, message_id: str) -> None:
        """Remove from the history."""
        self.history[queue, message_id] = None

    def define(self, kind: str, key: str, body: bytes | None) -> None:
        """Write a definition; None removes it."""
        self.definitions[kind, key] = body

    def drop(self, queue: int) -> None:
        """Remove everything of a queue number: messages, history, last sequence number."""
        self.drops.append(queue)

    def add(self, other: Change) -> None:
        """Have what another one does be part of this one."""
        self.puts += other.puts
        self.states += other.states
        self.deletes += other.deletes
        for queue, sequence in other.last.items():
            self.note_sequence(queue, sequence)
        self.history.update(other.history)
        self.definitions.update(other.definitions)
        self.drops += other.drops


@dataclass(slots=True)
class Contents:
    """Everything a store holds, as `Store.open` gives it. The iterables are read once."""

    definitions: list[Definition] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    messages: Iterable[tuple[MessageRow, StateRow | None]] = ()
    history: Iterable[HistoryRow] = ()


def tell(results: Iterable[tuple[Done | None, BrokerError | None]]) -> None:
    """Call each `done` with its result, in order; what one of them raises is logged."""
    for done, error in results:
        if done is None:
            continue
        try:
            done(error)
        except Exception:  # noqa: BLE001 -- one caller's fault is not the others'
            _log.exception("a store callback failed")


class Commits(Protocol):
    """Where changes are made durable. Called from one event loop."""

    def commit(self, change: Change, done: Done | None, *, patience: float = 0.0) -> None:
        """Make the change durable; then `done(None)`, or `done(StoreFull | StoreFailed)` and
        nothing of it is stored. `done` is called from the event loop, never from this call, in
        the order of the commits.

        patience: for a change that nobody waits for, how many seconds it may lie in memory, so
        that it shares a transaction with others. Such a change survives the end of the process
        once it is committed, and a power cut only once a later one without patience is."""
        ...

    def depart(self, key: int) -> None:
        """This message is gone, as `key_of` names it: it is in no later `open`, also if the process
        ends before the change that deletes it, which follows. A power cut may bring it back."""
        ...

    def barrier(self, done: Done) -> None:
        """`done` is called once everything committed before has been dealt with."""
        ...


class Store(Commits, Protocol):
    """A durable (or, for tests, an in-memory) store."""

    async def open(self) -> Contents:
        """Open or create it; everything committed so far. Messages come in order of their keys.

        Raises StoreCorrupt, StoreFailed.
        """
        ...

    async def close(self) -> None:
        """Finish what was committed and let go of the file. Later commits fail. Idempotent."""
        ...
