"""An answer larger than the service gives at once, asked for in parts of the time span.

Log Analytics returns at most 500,000 rows and about 100 MB, and says `PartialError` when there were
more (https://learn.microsoft.com/azure/azure-monitor/service-limits#log-queries-and-language). A
query that works row by row (`row_wise`) is asked again for parts of the time, each so short that
its rows fit. They are joined in the query's own order: one after the other where that is the order
of the time by which they were divided, merged by the columns of the order otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.errors import BadInput, ServiceFailed, Throttled
from orchestrator.queries import kql
from orchestrator.queries.merging import merged, not_mergeable
from orchestrator.queries.result import QueryResult, QueryTable
from orchestrator.queries.row_wise import Shape, shape_of
from orchestrator.waiting import Time

ROWS = 500_000
FULL = 0.9
"""Of what the service gives at once, so much is asked for: rows come in while we ask."""

SHORTEST = timedelta(microseconds=1)
MOST_PARTS = 50
AHEAD = timedelta(days=3650)
"""An answer at one go reaches so far beyond the present, that no row is cut off by two clocks."""

TRIES = 5
PAUSE = 30.0
"""Seconds to wait where a service that is asked too much says no time itself."""

Ask = Callable[[str, tuple[datetime, datetime] | None], QueryResult]


@dataclass(frozen=True)
class PartsProgress:
    """How far a large answer has come: `rows` of `total`, after so many `parts`."""

    rows: int
    total: int
    parts: int


@dataclass
class LargeAnswer:
    """One large answer in the making.

    ask: asks the service. time: for waiting. progress, notice: told how far it is, and what it
    waits for.
    """

    ask: Ask
    time: Time
    progress: Callable[[PartsProgress], None] | None = None
    notice: Callable[[str], None] | None = None
    room: int = int(ROWS * FULL)
    parts: int = 0
    total: int = 0
    tables: list[QueryTable] = field(default_factory=list)
    missing: str = ""
    whole: tuple[datetime, datetime] | None = None

    def answer(
        self, query: str, span: tuple[datetime, datetime], *, row_wise: bool = False
    ) -> QueryResult:
        """All rows of a query over a span, in parts where they are too many.

        Raises as `collect`.
        """
        shape = shape_of(query)
        divisible = shape.at is not None and not shape.never and (row_wise or not shape.why_not)
        self.whole = span
        # Counted first: half a million rows for nothing would take longer.
        if divisible and self._count(query, shape, *span) > self.room:
            return self.collect(query, None, span, row_wise=row_wise)
        try:
            first = self.ask(query, (span[0], span[1] + AHEAD))
        except ServiceFailed as error:
            if error.status != 504 or not divisible:
                raise
            return self.collect(query, None, span, row_wise=row_wise)
        if not is_too_large(first.partial):
            return first
        return self.collect(query, first, span, row_wise=row_wise)

    def collect(
        self,
        query: str,
        first: QueryResult | None,
        span: tuple[datetime, datetime],
        *,
        row_wise: bool,
    ) -> QueryResult:
        """All rows of a query in parts. `first`: its answer over the whole span, cut off; None: it
        was not asked for.

        Raises BadInput when the query does not work row by row (and `row_wise` does not say so), or
        when the order that it asks for could not be kept, and what asking raises.
        """
        shape = shape_of(query)
        if shape.never or (shape.why_not and not row_wise):
            raise BadInput(
                f"The answer is larger than the service gives at once, and the query cannot be "
                f"asked in parts: {shape.why_not}.",
                "Ask for less: a shorter --since, a narrower where."
                if shape.never
                else "Narrow it, or say --row-wise if it does work row by row.",
            )
        if shape.at is None:
            raise BadInput(
                "The query cannot be asked in parts: there is no table at its beginning to divide.",
                "Begin it with the table, as in: ContainerAppConsoleLogs_CL | where …",
            )
        self.whole = span
        if shape.to_merge:
            self._check_order(query, shape)
        # What was cut off by size tells how many rows fit.
        if first is not None and len(first):
            self.room = max(1, int(min(ROWS, len(first)) * FULL))
        self.total = self._count(query, shape, *span)
        if self.progress:
            self.progress(PartsProgress(0, self.total, 0))
        self._part(query, shape, *span, self.total)
        rows: list[tuple[Any, ...]]
        if shape.to_merge:
            rows = merged(self.tables, shape.order)
        else:
            tables = self.tables[::-1] if shape.newest_first else self.tables
            rows = [row for table in tables for row in table]
        model = self.tables[0] if self.tables else (first or QueryTable())
        whole = QueryTable(
            rows, names=[c.key for c in model.columns], types=model.types, name=model.name
        )
        return QueryResult([whole], partial=self.missing)

    def _check_order(self, query: str, shape: Shape) -> None:
        """Before anything large is asked for: the order can be kept. Raises BadInput."""
        assert self.whole is not None
        columns = self._asked(f"{_bare(query)}\n| take 0")
        why = shape.no_order or not_mergeable(columns, shape.order)
        if why:
            raise BadInput(
                "The answer is larger than the service gives at once, and asked for in parts its "
                f"rows could not be put in the query's order: {why}.",
                "Order it by TimeGenerated, or by columns of the answer with times or numbers; or "
                "leave the order out.",
            )

    def _part(
        self, query: str, shape: Shape, start: datetime, end: datetime, expected: int
    ) -> None:
        """Take in the rows of [start, end), oldest first; in smaller parts where they are many."""
        if expected == 0:
            return
        if expected <= self.room or end - start <= SHORTEST:
            try:
                answer = self._asked(shape.between(query, _condition(start, end)))
            except ServiceFailed as error:
                # It took the service too long: half of it may not.
                if error.status != 504 or end - start <= SHORTEST:
                    raise
                self._divide(query, shape, start, end, 2)
                return
            if answer.partial and end - start > SHORTEST and len(answer):
                self.room = max(1, min(self.room, int(len(answer) * FULL)))
                self._divide(query, shape, start, end, 2)
                return
            if answer.partial:
                self.missing = answer.partial
            self.tables.append(answer.tables[0] if answer.tables else QueryTable())
            self.parts += 1
            if self.progress:
                rows = sum(map(len, self.tables))
                self.progress(PartsProgress(rows, max(rows, self.total), self.parts))
            return
        self._divide(query, shape, start, end, min(MOST_PARTS, -(-expected // self.room)))

    def _divide(
        self, query: str, shape: Shape, start: datetime, end: datetime, pieces: int
    ) -> None:
        start, end = self._bounds(query, shape, start, end)
        step = max((end - start) / max(2, pieces), SHORTEST)
        at = start
        while at < end:
            until = min(at + step, end)
            self._part(query, shape, at, until, self._count(query, shape, at, until))
            at = until

    def _bounds(
        self, query: str, shape: Shape, start: datetime, end: datetime
    ) -> tuple[datetime, datetime]:
        """Where in [start, end) the source has rows at all; they may have come in a burst."""
        condition = _condition(start, end)
        found = self._asked(
            f"{shape.source(query)}\n| where {condition}\n"
            "| summarize First = min(TimeGenerated), Last = max(TimeGenerated)"
        )
        first, last = found[0] if len(found) else (None, None)
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            return start, end
        # The service counts in tenths of a microsecond, which are cut off on the way.
        return max(start, first), min(end, last + 2 * SHORTEST)

    def _count(self, query: str, shape: Shape, start: datetime, end: datetime) -> int:
        counted = f"{_bare(shape.between(query, _condition(start, end)))}\n| count"
        answer = self._asked(counted)
        return int(answer[0][0]) if len(answer) else 0

    def _asked(self, query: str) -> QueryResult:
        # The conditions say which part of the time is meant; what else the query reads (a function
        # of the workspace, another table) is read over all of it. And a little more than that:
        # which of its ends a timespan includes is nowhere written.
        assert self.whole is not None
        wide = (self.whole[0] - timedelta(seconds=1), self.whole[1] + timedelta(seconds=1))
        for attempt in range(TRIES):
            try:
                return self.ask(query, wide)
            except Throttled as error:
                if attempt + 1 == TRIES:
                    raise
                pause = error.retry_after or PAUSE
                if self.notice:
                    self.notice(f"The service asks for a pause of {pause:g} s; then it goes on.")
                self.time.sleep(pause)
        raise AssertionError("the loop ends by returning or raising")


def _condition(start: datetime, end: datetime) -> str:
    return f"TimeGenerated >= {kql.moment(start)} and TimeGenerated < {kql.moment(end)}"


def _bare(query: str) -> str:
    """Without an order, a chart or a semicolon at its end, which a count has no use for."""
    return query.rstrip().rstrip(";")


def span_of(ask: Ask, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """The span that is divided; its end is the service's own present time unless it is given.

    Raises BadInput when it has no beginning.
    """
    if since is None:
        raise BadInput(
            "Which part of time shall be divided? All of it has no beginning.",
            "Say since when: --since 7d",
        )
    if until is None:
        answer: Any = ask("print Now = now()", None)
        until = answer[0][0] if len(answer) else datetime.now(UTC)
        assert isinstance(until, datetime)
    if since >= until:
        raise BadInput("The time span ends before it begins.", "Such as --since 7d.")
    return since, until


def is_too_large(reason: str) -> bool:
    """Whether an answer is partial because it is too large, by what the service says."""
    said = reason.lower()
    return "result_set_too_large" in said or "exceed the set limit" in said or "0x80da0003" in said
