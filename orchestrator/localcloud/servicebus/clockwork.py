"""The one sleeper that calls queues when something of theirs has come due."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging

from orchestrator.clock import Clock
from orchestrator.localcloud.servicebus.lifecycle import Lifecycle
from orchestrator.localcloud.servicebus.model import NEVER

_log = logging.getLogger(__name__)


class Clockwork:
    """Calls `tick()` of whoever asked to be reminded, at the moment asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Lifecycle]] = []
        self._order = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._until = NEVER
        self._running = False

    def start(self) -> None:
        self._running = True
        self._set_alarm()

    def stop(self) -> None:
        self._running = False
        self._heap.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    def remind(self, who: Lifecycle, when: float) -> None:
        """Call `who.tick()` once it is `when`. A queue asks only for moments before the one it
        is waiting for, so there are few entries of each."""
        heapq.heappush(self._heap, (when, next(self._order), who))
        if self._running and when < self._until:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None
        self._until = self._heap[0][0] if self._heap else NEVER
        if self._until < NEVER:
            self._sleeper = asyncio.get_running_loop().create_task(self._sleep(self._until))

    async def _sleep(self, until: float) -> None:
        await self._clock.sleep_until(until)
        self._sleeper = None
        now = self._clock.time()
        due: dict[int, Lifecycle] = {}
        while self._heap and self._heap[0][0] <= now:
            who = heapq.heappop(self._heap)[2]
            due[id(who)] = who
        # Reminders that ticks ask for are put in the heap; one alarm is set after all of them.
        self._until = -NEVER
        for who in due.values():
            try:
                who.tick()
            except Exception:  # noqa: BLE001 -- the other queues' time goes on
                _log.exception("the clockwork of %s/%s failed", who.namespace, who.path)
        self._set_alarm()
