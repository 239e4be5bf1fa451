"""Time as a part: whoever needs the time is given a `Clock`.

Cron, locks, time-outs and log stamps read an injected clock, never the machine's, so that a test
moves hours in milliseconds and the whole local cloud can share one time.

`SystemClock` is the machine's time. `ManualClock` stands still until told; advancing it wakes
every sleeper whose moment has come, in order of those moments.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time as _time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the time is, and a way to wait for a later one."""

    def time(self) -> float:
        """Seconds since the Unix epoch (UTC)."""
        ...

    def now(self) -> datetime:
        """The same moment as an aware UTC datetime."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` of this clock have passed; at once when not positive."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Return once `time()` is at least `when` (epoch seconds)."""
        ...


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        return _time.time()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, when: float) -> None:
        # Re-read the clock in steps: a laptop that slept, or a stepped clock, must not delay a
        # fire by the whole remaining interval.
        # No event tells that time has passed, hence the noqa.
        while (rest := when - self.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(rest, 30.0))


class ManualClock:
    """A clock that moves only by `advance`; for tests and for time under control.

    Not thread-safe: use it from the event loop that its sleepers run on.
    """

    def __init__(self, start: datetime | float = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._time = start.timestamp() if isinstance(start, datetime) else float(start)
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def time(self) -> float:
        return self._time

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._time, UTC)

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self._time + seconds)

    async def sleep_until(self, when: float) -> None:
        if when <= self._time:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on by `seconds` (not negative), stopping at each sleeper's moment on the way.

        Woken tasks run before time moves on, so that a loop that sleeps again sees every step.
        """
        if seconds < 0:
            raise ValueError("a ManualClock only moves forward; use jump() to move it back")
        end = self._time + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            self._time = max(self._time, when)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._time = end
        await self._settle()

    def jump(self, seconds: float) -> None:
        """Step the clock without waking anyone, back as well: a corrected system clock."""
        self._time += seconds

    @staticmethod
    async def _settle(rounds: int = 64) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
