"""Live system events: handed to readers as they are written.

A reader has a queue of bounded size; one that reads too slowly is ended, and begins anew from the
log file when it comes back. Nobody who writes ever waits for a reader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.localcloud.logs.model import SystemEvent

QUEUED = 10_000
"""Events that a reader may be behind."""

Wanted = Callable[[SystemEvent], bool]


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event and its time as it is stored: microseconds since the epoch."""

    time: int
    event: SystemEvent


class EventSubscription:
    """One reader of the events that `wanted` chooses."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.ended = False
        self._queue: deque[FeedEvent] = deque()
        self._news = asyncio.Event()

    def put(self, event: FeedEvent) -> None:
        if len(self._queue) >= QUEUED:
            self.end()
        elif not self.ended:
            self._queue.append(event)
            self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    def take(self) -> list[FeedEvent]:
        """Everything queued now, oldest first."""
        events = list(self._queue)
        self._queue.clear()
        if not self.ended:
            self._news.clear()
        return events

    async def wait(self, timeout: float) -> None:
        """Until there is something to take, the end, or `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            pass


class EventFeed:
    """The readers there are."""

    def __init__(self) -> None:
        self._readers: set[EventSubscription] = set()

    def publish(self, time: int, event: SystemEvent) -> None:
        """Hand an event to all readers that want it."""
        for reader in self._readers:
            if reader.wanted(event):
                reader.put(FeedEvent(time, event))

    def subscribe(self, wanted: Wanted) -> EventSubscription:
        """A reader of what comes from now on."""
        reader = EventSubscription(wanted)
        self._readers.add(reader)
        return reader

    def unsubscribe(self, reader: EventSubscription) -> None:
        self._readers.discard(reader)

    def end_all(self) -> None:
        """The local cloud stops: every stream ends."""
        for reader in self._readers:
            reader.end()
