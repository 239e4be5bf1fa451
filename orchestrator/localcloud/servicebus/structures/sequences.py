"""An ordered set of sequence numbers, made for a queue's habits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

_BLOCK = 512


class SequenceIndex:
    """Ascending integers in blocks: appended at the end, removed anywhere, walked from anywhere.

    A block never holds more than 512 numbers, so that removal moves at most 4 KiB of pointers,
    whatever the size of the queue; finding the block is a binary search.
    """

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[int]] = []
        # The greatest number that ever was in each block: the key of the search.
        self._lasts: list[int] = []

    def add(self, sequence: int) -> None:
        """Add a number; nearly always greater than all others."""
        if self._lasts and sequence <= self._lasts[-1]:
            self._insert(sequence)
        elif self._blocks and len(self._blocks[-1]) < _BLOCK:
            self._blocks[-1].append(sequence)
            self._lasts[-1] = sequence
        else:
            self._blocks.append([sequence])
            self._lasts.append(sequence)

    def _insert(self, sequence: int) -> None:
        place = bisect_left(self._lasts, sequence)
        block = self._blocks[place]
        block.insert(bisect_left(block, sequence), sequence)
        if len(block) > _BLOCK:
            half = len(block) // 2
            self._blocks.insert(place, block[:half])
            self._lasts.insert(place, block[half - 1])
            del block[:half]

    def remove(self, sequence: int) -> None:
        """Remove a number that is there. Raises KeyError otherwise."""
        place = bisect_left(self._lasts, sequence)
        if place == len(self._lasts):
            raise KeyError(sequence)
        block = self._blocks[place]
        at = bisect_left(block, sequence)
        if at == len(block) or block[at] != sequence:
            raise KeyError(sequence)
        del block[at]
        if not block:
            del self._blocks[place]
            del self._lasts[place]

    def start(self, sequence: int) -> Iterator[int]:
        """The numbers not less than `sequence`, ascending. Do not change the set meanwhile."""
        place = bisect_left(self._lasts, sequence)
        for number, block in enumerate(self._blocks[place : place + 1]):
            yield from block[bisect_left(block, sequence) if number == 0 else 0 :]
        for later in range(place + 1, len(self._blocks)):
            yield from self._blocks[later]
