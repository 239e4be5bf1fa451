"""The log store: takes lines and events at once, writes them shortly after, serves readers.

Lines are buffered for a tenth of a second and written in batches by one thread; a crash loses at
most that buffer. A query first writes what is buffered, so it sees every line accepted before it.
When the file cannot be written (disk full, file locked) lines are kept, in bounded memory, and
tried again; the server log says so. After a minute without use the file is closed, which gives
DuckDB's memory back and lets other programs open the file.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from orchestrator.clock import Clock
from orchestrator.localcloud.logs.database import (
    MEMORY_LIMIT,
    Batch,
    LogDatabase,
    LogStoreError,
    StoredLine,
)
from orchestrator.localcloud.logs.event_feed import EventFeed, FeedEvent
from orchestrator.localcloud.logs.feed import Feed
from orchestrator.localcloud.logs.model import MAX_LINE_BYTES, ConsoleLine, SystemEvent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

T = TypeVar("T")

WorkspaceOf = Callable[[str], str | None]
"""Resource id of a job -> customer id of the workspace its environment logs to.

None: it logs to none. Empty: the job is not known (any more).
"""

FLUSH_DELAY = 0.1
"""Seconds from the first buffered line to its being written."""

IDLE_CLOSE = 60.0
"""Seconds without use after which the file is closed."""

BATCH_LINES = 20_000
BATCH_CHARACTERS = 8 * 1024 * 1024
BUFFER_LINES = 500_000
BUFFER_CHARACTERS = 64 * 1024 * 1024
RETRY_FIRST = 0.5
RETRY_LAST = 15.0

# Names the replicas' ContainerGroupId: stable, and different for every replica.
_GROUP_NAMESPACE = uuid.UUID("5f0e0c1e-6a53-4f0e-9a7d-2f1f4d9e8b10")


def _no_workspace(resource_id: str) -> str | None:
    return ""


class LogStore:
    """`LogSink` for the runtime, and the rows for queries and streams.

    Use from one event loop. `console`, `system`, `replica_started` and `replica_ended` may be
    called before `start`.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        workspace_of: WorkspaceOf = _no_workspace,
        flush_delay: float = FLUSH_DELAY,
        idle_close: float = IDLE_CLOSE,
        memory_limit: str = MEMORY_LIMIT,
    ) -> None:
        self.path = path
        self.clock = clock
        self.feed = Feed()
        self.events = EventFeed()
        self._workspace_of = workspace_of
        self._flush_delay = flush_delay
        self._idle_close = idle_close
        self._database = LogDatabase(path, memory_limit=memory_limit)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="logs-writer")
        self._sources: dict[tuple[str, ...], int] = {}
        self._sources_of: dict[str, list[tuple[str, ...]]] = {}
        self._source_count = 0
        self._last_event: dict[str, int] = {}
        self._workspaces: dict[str, str] = {}
        self._pending: list[Batch] = []
        self._lines = 0
        self._characters = 0
        self._accepted = 0
        self._written = 0
        self._dropped = 0
        self._users = 0
        self._failure: Exception | None = None
        self._attempted: asyncio.Event = asyncio.Event()
        self._wake: asyncio.Event = asyncio.Event()
        self._hurry = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    # Life cycle

    async def start(self) -> None:
        """Begin writing. Cheap: DuckDB is loaded with the first line or query.

        Raises:
            LogStoreError: There is a file and it is not a DuckDB database.
        """
        self._database.check()
        self._task = asyncio.create_task(self._write_forever(), name="logs-writer")

    async def close(self) -> None:
        """Write what is buffered and let go of the file. Live streams end."""
        self.feed.end_all()
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self._idle is not None:
            self._idle.cancel()
        if self._accepted > self._written:
            log.error(
                "%d log lines could not be written to %s and are lost: %s",
                self._accepted - self._written,
                self.path,
                self._failure,
            )
        await self._in_writer(self._close_database)
        self._writer.shutdown(wait=False)

    # LogSink

    def console(self, line: ConsoleLine) -> None:
        text = line.text
        if not text.isascii():
            text = storable(text)
        if len(text) > MAX_LINE_BYTES:
            for start in range(0, len(text), MAX_LINE_BYTES):
                self._line(line, text[start : start + MAX_LINE_BYTES])
        else:
            self._line(line, text)

    def _line(self, line: ConsoleLine, text: str) -> None:
        # The live stream goes first: it does not depend on the file.
        micros = self.feed.publish(
            line.execution,
            line.replica,
            line.container,
            round(line.time * 1_000_000),
            line.stream,
            text,
        )
        batch = self._batch()
        if batch is None:
            return
        key = (
            line.resource_id, line.job, line.execution, line.replica, line.container,
            line.container_id, line.image, line.environment, line.stream,
        )  # fmt: skip
        source = self._sources.get(key)
        if source is None:
            source = self._new_source(key, batch)
        batch.times.append(micros)
        batch.owners.append(source)
        batch.texts.append(text)
        size = len(text)
        batch.size += size
        self._lines += 1
        self._characters += size
        self._accept()

    def system(self, event: SystemEvent) -> None:
        batch = self._batch()
        if batch is None:
            return
        values = (
            self._workspace(event.resource_id), event.resource_id.lower(), event.job,
            event.execution, event.replica, event.container, event.environment, event.reason,
            event.text, event.type, event.source,
        )  # fmt: skip
        row = tuple(value if value.isascii() else storable(value) for value in values)
        micros = self._event_time(event.resource_id, round(event.time * 1_000_000))
        self.events.publish(micros, event)
        batch.events.append((micros, event.count, row))
        batch.size += len(event.text)
        self._lines += 1
        self._characters += len(event.text)
        self._accept()

    def replica_started(self, execution: str, replica: str) -> None:
        self.feed.start(execution, replica)

    def replica_ended(self, replica: str) -> None:
        self.feed.end(replica)
        for key in self._sources_of.pop(replica, ()):
            self._sources.pop(key, None)

    # Buffer

    def _batch(self) -> Batch | None:
        """The batch to append to; None if the buffer is full, which is said once."""
        if self._lines >= BUFFER_LINES or self._characters >= BUFFER_CHARACTERS:
            if self._dropped == 0:
                log.error(
                    "The log buffer is full, further lines are dropped until %s can be written",
                    self.path,
                )
            self._dropped += 1
            return None
        last = self._pending[-1] if self._pending else None
        if last is None or len(last) >= BATCH_LINES or last.size >= BATCH_CHARACTERS:
            last = Batch(first_source=self._source_count)
            self._pending.append(last)
        return last

    def _event_time(self, resource_id: str, micros: int) -> int:
        """The time, moved on a little where needed to keep the order of a job's events."""
        last = self._last_event.get(resource_id, 0)
        # A clock that was set back by more than that is believed.
        if last - 1_000_000 < micros <= last:
            micros = last + 1
        self._last_event[resource_id] = micros
        return micros

    def _new_source(self, key: tuple[str, ...], batch: Batch) -> int:
        resource, job, execution, replica, container, container_id, image, environment, stream = key
        group = uuid.uuid5(_GROUP_NAMESPACE, f"{resource.lower()}/{replica}")
        row = (
            self._workspace(resource), resource.lower(), job, execution, replica, container,
            container_id, str(group), image, environment, stream,
        )  # fmt: skip
        batch.sources.append(tuple(storable(value) for value in row))
        number = self._source_count
        self._source_count += 1
        self._sources[key] = number
        self._sources_of.setdefault(replica, []).append(key)
        return number

    def _workspace(self, resource_id: str) -> str:
        """Where the rows of a job go; for a job that is gone, where they went before."""
        try:
            found = self._workspace_of(resource_id)
        except Exception:  # a sink never raises: the line is kept, only not in a workspace
            log.exception("No workspace found for %s", resource_id)
            found = ""
        if found == "":
            return self._workspaces.get(resource_id, "")
        self._workspaces[resource_id] = (found or "").lower()
        return self._workspaces[resource_id]

    def _accept(self) -> None:
        self._accepted += 1
        if self._accepted - self._written == 1 or len(self._pending) > 1:
            self._wake.set()

    # Writing

    async def _write_forever(self) -> None:
        delay = RETRY_FIRST
        while True:
            if not self._pending:
                self._wake.clear()
                if self._closing:
                    return
                await self._wake.wait()
            if len(self._pending) == 1 and not self._hurry and not self._closing:
                self._wake.clear()
                try:
                    async with asyncio.timeout(self._flush_delay):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            if not self._pending:
                continue
            written = await self._write_one()
            if written:
                delay = RETRY_FIRST
            elif self._closing:
                return
            else:
                self._wake.clear()
                try:
                    async with asyncio.timeout(delay):
                        while not (self._closing or self._hurry):
                            await self._wake.wait()
                            self._wake.clear()
                except TimeoutError:
                    pass
                delay = min(2 * delay, RETRY_LAST)

    async def _write_one(self) -> bool:
        batch = self._pending.pop(0)
        self._hurry = bool(self._pending) and self._hurry
        self._users += 1
        try:
            await self._in_writer(self._database.write, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lines are kept
            self._pending.insert(0, batch)
            self._hurry = False
            if self._failure is None:
                log.error(
                    "Log lines cannot be written to %s and are kept in memory: %s",
                    self.path,
                    str(error).splitlines()[0],
                )
            self._failure = error
            return False
        finally:
            self._users -= 1
            attempted, self._attempted = self._attempted, asyncio.Event()
            attempted.set()
            self._used()
        self._written += len(batch)
        self._lines -= len(batch)
        self._characters -= batch.size
        if self._failure is not None:
            log.warning("Log lines are written to %s again", self.path)
            self._failure = None
        if self._dropped:
            log.warning("%d log lines were dropped while the buffer was full", self._dropped)
            self._dropped = 0
        return True

    async def flush(self) -> bool:
        """Write everything accepted so far; False if the file could not be written."""
        goal = self._accepted
        while self._written < goal:
            if self._task is None or self._task.done():
                return False
            attempted = self._attempted
            self._hurry = True
            self._wake.set()
            await attempted.wait()
            if self._failure is not None:
                return False
        return True

    # Reading

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[DuckDBPyConnection]:
        """A connection for one query, which sees everything accepted before.

        Raises:
            LogStoreError: The file cannot be opened.
        """
        self._users += 1
        try:
            await self.flush()
            cursor = await self._in_writer(self._database.cursor)
            try:
                yield cursor
            finally:
                cursor.close()
        finally:
            self._users -= 1
            self._used()

    async def tail(
        self,
        execution: str,
        replica: str,
        container: str,
        *,
        limit: int,
        after: int | None = None,
    ) -> list[StoredLine]:
        """Lines of one container from the file; see `LogDatabase.tail`."""
        return await self._read(
            lambda: self._database.tail(execution, replica, container, limit=limit, after=after)
        )

    async def last_events(self, resource: str, environment: str, *, limit: int) -> list[FeedEvent]:
        """The last events of a job or an environment; see `LogDatabase.last_events`."""
        rows = await self._read(
            lambda: self._database.last_events(resource, environment, limit=limit)
        )
        return [FeedEvent(at, event) for at, event in rows]

    async def containers(self, execution: str, replica: str) -> list[str]:
        """Names of the containers of a replica that have ever written a line."""
        return await self._read(lambda: self._database.containers(execution, replica))

    async def _read(self, read: Callable[[], T]) -> T:
        self._users += 1
        try:
            await self.flush()
            return await self._in_writer(read)
        finally:
            self._users -= 1
            self._used()

    # The file

    async def _in_writer(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    def _used(self) -> None:
        """Start the idle time anew."""
        if self._idle is not None:
            self._idle.cancel()
        if not self._closing:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_close, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._users == 0 and not self._pending and not self._closing:
            # Whoever comes next is queued behind this in the writer, and opens the file again.
            self._writer.submit(self._close_database)

    def _close_database(self) -> None:
        try:
            self._database.close()
        except Exception as error:  # noqa: BLE001 - the rows are safe in the write-ahead log
            log.warning("The log file %s was not closed cleanly: %s", self.path, error)


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: lone surrogates become U+FFFD, all else stays."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


__all__ = ["LogStore", "LogStoreError", "WorkspaceOf", "storable"]
