"""The live feed: lines of running replicas, handed to readers as they are written.

Each container keeps its last lines in memory (a ring), so that a stream opened on a running job
begins at once, without the log file. A reader has a queue of bounded size; when it reads too slowly
its queue stops growing and it is told (`Subscription.behind`) to fetch what it missed from the log
file. Nobody who writes ever waits for a reader.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

RING_LINES = 300
"""Lines kept per container: as many as `tailLines` may ask for."""

RING_CHARACTERS = 256 * 1024
QUEUE_CHARACTERS = 4 * 1024 * 1024
ENDED_REPLICAS = 100
"""So many ended replicas keep their rings, for streams opened just after a short job."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One line: microseconds since the epoch (strictly increasing in a replica), stream, text."""

    time: int
    stream: str
    text: str


class Ring:
    """The last lines of one container."""

    def __init__(self) -> None:
        self._lines: deque[FeedLine] = deque()
        self._characters = 0
        self.complete = True
        """Whether the ring still holds every line the container has written."""

    def add(self, line: FeedLine) -> None:
        self._lines.append(line)
        self._characters += len(line.text)
        while len(self._lines) > RING_LINES or self._characters > RING_CHARACTERS:
            self._characters -= len(self._lines.popleft().text)
            self.complete = False

    def tail(self, count: int) -> list[FeedLine] | None:
        """The last `count` lines, fewer if fewer were written; None if the ring lost some."""
        if not self.complete and count > len(self._lines):
            return None
        return list(self._lines)[max(0, len(self._lines) - count) :]


class Subscription:
    """One reader of one container's lines.

    Attributes:
        behind: The queue ran over: lines after the last one queued are missing from it.
    """

    def __init__(self) -> None:
        self._queue: deque[FeedLine] = deque()
        self._characters = 0
        self._news = asyncio.Event()
        self._ended = False
        self.behind = False

    def put(self, line: FeedLine) -> None:
        if self.behind:
            return
        if self._characters > QUEUE_CHARACTERS:
            self.behind = True
        else:
            self._queue.append(line)
            self._characters += len(line.text) + 64
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    @property
    def ended(self) -> bool:
        """The replica is over; what is still queued is the last of it."""
        return self._ended

    def take(self) -> list[FeedLine]:
        """Everything queued now, oldest first."""
        lines = list(self._queue)
        self._queue.clear()
        self._characters = 0
        if not self._ended and not self.behind:
            self._news.clear()
        return lines

    def catch_up(self) -> None:
        """Queue again from here on. The reader fetches what it missed from the log file."""
        self.behind = False
        if not self._ended and not self._queue:
            self._news.clear()

    async def wait(self, timeout: float) -> bool:
        """Until there is something to take, the end, or `timeout` seconds; False on timeout."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


class Replica:
    """What the feed knows of one replica."""

    def __init__(self, execution: str) -> None:
        self.execution = execution
        self.live = True
        self.last = 0
        self.rings: dict[str, Ring] = {}
        self.subscriptions: dict[str, set[Subscription]] = {}


class Feed:
    """All replicas that run now, and the last ones that ended."""

    def __init__(self) -> None:
        self._live: dict[str, Replica] = {}
        self._ended: OrderedDict[str, Replica] = OrderedDict()

    def find(self, execution: str, replica: str) -> Replica | None:
        """The replica, if the feed still knows it and it belongs to the execution."""
        found = self._live.get(replica) or self._ended.get(replica)
        return found if found is not None and found.execution == execution else None

    def start(self, execution: str, replica: str) -> Replica:
        """The replica as a live one, new or known."""
        known = self._live.get(replica)
        if known is None:
            known = self._ended.pop(replica, None) or Replica(execution)
            known.live = True
            self._live[replica] = known
        return known

    def publish(
        self, execution: str, replica: str, container: str, micros: int, stream: str, text: str
    ) -> int:
        """Hand a line to all readers.

        Returns:
            The line's time: `micros`, or one microsecond after the replica's previous line if it
            is not later than that.
        """
        known = self._live.get(replica) or self._ended.get(replica)
        if known is None:
            known = self.start(execution, replica)
        known.last = micros = max(micros, known.last + 1)
        ring = known.rings.get(container)
        if ring is None:
            ring = known.rings[container] = Ring()
        line = FeedLine(micros, stream, text)
        ring.add(line)
        readers = known.subscriptions.get(container)
        if readers:
            for reader in readers:
                reader.put(line)
        return micros

    def end(self, replica: str) -> None:
        """The replica has written its last line."""
        known = self._live.pop(replica, None)
        if known is None:
            return
        known.live = False
        for readers in known.subscriptions.values():
            for reader in readers:
                reader.end()
        known.subscriptions.clear()
        self._ended[replica] = known
        while len(self._ended) > ENDED_REPLICAS:
            self._ended.popitem(last=False)

    def end_all(self) -> None:
        """The local cloud stops: every stream ends."""
        for replica in list(self._live):
            self.end(replica)

    def subscribe(self, execution: str, replica: str, container: str) -> Subscription | None:
        """A reader of what comes from now on; None if the replica does not run."""
        known = self.find(execution, replica)
        if known is None or not known.live:
            return None
        subscription = Subscription()
        known.subscriptions.setdefault(container, set()).add(subscription)
        return subscription

    def unsubscribe(self, replica: str, container: str, subscription: Subscription) -> None:
        known = self._live.get(replica)
        if known is not None:
            known.subscriptions.get(container, set()).discard(subscription)
