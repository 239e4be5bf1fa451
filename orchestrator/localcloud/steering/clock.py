"""A clock that can be moved on, speeded up, stopped, and given back to the machine's time.

Until it is steered it is the machine's clock, stepped when that is stepped. It belongs to the event
loop that its sleepers run on.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time as _time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_RATE = 100_000.0
LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""How far time may go: later moments do not fit into what clients and stores keep."""

_LOOK = 30.0
"""Seconds of machine time after which a sleeper looks again: the machine's clock may be stepped."""
_ROUNDS = 64
_SLACK = 64


@dataclass(frozen=True, slots=True)
class Steering:
    """How a clock stands.

    Attributes:
        time: Its time, epoch seconds.
        rate: Seconds that pass in one second of the machine; the one that a thaw goes back to.
        frozen: It stands still.
        steered: It is not simply the machine's.
        target: Where a running `advance` is going, epoch seconds; None when there is none.
    """

    time: float
    rate: float
    frozen: bool
    steered: bool
    target: float | None


class _Sleepers:
    """Futures by the moment they wait for; cancelled ones are cleared away in time."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._dead = 0

    def add(self, when: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self.heap, (when, next(self._order), future))
        return future

    def next(self) -> float | None:
        """The moment of the first that still waits."""
        while self.heap and self.heap[0][2].done():
            heapq.heappop(self.heap)
        return self.heap[0][0] if self.heap else None

    def release(self, now: float) -> None:
        while self.heap and self.heap[0][0] <= now:
            future = heapq.heappop(self.heap)[2]
            if not future.done():
                future.set_result(None)

    def left(self) -> None:
        """One of them was cancelled."""
        self._dead += 1
        if self._dead > _SLACK and self._dead * 2 > len(self.heap):
            self.heap = [entry for entry in self.heap if not entry[2].done()]
            heapq.heapify(self.heap)
            self._dead = 0


class SteerableClock:
    """A `Clock`; see the module.

    `sleep_until` waits for a moment, `sleep` for time to pass: a clock that is set back to the
    machine's time makes nobody who sleeps for ten seconds sleep for a day.

    Args:
        machine: The machine's time, epoch seconds.
        monotonic: The machine's time that only goes forward, seconds.
    """

    def __init__(
        self,
        machine: Callable[[], float] = _time.time,
        monotonic: Callable[[], float] = _time.monotonic,
    ) -> None:
        self._machine = machine
        self._monotonic = monotonic
        self._steered = False
        self._rate = 1.0
        self._frozen = False
        self._target: float | None = None
        self._turn = 0
        # The anchor: at `_since` the time was `_then`, and `_passed` seconds had passed in all.
        self._since = monotonic()
        self._then = machine()
        self._passed = 0.0
        self._moments = _Sleepers()
        self._spans = _Sleepers()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    # ------------------------------------------------------------------ Clock

    def time(self) -> float:
        if not self._steered:
            return self._machine()
        return self._then + (self._monotonic() - self._since) * self._speed()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._wait(self._spans, self._elapsed() + seconds)

    async def sleep_until(self, when: float) -> None:
        while self.time() < when:
            await self._wait(self._moments, when)

    # ------------------------------------------------------------------ steering

    @property
    def steering(self) -> Steering:
        """How it stands now."""
        return Steering(self.time(), self._rate, self._frozen, self._steered, self._target)

    def set_rate(self, rate: float) -> None:
        """Let `rate` seconds pass in one second of the machine, and run if it stood still.

        Raises:
            ValueError: The rate is not above 0 and at most 100,000.
        """
        if not 0 < rate <= MAX_RATE:
            raise ValueError(f"A rate is above 0 and at most {MAX_RATE:,.0f}; 1 is real time.")
        self._take_over()
        self._rate, self._frozen = rate, False
        self._arm()

    def freeze(self) -> None:
        """Let no time pass."""
        self._take_over()
        self._frozen = True
        self._arm()

    def reset(self) -> None:
        """Be the machine's clock again, which may be a step back."""
        self._take_over()
        self._steered = self._frozen = False
        self._rate = 1.0
        self._moments.release(self.time())
        self._arm()

    def restore(self, time: float, rate: float, *, frozen: bool) -> None:
        """Go on as a steered clock that shows `time` now."""
        self._take_over()
        self._then, self._rate, self._frozen = time, rate, frozen
        self._arm()

    async def advance(
        self, seconds: float, settled: Callable[[], Awaitable[None]] | None = None
    ) -> bool:
        """Move time on by `seconds`, stopping at each sleeper's moment on the way.

        Time stands still at each stop until those who were woken have gone to sleep again and
        `settled` returns; then it goes on. Afterwards the clock runs on as it ran before.

        Returns:
            False if somebody set, stopped or reset the clock meanwhile: it is where they put it.

        Raises:
            ValueError: Not a time to come, or beyond the calendar.
            RuntimeError: It is being advanced already.
        """
        if self._target is not None:
            raise RuntimeError("The clock is being advanced already.")
        if not 0 <= seconds < math.inf:
            raise ValueError("A clock is advanced by a time of at least 0; `reset` sets it back.")
        end = self.time() + seconds
        if end > LATEST:
            raise ValueError("So far no calendar reaches; the last year is 8999.")
        self._take_over()
        end = self._then + seconds
        turn, self._target = self._turn, end
        self._arm()
        try:
            while True:
                await _settle()
                if settled is not None:
                    await settled()
                    await _settle()
                if self._turn != turn:
                    return False
                step = self._next_step()
                if step is None or self._then + step > end:
                    break
                self._step(step)
            self._passed += end - self._then
            self._then = end
        finally:
            if self._turn == turn:
                self._since, self._target = self._monotonic(), None
                self._arm()
        await _settle()
        return True

    def _take_over(self) -> None:
        """Steer from the present moment on. What steered before has lost its turn."""
        now, passed = self.time(), self._elapsed()
        self._since = self._monotonic()
        self._then, self._passed = now, passed
        self._steered = True
        self._turn += 1
        self._target = None

    def _next_step(self) -> float | None:
        """Seconds to the first sleeper's moment; None when nobody sleeps."""
        steps = []
        if (moment := self._moments.next()) is not None:
            steps.append(moment - self._then)
        if (span := self._spans.next()) is not None:
            steps.append(span - self._passed)
        return max(0.0, min(steps)) if steps else None

    def _step(self, step: float) -> None:
        moment, span = self._moments.next(), self._spans.next()
        then, passed = self._then + step, self._passed + step
        # Exactly to the moment that is waited for: a rounding error short of it would be before it.
        if moment is not None and moment - self._then <= step:
            then = max(then, moment)
        if span is not None and span - self._passed <= step:
            passed = max(passed, span)
        self._then, self._passed = then, passed
        self._moments.release(then)
        self._spans.release(passed)

    # ------------------------------------------------------------------ sleeping

    def _speed(self) -> float:
        return 0.0 if self._frozen or self._target is not None else self._rate

    def _elapsed(self) -> float:
        """Seconds of this clock that have passed, whatever was done to its time."""
        speed = self._speed() if self._steered else 1.0
        return self._passed + (self._monotonic() - self._since) * speed

    async def _wait(self, sleepers: _Sleepers, when: float) -> None:
        future = sleepers.add(when)
        self._arm()
        try:
            await future
        except asyncio.CancelledError:
            sleepers.left()
            raise

    def _arm(self) -> None:
        """See to it that the first sleeper is woken in time."""
        speed = self._speed() if self._steered else 1.0
        rest = math.inf
        if speed > 0:
            if (moment := self._moments.next()) is not None:
                rest = (moment - self.time()) / speed
            if (span := self._spans.next()) is not None:
                rest = min(rest, (span - self._elapsed()) / speed)
        if rest == math.inf:
            self._disarm()
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + min(max(rest, 0.0), _LOOK)
        if self._timer is None or at < self._timer_at or speed != 1.0:
            self._disarm()
            self._timer, self._timer_at = loop.call_at(at, self._ring), at

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._target is None:
            self._moments.release(self.time())
            self._spans.release(self._elapsed())
        self._arm()


async def _settle() -> None:
    """Let those who were woken run until they sleep again, or wait for something real."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
