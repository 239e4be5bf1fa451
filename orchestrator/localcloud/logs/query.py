"""Runs KQL over the log store: bounded in number, in time, in memory and in what it returns."""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.clock import Clock
from orchestrator.localcloud.logs import tables
from orchestrator.localcloud.logs.database import LogStoreError
from orchestrator.localcloud.logs.errors import (
    QueryError,
    execution_failed,
    out_of_memory,
    partial_error,
    semantic_error,
    throttled,
    timed_out,
    unavailable,
)
from orchestrator.localcloud.logs.sql_messages import in_words
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.tables import Scope
from orchestrator.localcloud.logs.timespan import Timespan, parse_timespan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from orchestrator.localcloud.logs.kql.translate import Translated, Translator
    from orchestrator.localcloud.logs.result import Limits, ResultTable

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 180.0
"""Seconds; the service's own default for `Prefer: wait`."""

MAX_TIMEOUT = 600.0
RUNNING = 4
WAITING = 200


Reach = Callable[[str, str], Scope]
"""(`workspace`, `resource` or `app`, how it is named) -> whose rows; QueryError if it names nothing
or may not be read."""


@dataclass
class QueryResult:
    """The answer to a query.

    Attributes:
        tables: One per tabular statement.
        render: The chart the last statement asks for.
        seconds: Time the execution took.
    """

    tables: list[ResultTable]
    render: dict[str, Any] | None
    seconds: float

    def json(self, *, statistics: bool = False, render: bool = False) -> bytes:
        """The body of the answer, with `error` when rows are missing."""
        parts = [b'{"tables":[' + b",".join(table.json() for table in self.tables) + b"]"]
        if statistics:
            parts.append(b'"statistics":' + msgspec.json.encode(self._statistics()))
        if render:
            parts.append(b'"render":' + msgspec.json.encode(_render(self.render)))
        cut = [table for table in self.tables if table.truncated]
        if cut:
            message = (
                f"The results of this query exceed the set limit of {cut[0].truncated}, so not "
                "all records were returned (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003). "
                "Narrow the time range or summarize."
            )
            parts.append(b'"error":' + msgspec.json.encode(partial_error(message)))
        return b",".join(parts) + b"}"

    def _statistics(self) -> dict[str, Any]:
        return {
            "query": {
                "executionTime": self.seconds,
                "datasetStatistics": [
                    {"tableRowCount": table.row_count, "tableSize": table.size}
                    for table in self.tables
                ],
            }
        }


def _render(asked: dict[str, Any] | None) -> dict[str, Any]:
    """All properties of a visualization, unset ones null, as the service lists them."""
    return {
        "visualization": None, "title": None, "xColumn": None, "series": None, "yColumns": None,
        "anomalyColumns": None, "xTitle": None, "yTitle": None, "xAxis": None, "yAxis": None,
        "legend": None, "ySplit": None, "accumulate": False, "isQuerySorted": False, "kind": None,
        "ymin": "NaN", "ymax": "NaN",
    } | (asked or {})  # fmt: skip


@dataclass
class _Run:
    """One execution, shared between the event loop and the thread that runs it."""

    query: str
    timespan: Timespan
    scope: Scope
    now: datetime
    until: int | None = None
    cursor: DuckDBPyConnection | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    tables: list[ResultTable] = field(default_factory=list)
    render: dict[str, Any] | None = None
    views: set[str] = field(default_factory=set)
    # What `workspace(…)` and the like in it mean, by what they are and how they are named.
    reached: dict[tuple[str, str], Scope | QueryError] = field(default_factory=dict)
    # Tables of other workspaces: the name in the query -> the table's name, whose rows, its name
    # as the query has it.
    others: dict[str, tuple[str, Scope, str]] = field(default_factory=dict)

    def cancel(self) -> None:
        self.cancelled.set()
        if self.cursor is not None:
            self.cursor.interrupt()


