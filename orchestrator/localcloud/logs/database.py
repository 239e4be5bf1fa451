"""The DuckDB file that holds the logs: open, append, read back. Synchronous; one thread writes.

DuckDB is imported when the file is first opened, not before: it costs some 60 MB of memory and
100 ms, which a local cloud that nobody has run a job on does not pay.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.logs import tables
from orchestrator.localcloud.logs.model import SystemEvent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "96MB"
"""What DuckDB may hold in its buffers; beyond it, large sorts and joins spill to disk."""

_MAGIC = b"DUCK"
# DuckDB's main header: a checksum of 8 bytes, then the magic bytes.
_MAGIC_AT = 8

# Characters that may stand between lines on their way into DuckDB; the first that no line contains
# is taken.
_SEPARATORS = ("\n", "\x1e", "\x1f", "\ue000", "\ufdd0", "\U0010fffe")


class LogStoreError(Exception):
    """The log file cannot be used.

    Attributes:
        message: One sentence that names the file.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.message = message
        self.hint = hint


@dataclass
class Batch:
    """Rows on their way into the file, column by column.

    Attributes:
        sources: New sources, as tuples of `tables.SOURCE_COLUMNS`.
        first_source: Number of the first of them; sources are numbered by this process from 0.
        times: Microseconds since the epoch, one per line.
        owners: Number of each line's source.
        texts: The lines.
        events: Tuples of (microseconds, count, *`tables.EVENT_COLUMNS`).
        size: Characters of all texts.
    """

    first_source: int = 0
    sources: list[tuple[str, ...]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    events: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.texts) + len(self.events)


@dataclass(frozen=True)
class StoredLine:
    """A console line read back from the file."""

    time: int
    stream: str
    text: str


# Connections that stay open until the process ends, see `LogDatabase.close`.
_abandoned: list[DuckDBPyConnection] = []


