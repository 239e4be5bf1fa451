"""Messages that become durable together, perhaps in several queues: one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import StoredMessage
from orchestrator.localcloud.servicebus.store.contract import Change

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.lifecycle import Lifecycle


class Arrivals:
    """What is put where by `change`. Built up, committed by its owner, then told the result."""

    __slots__ = ("_ids", "_messages", "_sizes", "change")

    def __init__(self, change: Change) -> None:
        self.change = change
        self._messages: dict[Lifecycle, list[StoredMessage]] = {}
        self._ids: list[tuple[Lifecycle, str, float]] = []

    def put(self, queue: Lifecycle, *messages: StoredMessage) -> None:
        """Messages of `queue`'s, with sequence numbers of its, ascending."""
        self.change.put(queue.number, *messages)
        self._messages.setdefault(queue, []).extend(messages)
        queue.incoming_size += sum(len(message.payload) for message in messages)

    def remember(self, queue: Lifecycle, message_id: str, until: float) -> None:
        """An id for the duplicate detection of `queue`."""
        queue.reserve(message_id)
        self.change.remember(queue.number, message_id, until)
        self._ids.append((queue, message_id, until))

    def repeats(self, queue: Lifecycle, message_id: str) -> bool:
        """Whether a message of that id is among these: one's fate is the other's."""
        return any(who is queue and known == message_id for who, known, _ in self._ids)

    def finish(self, error: BrokerError | None) -> None:
        """The transaction is durable, or nothing of it is stored."""
        for queue, messages in self._messages.items():
            queue.incoming_size -= sum(len(message.payload) for message in messages)
        for queue, message_id, until in self._ids:
            if error is None:
                queue.remember(message_id, until)
            else:
                queue.withdraw(message_id)
        if error is None:
            for queue, messages in self._messages.items():
                queue.arrive(*messages)