class QueryEngine:
    """Answers KQL queries. Use from the event loop of its store.

    Args:
        store: The rows.
        clock: What `now()` and `ago()` go by.
        limits: Of an answer.
        delay: Seconds after its time from which on a row can be queried (how long ingestion takes).
    """

    def __init__(
        self,
        store: LogStore,
        clock: Clock,
        *,
        limits: Limits | None = None,
        delay: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._delay = delay
        self._slots = asyncio.Semaphore(RUNNING)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(RUNNING, thread_name_prefix="logs-query")
        self._running: dict[asyncio.Task[None], _Run] = {}
        # (scope, kind) that have rows; rows never go away.
        self._seen: set[tuple[Scope, tables.Kind]] = set()

    async def close(self) -> None:
        """Cancel what runs and accept nothing more. Call before the store is closed."""
        for run in self._running.values():
            run.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=2)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def execute(
        self,
        query: str,
        *,
        timespan: str | None = None,
        scope: Scope,
        timeout: float = DEFAULT_TIMEOUT,
        reach: Reach | None = None,
    ) -> QueryResult:
        """Run a query over the rows in `scope`.

        Args:
            query: KQL, one or more statements.
            timespan: Bounds of TimeGenerated, in addition to the query's own; see `timespan.py`.
            scope: Which rows it sees.
            timeout: Seconds after which it is cancelled.
            reach: Tells what `workspace("name").Table` means; nothing, when left out.

        Raises:
            QueryError: It cannot be run, or not in time; says which with the service's codes.
        """
        now = self._clock.now()
        span = parse_timespan(timespan, now)
        timeout = min(timeout, MAX_TIMEOUT)
        if self._waiting >= WAITING:
            raise throttled(self._waiting)
        started = time.perf_counter()
        delay = self._delay()
        until = round((now.timestamp() - delay) * 1_000_000) if delay > 0 else None
        run = _Run(query, span.before(until), scope, now, until)
        if reach is not None:
            # Here, not in the query's thread: who may read what is this thread's to know.
            run.reached = _reached(query, reach)
        try:
            async with asyncio.timeout(timeout):
                self._waiting += 1
                try:
                    await self._slots.acquire()
                finally:
                    self._waiting -= 1
                # A task of its own: it keeps its slot and cursor until the thread is back, even
                # when nobody waits for it any more.
                task = asyncio.create_task(self._hold(run))
                self._running[task] = run
                task.add_done_callback(self._finished)
                await asyncio.shield(task)
        except TimeoutError:
            run.cancel()
            raise timed_out(timeout) from None
        except asyncio.CancelledError:
            run.cancel()
            raise
        except LogStoreError as error:
            raise unavailable(str(error)) from None
        return QueryResult(run.tables, run.render, time.perf_counter() - started)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled():
            # Mark the exception as seen: after a timeout nobody else looks at it.
            task.exception()

    async def _hold(self, run: _Run) -> None:
        """Run in a thread, interrupting it for as long as it does not notice its cancellation."""
        loop = asyncio.get_running_loop()
        try:
            async with self._store.cursor() as cursor:
                if run.cancelled.is_set():
                    return
                run.cursor = cursor
                work = loop.run_in_executor(self._threads, self._run, run, cursor)
                while not work.done():
                    await asyncio.wait([work], timeout=0.05 if run.cancelled.is_set() else 0.5)
                    if run.cancelled.is_set():
                        cursor.interrupt()
                run.cursor = None
                await work
        finally:
            self._slots.release()

    # In a thread

    def _run(self, run: _Run, cursor: DuckDBPyConnection) -> None:
        # Both are imported here, by the first query, in its thread: together they take as long
        # to load as the rest of the server.
        import duckdb

        from orchestrator.localcloud.logs.kql.translate import not_bound, shared
        from orchestrator.localcloud.logs.result import Limits, read
        from orchestrator.localcloud.logs.rewrite import faster

        # Loaded with the first query: the parser is large.
        translator = shared()
        limits = self._limits or Limits()
        try:
            known = self._known(run.scope, cursor, run.until)
            run.query = self._with_others(run, cursor, known)
            types_in = partial(self._types_in, run, cursor, known)
            query = self._without_plugins(run, cursor, known, translator)
            labels = {name: label for name, (_, _, label) in run.others.items()}
            statements = translator.translate(query, known, run.now, types_in, labels)
            self._make_views(run, cursor, statements, known)
            for number, statement in enumerate(statements):
                if run.cancelled.is_set():
                    break
                name = f"PrimaryResult_{number}" if number else "PrimaryResult"
                ask = partial(read, cursor, name=name, limits=limits, stop=run.cancelled.is_set)
                given = statement.parameters or None
                try:
                    table = ask(faster(statement.sql), given)
                except duckdb.BinderException:
                    table = ask(statement.sql, given)
                run.tables.append(table)
                run.render = statement.render or run.render
        except QueryError:
            raise
        except duckdb.OutOfMemoryException as error:
            raise out_of_memory(_first_line(error)) from None
        except duckdb.InterruptException:
            if not run.cancelled.is_set():
                raise execution_failed("The query was interrupted") from None
        except duckdb.FatalException as error:
            raise unavailable(f"The log file cannot be read: {_first_line(error)}") from None
        except (duckdb.BinderException, duckdb.CatalogException) as error:
            raise not_bound(run.query, _first_line(error)) from None
        except duckdb.Error as error:
            raise execution_failed(in_words(_first_line(error))) from None
        except (RuntimeError, StopIteration, LookupError, TypeError, ValueError) as error:
            # A mistake of ours. StopIteration above all may not leave a thread: nobody would hear.
            log.exception("a query could not be answered")
            raise execution_failed(
                f"The query could not be answered ({type(error).__name__})"
            ) from None

    def _with_others(
        self, run: _Run, cursor: DuckDBPyConnection, known: dict[str, list[str]]
    ) -> str:
        """The query with tables of other workspaces under names of their own, which are known."""
        from orchestrator.localcloud.logs.kql.elsewhere import referred

        query, references = referred(run.query)
        for reference in references:
            scope = run.reached.get((reference.kind, reference.name))
            if isinstance(scope, QueryError):
                raise scope
            if scope is None:
                raise semantic_error(
                    "SEM0100",
                    f"{reference.kind}(){reference.place}: other workspaces and resources cannot "
                    "be named here",
                )
            there = self._known(scope, cursor, run.until)
            if reference.table not in there:
                raise semantic_error(
                    "SEM0100",
                    "Failed to resolve table or column expression named "
                    f"'{reference.written}'{reference.place}",
                )
            known[reference.alias] = there[reference.table]
            run.others[reference.alias] = (reference.table, scope, reference.written)
        return query

    def _without_plugins(
        self,
        run: _Run,
        cursor: DuckDBPyConnection,
        known: dict[str, list[str]],
        translator: Translator,
    ) -> str:
        """The query, with the operators whose columns depend on the rows in others' words."""
        from orchestrator.localcloud.logs.kql.plugins import resolved

        def ask(kql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            types_in = partial(self._types_in, run, cursor, known)
            [statement] = translator.translate(kql, known, run.now, types_in)
            self._make_views(run, cursor, [statement], known)
            answer = cursor.execute(statement.sql, statement.parameters or None)
            return [column[0] for column in answer.description or ()], answer.fetchall()

        return resolved(run.query, ask)

    def _known(
        self, scope: Scope, cursor: DuckDBPyConnection, until: int | None
    ) -> dict[str, list[str]]:
        """The tables that exist for the scope: those that have ever had a row, by `until`."""
        # What delayed ingestion lets be seen may also come to be seen no more: it is asked anew.
        seen = self._seen if until is None else set()
        for kind in ("console", "event"):
            if (scope, kind) not in seen:
                found = cursor.execute(tables.exists_sql(kind, scope, until)).fetchone()
                if found is not None and found[0]:
                    seen.add((scope, kind))
        return {
            name: tables.COLUMNS[name]
            for name, table in tables.TABLES.items()
            if (scope, table.kind) in seen
        }

    @classmethod
    def _types_in(
        cls,
        run: _Run,
        cursor: DuckDBPyConnection,
        known: dict[str, list[str]],
        sql: str,
        parameters: dict[str, Any],
        names: frozenset[str],
    ) -> list[tuple[str, str]]:
        """Names and KQL types of the columns of SQL over these tables."""
        from orchestrator.localcloud.logs.result import types_in

        cls._make_views_of(run, cursor, names, known)
        return types_in(cursor, sql, parameters)

    @classmethod
    def _make_views(
        cls,
        run: _Run,
        cursor: DuckDBPyConnection,
        statements: list[Translated],
        known: dict[str, list[str]],
    ) -> None:
        patterns = frozenset(name for statement in statements for name in statement.tables)
        cls._make_views_of(run, cursor, patterns, known)

    @staticmethod
    def _make_views_of(
        run: _Run,
        cursor: DuckDBPyConnection,
        patterns: frozenset[str],
        known: dict[str, list[str]],
    ) -> None:
        for name in known:
            if name in run.views:
                continue
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                run.views.add(name)
                table, scope, _ = run.others.get(name, (name, run.scope, ""))
                span = run.timespan
                cursor.execute(tables.view_sql(table, scope, span.start, span.end, name))


_ELSEWHERE = re.compile(r"\b(workspace|resource|app)\s*\(\s*@?(['\"])(.*?)\2\s*\)")


def _reached(query: str, reach: Reach) -> dict[tuple[str, str], Scope | QueryError]:
    """What a query may mean by `workspace("name")` and the like; those in comments do no harm."""
    found: dict[tuple[str, str], Scope | QueryError] = {}
    for kind, _, name in _ELSEWHERE.findall(query):
        try:
            found[kind, name] = reach(kind, name)
        except QueryError as refusal:
            found[kind, name] = refusal
    return found


def _first_line(error: Exception) -> str:
    """DuckDB's message without its picture of the SQL, which the person did not write."""
    text = str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]
    return " ".join(text.split()).partition(" Error: ")[2] or " ".join(text.split())
