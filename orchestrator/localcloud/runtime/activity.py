"""Which replicas are at work: what time under control waits for before it moves on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator


class Activity:
    """The replicas whose programs start, run or end at this moment.

    One that only waits for the clock (for its next restart) is not among them.
    """

    def __init__(self) -> None:
        self._busy: set[str] = set()
        self._less = asyncio.Event()

    def begin(self, replica: str) -> None:
        """The replica is at work."""
        self._busy.add(replica)

    def end(self, replica: str) -> None:
        """It is over."""
        self._busy.discard(replica)
        self._less.set()

    @contextlib.contextmanager
    def paused(self, replica: str) -> Iterator[None]:
        """While it waits for the clock."""
        self.end(replica)
        try:
            yield
        finally:
            self.begin(replica)

    @property
    def busy(self) -> frozenset[str]:
        """Names of the replicas at work."""
        return frozenset(self._busy)

    async def quiet(self, besides: Collection[str], patience: float) -> frozenset[str]:
        """Wait until none but `besides` is at work, at most `patience` seconds of the machine's.

        Returns:
            Those that are at work still.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._busy.difference(besides):
                    self._less.clear()
                    await self._less.wait()
        return self.busy.difference(besides)
