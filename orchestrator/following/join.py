"""Where streamed and stored lines of one container meet.

In the local cloud a stored line has the time of the streamed one to the microsecond. Azure promises
nothing of the kind, so the two are joined by what the lines say and by their order; times decide
only between places that fit equally well (many equal lines).
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.following.stream import StreamedLine
from orchestrator.results import LogLine

_ENOUGH = 200  # equal lines in a row that need no longer run to be believed


def beginning(first: Sequence[StreamedLine], stored: Sequence[LogLine]) -> int | None:
    """The index in `stored` of the line with which the stream begins; None when it is not there.

    All that is before it was written before the stream's first line, and can be read.
    """
    best: tuple[int, float, int] | None = None
    for index, line in enumerate(stored):
        if not _same(first[0], line):
            continue
        run = 1
        while (
            run < min(len(first), _ENOUGH)
            and index + run < len(stored)
            and _same(first[run], stored[index + run])
        ):
            run += 1
        if run < min(len(first), _ENOUGH) and index + run < len(stored):
            continue  # they part before either has ended
        best = _better(best, run, first[0], line, index)
    return best[2] if best else None


def ending(told: Sequence[StreamedLine], stored: Sequence[LogLine]) -> int:
    """The index in `stored` of the first line that is not among the `told`; they end before it.

    0 when no stored line is one that was told.
    """
    if not told:
        return 0
    best: tuple[int, float, int] | None = None
    for index, line in enumerate(stored):
        if not _same(told[-1], line):
            continue
        run = 1
        while (
            run < min(len(told), _ENOUGH)
            and run <= index
            and _same(told[-1 - run], stored[index - run])
        ):
            run += 1
        best = _better(best, run, told[-1], line, index)
    return best[2] + 1 if best else 0


def _same(streamed: StreamedLine, stored: LogLine) -> bool:
    # A carriage return before the line's end is lost on the way of some streams.
    same = streamed.text.rstrip("\r") == stored.text.rstrip("\r")
    return same and streamed.stream == stored.stream


def _better(
    best: tuple[int, float, int] | None,
    run: int,
    streamed: StreamedLine,
    stored: LogLine,
    index: int,
) -> tuple[int, float, int]:
    apart = abs((streamed.time or 0.0) - stored.time.timestamp())
    found = (run, -apart, index)
    # Equal to the millisecond is the same line, whatever is around it.
    return found if best is None or _rank(found) > _rank(best) else best


def _rank(found: tuple[int, float, int]) -> tuple[bool, int, float]:
    run, nearness, _ = found
    return (nearness > -0.001, run, nearness)
