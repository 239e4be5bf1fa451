"""A list of moments at which something must be looked at, earliest first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection

from orchestrator.localcloud.servicebus.model import NEVER

_SLACK = 64


class Agenda:
    """A heap of (when, sequence number) whose entries may have become void.

    Removing from the middle of a heap is what would cost O(n), so nothing is removed: `valid`
    tells at the head whether an entry still means anything. Void entries are dropped as they
    surface, a few with each `add`; should they ever outnumber the valid ones (`live()` bounds
    those), the heap is rebuilt. Every operation is O(log n), rebuilding amortised O(1).
    """

    __slots__ = ("_heap", "_live", "_valid")

    def __init__(self, valid: Callable[[float, int], bool], live: Callable[[], int]) -> None:
        self._heap: list[tuple[float, int]] = []
        self._valid = valid
        self._live = live

    def add(self, when: float, sequence: int) -> None:
        """Note the moment; one that never comes is not noted."""
        if when != NEVER:
            self.add_all(when, (sequence,))

    def add_all(self, when: float, sequences: Collection[int]) -> None:
        """Note that moment (not NEVER) for each of them."""
        heap = self._heap
        for sequence in sequences:
            heapq.heappush(heap, (when, sequence))
        for _ in range(2 * len(sequences)):
            if self._valid(*heap[0]):
                break
            heapq.heappop(heap)
            if not heap:
                return
        if len(heap) > 2 * self._live() + _SLACK:
            self._heap = [entry for entry in set(heap) if self._valid(*entry)]
            heapq.heapify(self._heap)

    def next_due(self) -> float:
        """The earliest valid moment; NEVER if there is none."""
        heap = self._heap
        while heap:
            if self._valid(*heap[0]):
                return heap[0][0]
            heapq.heappop(heap)
        return NEVER

    def pop_due(self, now: float) -> int | None:
        """Take one sequence number whose moment is not after `now`; None if there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, sequence = heapq.heappop(heap)
            if self._valid(when, sequence):
                return sequence
        return None

    def __len__(self) -> int:
        return len(self._heap)
