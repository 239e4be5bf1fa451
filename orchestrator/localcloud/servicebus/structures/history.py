"""Which message ids a queue has seen lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from orchestrator.localcloud.servicebus.model import NEVER


class DuplicateHistory:
    """The memory of duplicate detection.

    An id is *reserved* while its send is on the way to the store and *remembered* from its commit
    until the window ends. A second sighting does not prolong the window.

    There are many, long after their messages: each costs a place in a dictionary and one in a row.
    """

    __slots__ = ("_order", "_outdated", "_reserved", "_seen")

    def __init__(self, entries: Iterable[tuple[str, float]] = ()) -> None:
        self._seen: dict[str, float] = {}
        self._reserved: set[str] = set()
        # In the order of sighting. An id that was seen again after its window stands there twice,
        # and its first place means nothing.
        self._order: deque[str] = deque()
        self._outdated: dict[str, int] = {}
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
        if message_id in self._seen:
            self._outdated[message_id] = self._outdated.get(message_id, 0) + 1
        self._seen[message_id] = until
        self._order.append(message_id)

    def next_due(self) -> float:
        """When the oldest is to be forgotten."""
        self._drop_outdated()
        return self._seen[self._order[0]] if self._order else NEVER

    def forget_due(self, now: float, limit: int) -> Iterator[str]:
        """Forget up to `limit` ids whose window is over, in order of sighting."""
        while limit > 0 and self.next_due() <= now:
            message_id = self._order.popleft()
            del self._seen[message_id]
            limit -= 1
            yield message_id

    def _drop_outdated(self) -> None:
        order, outdated = self._order, self._outdated
        while outdated and order and order[0] in outdated:
            message_id = order.popleft()
            outdated[message_id] -= 1
            if not outdated[message_id]:
                del outdated[message_id]
