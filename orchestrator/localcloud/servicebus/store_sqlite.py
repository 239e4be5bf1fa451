"""The durable store: one SQLite file in WAL mode, one writer thread, group commit.

What arrives while a transaction is being committed forms the next one, so that a single `fsync`
serves as many senders as there are at that moment and one alone waits for nobody. `synchronous`
is FULL: when `done(None)` is called, the change survives the power cord. A group that nobody
waits for is committed without `fsync`: handed to the operating system, it survives the process, and
the next group that somebody waits for takes it to the disk.

If a group's transaction fails, its changes are committed one by one, so that only those fail that
cannot be stored (a deletion still gets through when the disk has no room for a send).

Statements take many rows at once. Each call into SQLite gives up the interpreter lock, and taking
it back from a busy event loop may cost its whole switch interval; one call for 512 rows pays once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import Done
from orchestrator.localcloud.servicebus.store import (
    SEQUENCE_BITS,
    Change,
    Contents,
    Definition,
    HistoryRow,
    MessageRow,
    StateRow,
    tell,
)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4F524342  # "ORCB" in the file's header: an orchestrator's broker

_SCHEMA = """
CREATE TABLE definitions (
  kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE sequences (queue INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE messages (
  key INTEGER PRIMARY KEY, state INTEGER NOT NULL, delivery_count INTEGER NOT NULL,
  enqueued_at REAL NOT NULL, expires_at REAL, message_id TEXT, details BLOB,
  payload BLOB NOT NULL);
CREATE TABLE states (
  key INTEGER PRIMARY KEY, state INTEGER NOT NULL, delivery_count INTEGER NOT NULL,
  token BLOB, locked_until REAL, modified BLOB);
CREATE TABLE history (
  queue INTEGER NOT NULL, message_id TEXT NOT NULL, until REAL NOT NULL,
  PRIMARY KEY (queue, message_id)) WITHOUT ROWID;
"""

# Rows per statement: few sizes, so that each stays prepared, and few statements for any number.
_SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_SMALL_SIZES = (8, 1)
_PREPARED = 128
# (The column message_id is not in use: an id is in its message, and in the history.)
_MESSAGE = ",".join(f"messages.{name}" for name in MessageRow._fields)
_EVERYTHING = f"SELECT {_MESSAGE}, states.* FROM messages LEFT JOIN states USING (key) ORDER BY key"  # noqa: S608
_PLAIN = "REPLACE INTO messages (key,state,delivery_count,enqueued_at,payload) VALUES"
_PLAIN_VALUES = itemgetter(*map(MessageRow._fields.index, ("key", "enqueued_at", "payload")))
# From how many messages in a row they are deleted by the first and the last of them.
_RUN = 3
_LARGE_GROUP = 4 * 1024 * 1024
# Changes that wait in memory at most, however patient they are.
_LONGEST_WAIT = 4096

# Result codes (https://www.sqlite.org/rescode.html) that are not the file's fault.
_SURROUNDINGS = frozenset({3, 5, 6, 7, 8, 10, 13, 14})

_Entry = tuple[Change | None, Done | None, bool]
"""A change or a barrier, whom to tell, and whether anybody waits for it."""
_Result = tuple[Done | None, BrokerError | None]


class SqliteStore:
    """See the module; the protocol is `Store`.

    path: the database file, created readable by its owner only. max_pages: an upper bound of its
    size in pages of 4 KiB (tests of a full disk); None: none.
    """

    def __init__(self, path: Path, *, max_pages: int | None = None) -> None:
        self.path = path
        self._max_pages = max_pages
        self._connection: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._waiting: list[_Entry] = []
        self._due = False
        self._alarm: asyncio.TimerHandle | None = None
        self._synchronous = True
        self._lock = threading.Lock()
        # Rung (released) when the writer shall take what is waiting. A bare lock: a condition
        # variable costs as much as half of what it wakes the writer for.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._closing = False
        self._finished: asyncio.Future[None] | None = None

    # -- opening -----------------------------------------------------------------------------

    async def open(self) -> Contents:
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        self._closing = False
        try:
            contents = await asyncio.to_thread(self._open)
        except BaseException:
            self._disconnect()
            raise
        self._thread = threading.Thread(target=self._write, name="broker-store", daemon=True)
        self._thread.start()
        return contents

    def _open(self) -> Contents:
        try:
            # SQLite gives its side files the permissions of the main one.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                self.path,
                isolation_level=None,
                check_same_thread=False,
                timeout=5.0,
                cached_statements=_PREPARED,
            )
            self._connection = connection
            self._prepare(connection)
            return self._load(connection)
        except sqlite3.Error as error:
            raise self._opening_error(error) from error
        except OSError as error:
            raise StoreFailed(
                f"The message store {self.path} cannot be opened: {error.strerror or error}."
            ) from error

    def _opening_error(self, error: sqlite3.Error) -> BrokerError:
        code = _code(error)
        if code == 13:
            return StoreFull(f"The message store {self.path} cannot be opened: no room is left.")
        if code in (5, 6):
            return StoreFailed(
                f"The message store {self.path} is in use by another process: stop that first."
            )
        if code in _SURROUNDINGS:
            return StoreFailed(f"The message store {self.path} cannot be opened: {error}.")
        return StoreCorrupt(
            f"The message store {self.path} is damaged or not a message store ({error}): restore "
            "it from a copy, or reset the local cloud to start with none."
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        application = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
        empty = not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        if not empty and application != APPLICATION_ID:
            raise StoreCorrupt(
                f"The message store {self.path} is another program's database: move it away, or "
                "reset the local cloud."
            )
        if version > SCHEMA_VERSION:
            raise StoreCorrupt(
                f"The message store {self.path} was written by a newer version (schema {version}, "
                f"this one knows {SCHEMA_VERSION}): use that version, or reset the local cloud."
            )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        self._synchronous = True
        connection.execute("PRAGMA cell_size_check=ON")
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count={int(self._max_pages)}")
        if empty:
            connection.executescript(
                f"BEGIN; PRAGMA application_id={APPLICATION_ID};"
                f" PRAGMA user_version={SCHEMA_VERSION}; {_SCHEMA} COMMIT;"
            )

    def _load(self, connection: sqlite3.Connection) -> Contents:
        # A lock may have been noted for a message whose send then failed.
        connection.execute("DELETE FROM states WHERE key NOT IN (SELECT key FROM messages)")
        definitions = connection.execute("SELECT kind, key, body FROM definitions").fetchall()
        # Every page is read now, so that damage is found here; the rows are fetched as they are
        # taken in, so that they are not in memory twice.
        connection.execute("SELECT sum(length(payload)) FROM messages").fetchone()
        connection.execute("SELECT count(until) FROM history").fetchone()
        return Contents(
            definitions=[Definition(*row) for row in definitions],
            last=dict(connection.execute("SELECT queue, last FROM sequences")),
            messages=self._messages(connection),
            history=self._history(connection),
        )

    def _messages(
        self, connection: sqlite3.Connection
    ) -> Iterator[tuple[MessageRow, StateRow | None]]:
        rows = connection.execute(_EVERYTHING)
        enqueued_at = 0.0
        for row in self._read(rows):
            key, state, delivery_count, at, *rest = row[:7]
            if at != enqueued_at:
                enqueued_at = at  # one object for all messages of one send
            message = MessageRow(key, state, delivery_count, enqueued_at, *rest)
            yield message, None if row[7] is None else StateRow(*row[7:])

    def _history(self, connection: sqlite3.Connection) -> Iterator[HistoryRow]:
        rows = connection.execute("SELECT queue, message_id, until FROM history ORDER BY until")
        for row in self._read(rows):
            yield HistoryRow(*row)

    def _read(self, rows: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
        try:
            yield from rows
        except sqlite3.Error as error:
            raise self._opening_error(error) from error

    # -- the event loop's side ----------------------------------------------------------------

    def commit(self, change: Change, done: Done | None, *, patience: float = 0.0) -> None:
        self._enqueue(change, done, patience)

    def barrier(self, done: Done) -> None:
        self._enqueue(None, done, 0.0)

    def _enqueue(self, change: Change | None, done: Done | None, patience: float) -> None:
        if self._closing or self._thread is None or self._loop is None:
            if done is not None:
                closed = StoreFailed(f"The message store {self.path} is closed.")
                asyncio.get_running_loop().call_soon(done, closed)
            return
        with self._lock:
            self._waiting.append((change, done, not patience))
            if not patience or len(self._waiting) > _LONGEST_WAIT:
                self._ring()
                return
        due = self._loop.time() + patience
        if self._alarm is None or due < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._loop.call_at(due, self._patience_over)

    def _patience_over(self) -> None:
        self._alarm = None
        with self._lock:
            if self._waiting:
                self._ring()

    def _ring(self) -> None:
        """Wake the writer. With the lock held."""
        if not self._due:
            self._due = True
            self._bell.release()

    async def close(self) -> None:
        if self._thread is None or self._finished is None:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        with self._lock:
            self._closing = True
            self._ring()
        await asyncio.shield(self._finished)
        self._thread.join()
        self._thread = None

    # -- the writer thread's side ---------------------------------------------------------------

    def _write(self) -> None:
        assert self._loop is not None
        last = False
        while not last:
            self._bell.acquire()
            with self._lock:
                group, self._waiting = self._waiting, []
                self._due = False
                last = self._closing
            results = self._commit_group(group)
            # The loop may be gone where the process did not bother to close us.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(tell, results)
        self._disconnect()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set_finished)

    def _set_finished(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing folds the write-ahead log into the file; failing that, the next open does.
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _commit_group(
        self, group: Sequence[_Entry]
    ) -> list[tuple[Done | None, BrokerError | None]]:
        changes = [change for change, _, _ in group if change is not None]
        durable = any(awaited for _, _, awaited in group)
        error = self._transact(changes, durable) if changes else None
        if error is None:
            return [(done, None) for _, done, _ in group]
        if len(changes) == 1:
            return [(done, error if change is not None else None) for change, done, _ in group]
        return [
            (done, self._transact([change], durable) if change else None)
            for change, done, _ in group
        ]

    def _transact(self, changes: Sequence[Change], durable: bool) -> BrokerError | None:
        connection = self._connection
        assert connection is not None
        try:
            if durable is not self._synchronous:
                connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._synchronous = durable
            connection.execute("BEGIN IMMEDIATE")
            _apply(connection, changes)
            connection.execute("COMMIT")
        except (sqlite3.Error, MemoryError, OverflowError) as error:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return self._writing_error(error)
        return None

    def _writing_error(self, error: Exception) -> BrokerError:
        if isinstance(error, sqlite3.Error) and _code(error) == 13:
            return StoreFull(
                f"No room is left for the message store {self.path}: nothing was stored. Free "
                "some space, or receive messages, and send again."
            )
        return StoreFailed(f"The message store {self.path} could not be written: {error}.")


def _apply(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Write a group: what several changes say of one row is written once, as the last says it."""
    puts = [row for change in changes for row in change.puts]
    deletes = [key for change in changes for key in change.deletes]
    gone = set(deletes)
    states = {row.key: row for change in changes for row in change.states if row.key not in gone}
    plain = [
        row
        for row in puts
        if row[4] is None and row[5] is None and row[1] == 0 and row[2] == 0  # by name: slower
    ]
    _insert_plain(connection, plain)
    if len(plain) < len(puts):
        keys = {row[0] for row in plain}
        special = [row for row in puts if row[0] not in keys]
        _insert(connection, "messages", MessageRow._fields, special)
    _insert(connection, "states", StateRow._fields, list(states.values()))
    if deletes:
        runs, scattered = _runs(deletes)
        for table in ("messages", "states"):
            for run in runs:
                connection.execute(_DELETE_RUN[table], run)
            _delete(connection, table, scattered)
    last: dict[int, int] = {}
    history: dict[tuple[int, str], float | None] = {}
    definitions: dict[tuple[str, str], bytes | None] = {}
    for change in changes:
        last.update(change.last)
        history.update(change.history)
        definitions.update(change.definitions)
    if last:
        _insert(connection, "sequences", ("queue", "last"), list(last.items()))
    if history:
        kept = [(*entry, until) for entry, until in history.items() if until is not None]
        _insert(connection, "history", HistoryRow._fields, kept)
        past = [entry for entry, until in history.items() if until is None]
        connection.executemany("DELETE FROM history WHERE queue = ? AND message_id = ?", past)
    for (kind, name), body in definitions.items():
        if body is None:
            connection.execute("DELETE FROM definitions WHERE kind = ? AND key = ?", (kind, name))
        else:
            connection.execute("REPLACE INTO definitions VALUES (?, ?, ?)", (kind, name, body))
    for queue in chain.from_iterable(change.drops for change in changes):
        _drop(connection, queue)


def _drop(connection: sqlite3.Connection, queue: int) -> None:
    keys = (queue << SEQUENCE_BITS, (queue + 1) << SEQUENCE_BITS)
    connection.execute("DELETE FROM messages WHERE key >= ? AND key < ?", keys)
    connection.execute("DELETE FROM states WHERE key >= ? AND key < ?", keys)
    connection.execute("DELETE FROM history WHERE queue = ?", (queue,))
    connection.execute("DELETE FROM sequences WHERE queue = ?", (queue,))


@lru_cache(maxsize=_PREPARED)
def _insert_statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    values = ",".join([row] * rows)
    return f"REPLACE INTO {table} ({','.join(columns)}) VALUES {values}"  # noqa: S608 -- our names


@lru_cache(maxsize=_PREPARED)
def _plain_statement(rows: int) -> str:
    return f"{_PLAIN} {','.join(['(?,0,0,?,?)'] * rows)}"


@lru_cache(maxsize=_PREPARED)
def _delete_statement(table: str, rows: int) -> str:
    return f"DELETE FROM {table} WHERE key IN ({','.join('?' * rows)})"  # noqa: S608 -- our names


def _insert(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    for part in _parts(rows, _sizes(rows) if table == "messages" else _SIZES):
        statement = _insert_statement(table, columns, len(part))
        connection.execute(statement, list(chain.from_iterable(part)))


def _insert_plain(connection: sqlite3.Connection, rows: Sequence[MessageRow]) -> None:
    """Messages as most are: just sent, without anything that only some have."""
    for part in _parts(rows, _sizes(rows)):
        parameters = list(chain.from_iterable(map(_PLAIN_VALUES, part)))
        connection.execute(_plain_statement(len(part)), parameters)


_DELETE_RUN = {
    table: f"DELETE FROM {table} WHERE key BETWEEN ? AND ?"  # noqa: S608 -- our names
    for table in ("messages", "states")
}


def _runs(keys: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """First and last of the keys that follow each other without a gap, and the other keys."""
    runs: list[tuple[int, int]] = []
    scattered: list[int] = []
    ordered = sorted(keys)
    start = 0
    for behind in range(1, len(ordered) + 1):
        if behind < len(ordered) and ordered[behind] == ordered[behind - 1] + 1:
            continue
        if behind - start >= _RUN:
            runs.append((ordered[start], ordered[behind - 1]))
        else:
            scattered += ordered[start:behind]
        start = behind
    return runs, scattered


def _delete(connection: sqlite3.Connection, table: str, keys: Sequence[int]) -> None:
    for part in _parts(keys, _SIZES):
        connection.execute(_delete_statement(table, len(part)), part)


def _sizes(rows: Sequence[tuple[Any, ...]]) -> tuple[int, ...]:
    """How many messages to write with one statement."""
    return _SMALL_SIZES if sum(len(row[-1]) for row in rows) > _LARGE_GROUP else _SIZES


def _parts(rows: Sequence[Any], sizes: Sequence[int]) -> Iterable[Sequence[Any]]:
    start = 0
    for size in sizes:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 where the module raised the error itself."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return int(code) & 0xFF


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])
