"""Which message ids a queue has seen lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from orchestrator.localcloud.servicebus.model import NEVER


class DuplicateHistory:
    """The memory of duplicate detection.

    An id is *reserved* while its send is on the way to the store and *remembered* from its commit
    until the window ends. A second sighting does not prolong the window.
    """

    __slots__ = ("_order", "_reserved", "_seen")

    def __init__(self, entries: Iterable[tuple[str, float]] = ()) -> None:
        self._seen: dict[str, float] = {}
        self._reserved: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()
        for message_id, until in entries:
            self.remember(message_id, until)

    def seen(self, message_id: str, now: float) -> bool:
        """Whether a message of that id is a duplicate now."""
        return message_id in self._reserved or self._seen.get(message_id, 0.0) > now

    def __len__(self) -> int:
        return len(self._seen)

    def remembers(self, message_id: str) -> bool:
        """Whether a send of that id is durable."""
        return message_id in self._seen

    def reserve(self, message_id: str) -> None:
        self._reserved.add(message_id)

    def withdraw(self, message_id: str) -> None:
        """The send failed: the id was never seen."""
        self._reserved.discard(message_id)

    def remember(self, message_id: str, until: float) -> None:
        self._reserved.discard(message_id)
        self._seen[message_id] = until
        self._order.append((until, message_id))

    def next_due(self) -> float:
        """When the oldest is to be forgotten."""
        return self._order[0][0] if self._order else NEVER

    def forget_due(self, now: float, limit: int) -> Iterator[str]:
        """Forget up to `limit` ids whose window is over, in order of sighting."""
        order = self._order
        while order and order[0][0] <= now and limit > 0:
            until, message_id = order.popleft()
            limit -= 1
            # Seen again after its window, it has a later entry of its own.
            if self._seen.get(message_id) == until:
                del self._seen[message_id]
                yield message_id
