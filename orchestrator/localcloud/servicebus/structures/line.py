"""Consumers standing in line for messages."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

_log = logging.getLogger(__name__)

Available = Callable[[int], None]
"""Called with how many messages this consumer may fairly acquire now (at least 1)."""


class Line:
    """Who found nothing, first come first. A wake serves the whole line once round.

    Each in turn is told its share: the ready messages divided by those still standing, rounded
    up; so ten waiting receivers get ten messages each of a hundred, and each one of ten.

    ready: how many messages can be acquired now. soon: runs a callable after the current ones
    (`loop.call_soon`).
    """

    __slots__ = ("_again", "_ready", "_soon", "_waiters", "_waking")

    def __init__(
        self, ready: Callable[[], int], soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._ready = ready
        self._soon = soon
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()
        self._waking = False
        self._again = False

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, waiter: Waiter) -> None:
        if waiter not in self._waiters:
            self._waiters[waiter] = None
            if not self._waking:
                self.wake()

    def leave(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter, None)

    def wake(self) -> None:
        """Messages may be ready: serve those who wait, soon."""
        if self._waking:
            self._again = True
        elif self._waiters and self._ready():
            self._waking = True
            self._soon(self._serve)

    def _serve(self) -> None:
        before = self._ready()
        self._again = False
        # Those who join while the round goes on stand behind it: nobody is asked twice in one.
        for left in range(len(self._waiters), 0, -1):
            ready = self._ready()
            if not ready or not self._waiters:
                break
            waiter, _ = self._waiters.popitem(last=False)
            try:
                waiter.available(-(-ready // left))
            except Exception:  # noqa: BLE001 -- one consumer's fault is not the others'
                _log.exception("a consumer could not take the messages offered to it")
        self._waking = False
        # A round in which nobody took anything is not repeated until something new happens.
        if self._again or self._ready() < before:
            self.wake()


class Waiter:
    """A consumer's place in the line for messages; see `Queue.waiter`."""

    __slots__ = ("_line", "available")

    def __init__(self, line: Line, available: Available) -> None:
        self._line = line
        self.available = available

    def wait(self) -> None:
        """Join the end of the line (no-op when in it): `available` is called once, when messages
        are there and it is this consumer's turn. Soon, if some are there now."""
        self._line.join(self)

    def cancel(self) -> None:
        """Leave the line."""
        self._line.leave(self)