class LogDatabase:
    """One DuckDB file. Every method but `cursor`'s result is called from one thread at a time."""

    def __init__(self, path: Path, *, memory_limit: str = MEMORY_LIMIT) -> None:
        self.path = path
        self._memory_limit = memory_limit
        self._connection: DuckDBPyConnection | None = None
        # This process numbers its sources from 0; in the file they follow those already there.
        self._source_offset: int | None = None
        self._file: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def check(self) -> None:
        """Refuse a file that is plainly not a DuckDB database, without loading DuckDB.

        Raises:
            LogStoreError: The path is not a readable DuckDB file.
        """
        try:
            with self.path.open("rb") as file:
                head = file.read(_MAGIC_AT + len(_MAGIC))
        except FileNotFoundError:
            return
        except OSError as error:
            raise LogStoreError(
                f"The log file {self.path} cannot be read: {error.strerror or error}.",
                "Check its permissions, or remove all local state with `orchestrator local reset`.",
            ) from None
        if head and head[_MAGIC_AT:] != _MAGIC:
            raise self._corrupt()

    def _corrupt(self) -> LogStoreError:
        return LogStoreError(
            f"The log file {self.path} is damaged or not a DuckDB database.",
            "Move it away to keep the rest, or remove all local state with "
            "`orchestrator local reset`.",
        )

    def connection(self) -> DuckDBPyConnection:
        """The writing connection, opened now if need be.

        Raises:
            LogStoreError: The file is damaged, locked by another process, or not writable.
        """
        if self._connection is None:
            self._connection = self._connect()
            self._file = self._found()
        return self._connection

    def _found(self) -> tuple[int, int] | None:
        """Which file is at our path."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def cursor(self) -> DuckDBPyConnection:
        """A connection of its own over the same file, for one query in any thread."""
        return self.connection().cursor()

    def _connect(self) -> DuckDBPyConnection:
        import duckdb

        self.check()
        try:
            connection = duckdb.connect(
                str(self.path),
                config={
                    "memory_limit": self._memory_limit,
                    "threads": str(min(2, os.cpu_count() or 1)),
                    # Queries come from outside: no file, no network, no extension, no settings.
                    "enable_external_access": "false",
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                },
            )
        except duckdb.IOException as error:
            raise self._cannot_open(str(error)) from error
        except duckdb.Error as error:
            raise self._corrupt() from error
        try:
            self._prepare(connection)
        except duckdb.Error as error:
            connection.close()
            raise self._cannot_open(str(error)) from error
        except LogStoreError:
            connection.close()
            raise
        if os.name == "posix":
            self.path.chmod(0o600)
        return connection

    def _prepare(self, connection: DuckDBPyConnection) -> None:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET GLOBAL lock_configuration = true")
        for statement in tables.PHYSICAL:
            connection.execute(statement)
        found = connection.execute("SELECT max(version) FROM meta").fetchone()
        version = found[0] if found else None
        if version is None:
            connection.execute("INSERT INTO meta VALUES (?)", [tables.SCHEMA_VERSION])
        elif version > tables.SCHEMA_VERSION:
            raise LogStoreError(
                f"The log file {self.path} was written by a newer version of orchestrator.",
                "Upgrade orchestrator, or remove all local state with `orchestrator local reset`.",
            )
        if self._source_offset is None:
            last = connection.execute("SELECT coalesce(max(id), -1) FROM source").fetchone()
            self._source_offset = 1 + (last[0] if last else -1)

    def _cannot_open(self, reason: str) -> LogStoreError:
        first = reason.splitlines()[0]
        if "not a valid DuckDB" in reason or "corrupt" in reason.lower():
            return self._corrupt()
        # The second wording is Windows's.
        if "lock" in reason.lower() or "used by another process" in reason:
            return LogStoreError(
                f"The log file {self.path} is in use by another program ({first}).",
                "Close that program; nothing is lost meanwhile.",
            )
        return LogStoreError(
            f"The log file {self.path} cannot be opened: {first}.",
            "Check free space and permissions, or remove all local state with "
            "`orchestrator local reset`.",
        )

    def close(self) -> None:
        """Write everything into the main file and let go of it, and of DuckDB's memory."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._found() == self._file:
            connection.close()
        else:
            # Our file was taken away. DuckDB would write its log into that file, which is right,
            # and then remove the log by its name, which may by now be another server's.
            _abandoned.append(connection)

    def write(self, batch: Batch) -> None:
        """Append a batch in one transaction; durable when this returns.

        Raises:
            LogStoreError: The file cannot be opened.
            duckdb.Error: It cannot be written; nothing of the batch is in it then.
        """
        connection = self.connection()
        import duckdb

        try:
            connection.execute("BEGIN")
            self._append(connection, batch)
            connection.execute("COMMIT")
        except duckdb.Error:
            # After a failed write DuckDB may refuse everything on this connection: begin afresh.
            try:
                self.close()
            except duckdb.Error:
                pass
            raise

    def _append(self, connection: DuckDBPyConnection, batch: Batch) -> None:
        offset = self._source_offset or 0
        if batch.sources:
            columns = [list(column) for column in zip(*batch.sources, strict=True)]
            first = offset + batch.first_source
            names = ", ".join(tables.SOURCE_COLUMNS)
            values = ", ".join(
                f"unnest(${n}::{'UUID' if name == 'group_id' else 'VARCHAR'}[])"
                for n, name in enumerate(tables.SOURCE_COLUMNS, 3)
            )
            connection.execute(
                f"INSERT INTO source (id, {names}) SELECT unnest(range($1, $2)), {values}",
                [first, first + len(batch.sources), *columns],
            )
        if batch.texts:
            self._append_lines(connection, batch, offset)
        if batch.events:
            columns = [list(column) for column in zip(*(e[2] for e in batch.events), strict=True)]
            names = ", ".join(tables.EVENT_COLUMNS)
            values = ", ".join(
                f"unnest(${n}::VARCHAR[])" for n, _ in enumerate(tables.EVENT_COLUMNS, 3)
            )
            connection.execute(
                f"INSERT INTO event (time, count, {names}) "
                f"SELECT make_timestamp(unnest($1::BIGINT[])), unnest($2::BIGINT[]), {values}",
                [[e[0] for e in batch.events], [e[1] for e in batch.events], *columns],
            )

    @staticmethod
    def _append_lines(connection: DuckDBPyConnection, batch: Batch, offset: int) -> None:
        # One joined text that DuckDB splits again is twice as fast as a list of values, and
        # most of that time is spent outside Python's lock.
        times = ",".join(map(str, batch.times))
        owners = ",".join(map(str, batch.owners))
        joined, separator = _joined(batch.texts)
        lines = "unnest($4::VARCHAR[])" if separator is None else "unnest(string_split($4, $5))"
        parameters: list[Any] = [times, owners, offset, joined]
        if separator is not None:
            parameters.append(separator)
        connection.execute(
            "INSERT INTO console SELECT make_timestamp(unnest(string_split($1, ','))::BIGINT), "
            f"$3::BIGINT + unnest(string_split($2, ','))::BIGINT, {lines}",
            parameters,
        )

    def tail(
        self,
        execution: str,
        replica: str,
        container: str,
        *,
        limit: int,
        after: int | None = None,
    ) -> list[StoredLine]:
        """Lines of one container, oldest first.

        Args:
            execution: Name of the execution.
            replica: Name of the replica.
            container: Name of the container.
            limit: At most so many lines.
            after: None: the last `limit` lines. Else microseconds since the epoch: the first
                `limit` lines later than that.
        """
        order, bound = ("DESC", "") if after is None else ("ASC", "AND c.time > make_timestamp($5)")
        parameters: list[Any] = [execution, replica, container, limit]
        if after is not None:
            parameters.append(after)
        with self.cursor() as cursor:
            rows = cursor.execute(
                "SELECT epoch_us(c.time), s.stream, c.text "  # noqa: S608
                "FROM console c JOIN source s ON c.source = s.id "
                f"WHERE s.execution = $1 AND s.replica = $2 AND s.container = $3 {bound} "
                f"ORDER BY c.time {order} LIMIT $4",
                parameters,
            ).fetchall()
        if after is None:
            rows.reverse()
        return [StoredLine(*row) for row in rows]

    def last_events(
        self, resource: str, environment: str, *, limit: int
    ) -> list[tuple[int, SystemEvent]]:
        """The last events, oldest first, with their times in microseconds since the epoch.

        Args:
            resource: Resource id of a job in small letters; "" for any.
            environment: Name of an environment; "" for any.
            limit: At most so many.
        """
        with self.cursor() as cursor:
            rows = cursor.execute(
                "SELECT epoch_us(time), job, execution, replica, reason, text, type, environment, "
                "resource_id, origin, container, count FROM event "
                "WHERE ($1 = '' OR resource_id = $1) "
                "AND ($2 = '' OR lower(environment) = lower($2)) "
                "ORDER BY time DESC LIMIT $3",
                [resource, environment, limit],
            ).fetchall()
        rows.reverse()
        return [(at, SystemEvent(at / 1e6, *values)) for at, *values in rows]

    def containers(self, execution: str, replica: str) -> list[str]:
        """Names of the containers of a replica that have ever written a line."""
        with self.cursor() as cursor:
            rows = cursor.execute(
                "SELECT DISTINCT container FROM source WHERE execution = $1 AND replica = $2",
                [execution, replica],
            ).fetchall()
        return [row[0] for row in rows]


def _joined(texts: list[str]) -> tuple[str | list[str], str | None]:
    """The texts as one string and its separator; or as they are, if no separator is free."""
    for separator in _SEPARATORS:
        joined = separator.join(texts)
        if joined.count(separator) == len(texts) - 1:
            return joined, separator
    return texts, None
