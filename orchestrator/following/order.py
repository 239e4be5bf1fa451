"""Lines of several containers, in the order of their times."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.results import LogLine
from orchestrator.waiting import Time

if TYPE_CHECKING:
    from orchestrator.azure.service_time import Until
    from orchestrator.following.reader import Reader

_HELD = 0.05  # seconds for which a line waits for earlier ones of other containers


@dataclass(frozen=True)
class Wanted:
    """Which lines are asked for; None: any.

    Attributes:
        pattern: Their text has it.
        stream: "stdout" or "stderr".
        since: They were written then or later.
        until: They were written before that moment.
    """

    pattern: re.Pattern[str] | None = None
    stream: str | None = None
    since: datetime | None = None
    until: Until | None = None

    def has(self, line: LogLine) -> bool:
        """Whether this line is among them."""
        return (
            (self.pattern is None or self.pattern.search(line.text) is not None)
            and (self.stream is None or line.stream == self.stream)
            and (self.since is None or line.time >= self.since)
            and (self.until is None or line.time < self.until.moment)
        )


class LineOrder:
    """Lines that wait for their turn. Those of one container stay in their order."""

    def __init__(self, time: Time, wanted: Wanted) -> None:
        self._time = time
        self._wanted = wanted
        # (its place in time, its number, when its turn is at the latest, the line)
        self._heap: list[tuple[float, int, float, LogLine]] = []
        self._number = 0

    def put(self, reader: Reader | None, line: LogLine) -> None:
        """A line that was read; left out where it is not asked for. reader: whose it is."""
        if not self._wanted.has(line):
            return
        key = line.time.timestamp()
        if reader is not None:
            key = reader.key = max(reader.key, key)
        self._number += 1
        heapq.heappush(self._heap, (key, self._number, self._time.time() + _HELD, line))

    @property
    def due_at(self) -> float | None:
        """When the turn of the next line is at the latest; None: none waits."""
        return self._heap[0][2] if self._heap else None

    def take(self, *, now: float | None) -> Iterator[LogLine]:
        """The lines whose turn it is `now`; None: all of them."""
        while self._heap and (now is None or self._heap[0][2] <= now):
            yield heapq.heappop(self._heap)[3]
