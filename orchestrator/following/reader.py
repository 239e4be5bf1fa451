"""One container's stream as a follower reads it, across reconnections."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Literal

from orchestrator.following.stream import OpenStream, Place, StreamedLine

_REMEMBERED = 2000  # lines of a stream by which a reconnection knows what it has told

State = Literal["idle", "reading", "ended"]


class Reader:
    """What the stream has told, and where it stands."""

    def __init__(self, place: Place, *, goes_first: bool = False) -> None:
        self.place = place
        self.goes_first = goes_first  # an init container's: once ended, it is not opened anew
        self.live_from = 0.0  # by the service's clock: what is older was written before
        self.state: State = "idle"
        self.stream: OpenStream | None = None
        self.failures = 0
        self.again_at = 0.0
        self.opened_at = 0.0
        self.listening_at: float | None = None  # since when its stream is open
        self.first: list[StreamedLine] | None = []  # held back until the beginning is told
        self.heard_at = 0.0
        self.last_time: float | None = None
        self.key = 0.0  # the time of its newest line, as it is put in order
        self.looks: Iterator[float] | None = None  # its earlier lines are waited for
        self.look_at = 0.0
        self.give_up_at = 0.0  # by the service's clock
        self._recent: deque[StreamedLine] = deque(maxlen=_REMEMBERED)
        self._known: Counter[str] = Counter()

    def reopened(self) -> None:
        """What was told, or is held back until it is, is expected again, once."""
        self._known = Counter(line.mark for line in [*self._recent, *(self.first or ())])

    def is_new(self, line: StreamedLine) -> bool:
        """Whether the line was not told before a reconnection."""
        if self._known[line.mark]:
            self._known[line.mark] -= 1
            return False
        return True

    def told(self, line: StreamedLine) -> None:
        self._recent.append(line)
        if line.time is not None:
            self.last_time = max(line.time, self.last_time or 0.0)

    def last_told(self) -> list[StreamedLine]:
        """The lines told last, oldest first."""
        return list(self._recent)
