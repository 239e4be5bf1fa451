"""Time for code that blocks: what time it is, and a way to let some pass.

`orchestrator.clock` is for the event loop; this is its plain counterpart for the control plane,
injected in the same way, so that a test waits for hours in no time.
"""

from __future__ import annotations

import time as _time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol


class Time(Protocol):
    """What the time is, and sleep."""

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return once so many seconds have passed."""
        ...


class SystemTime:
    """The machine's time."""

    def time(self) -> float:
        return _time.time()

    def sleep(self, seconds: float) -> None:
        _time.sleep(max(0.0, seconds))


def now(time: Time) -> datetime:
    """The moment as an aware UTC datetime."""
    return datetime.fromtimestamp(time.time(), UTC)


def backoff(first: float = 0.2, most: float = 5.0, factor: float = 1.5) -> Iterator[float]:
    """Seconds to wait between two looks: `first`, growing to `most`. Never ends."""
    delay = first
    while True:
        yield delay
        delay = min(most, delay * factor)
