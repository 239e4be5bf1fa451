"""The durable store: one SQLite file in WAL mode, group commit.

What arrives while a transaction is being committed forms the next one, so that a single `fsync`
serves as many senders as there are at that moment and one alone waits for nobody. `synchronous`
is FULL: when `done(None)` is called, the change survives the power cord. A group that nobody
waits for is committed without `fsync`: handed to the operating system, it survives the process, and
the next group that somebody waits for takes it to the disk.

A thread writes, so that the event loop goes on meanwhile. The ways there and back cost as much CPU
as all that is written for one message; so a small group is committed in the loop itself as long as
the disk has lately been so fast that nobody notices, and the thread has nothing to do.

If a group's transaction fails, its changes are committed one by one, so that only those fail that
cannot be stored (a deletion still gets through when the disk has no room for a send).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import Done
from orchestrator.localcloud.servicebus.store.contract import (
    MAX_SEQUENCE,
    SEQUENCE_BITS,
    Change,
    Contents,
    Definition,
    HistoryRow,
    MessageRow,
    StateRow,
    tell,
)
from orchestrator.localcloud.servicebus.store.departures import Departures
from orchestrator.localcloud.servicebus.store.statements import (
    PREPARED,
    Untold,
    apply,
    apply_single,
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

# (The column message_id is not in use: an id is in its message, and in the history.)
_MESSAGE = ",".join(f"messages.{name}" for name in MessageRow._fields)
_EVERYTHING = f"SELECT {_MESSAGE}, states.* FROM messages LEFT JOIN states USING (key) ORDER BY key"  # noqa: S608
_NEWEST_OF_EACH = f"""
SELECT key >> {SEQUENCE_BITS}, max(key & {MAX_SEQUENCE}), sum(length(payload))
FROM messages GROUP BY key >> {SEQUENCE_BITS}
"""  # noqa: S608 -- our numbers
# Changes that wait in memory at most, however patient they are.
_LONGEST_WAIT = 4096
# Rows, and bytes of them, up to which a group is small.
_SMALL_GROUP = 128
_SMALL_SIZE = 256 * 1024
# Bytes of free pages in the file that make a start look for how to be rid of them.
_WORTH_SHRINKING = 32 * 1024 * 1024
# How much the last commit counts for how long they take.
_NEWEST = 0.2
UNNOTICED = 0.002
"""Seconds that a commit may take for which the event loop stands still."""

# Result codes (https://www.sqlite.org/rescode.html) that are not the file's fault.
_SURROUNDINGS = frozenset({3, 5, 6, 7, 8, 10, 13, 14})

_Entry = tuple[Change | None, Done | None, bool]
"""A change or a barrier, whom to tell, and whether anybody waits for it."""
_Result = tuple[Done | None, BrokerError | None]


class SqliteStore:
    """See the module; the protocol is `Store`.

    path: the database file, created readable by its owner only. max_pages: an upper bound of its
    size in pages of 4 KiB (tests of a full disk); None: none. unnoticed: seconds that commits may
    take lately to be made in the event loop; 0: the thread makes all, infinity: large ones alone.
    """

    def __init__(
        self, path: Path, *, max_pages: int | None = None, unnoticed: float = UNNOTICED
    ) -> None:
        self.path = path
        self._departures = Departures(path.with_name(f"{path.name}-departed"))
        self._max_pages = max_pages
        self._unnoticed = unnoticed
        self._connection: sqlite3.Connection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._waiting: list[_Entry] = []
        # The writer is rung; it writes; a commit in the loop is due.
        self._due = False
        self._writing = False
        self._here = False
        # How long commits take, seconds; the first ones are the thread's.
        self._commit_time = 2 * UNNOTICED
        self._untold = Untold()
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
                cached_statements=PREPARED,
            )
            self._connection = connection
            self._prepare(connection)
            self._shrink(connection)
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
        # Nobody else reads this file while it is open: without the locks of each transaction a
        # lone message's commit costs the kernel a fifth less. Said before the first look at the
        # file, so that its log's index is in memory and not in a file (sqlite.org/wal.html,
        # section 8).
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
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

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Give the disk back what a long queue has left, if that is most of the file."""
        pages = _pragma(connection, "page_count")
        free = _pragma(connection, "freelist_count")
        if 2 * free > pages and free * _pragma(connection, "page_size") > _WORTH_SHRINKING:
            # It copies what is left, for which there may be no room; then it stays as it is.
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("VACUUM")
                # Only then is the file itself cut.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _load(self, connection: sqlite3.Connection) -> Contents:
        # A lock may have been noted for a message whose send then failed.
        connection.execute("DELETE FROM states WHERE key NOT IN (SELECT key FROM messages)")
        definitions = connection.execute("SELECT kind, key, body FROM definitions").fetchall()
        # Every page is read now, so that damage is found here; the rows are fetched as they are
        # taken in, so that they are not in memory twice.
        newest = connection.execute(_NEWEST_OF_EACH).fetchall()
        connection.execute("SELECT count(until) FROM history").fetchone()
        last = dict(connection.execute("SELECT queue, last FROM sequences"))
        self._untold = Untold(
            (queue, number) for queue, number, _ in newest if number > last.get(queue, 0)
        )
        last |= self._untold
        self._forget_departed(connection)
        return Contents(
            definitions=[Definition(*row) for row in definitions],
            last=last,
            messages=self._messages(connection),
            history=self._history(connection),
        )

    def _forget_departed(self, connection: sqlite3.Connection) -> None:
        """Delete what a former process let go of and did not come to delete."""
        change = Change()
        change.deletes += self._departures.open()
        if change.deletes:
            now = Untold()
            connection.execute("BEGIN IMMEDIATE")
            apply(connection, [change], self._untold, now)
            connection.execute("COMMIT")
            self._untold |= now
        self._departures.clear()

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

    def depart(self, key: int) -> None:
        self._departures.note(key)

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
                self._call()
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
                self._call()

    def _call(self) -> None:
        """Have what waits committed. With the lock held."""
        if self._here or self._due:
            return
        if self._writing or self._commit_time > self._unnoticed or self._loop is None:
            self._ring()
        else:
            # Behind everything that happens in this turn of the loop: it may share the commit.
            self._here = True
            self._loop.call_soon(self._commit_here)

    def _commit_here(self) -> None:
        """Commit in the event loop, if it is little."""
        self._here = False
        with self._lock:
            if not self._waiting or self._due:
                return
            if self._writing or not _is_small(self._waiting):
                self._ring()
                return
            group, self._waiting = self._waiting, []
        # The writer sleeps: only this thread wakes it.
        tell(self._commit_group(group))

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
                self._writing = True
                last = self._closing
            results = self._commit_group(group)
            with self._lock:
                self._writing = False
            # The loop may be gone where the process did not bother to close us.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(tell, results)
            # Not kept until the next: there may be many megabytes of messages behind them.
            del group, results
        self._disconnect()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set_finished)

    def _set_finished(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def _disconnect(self) -> None:
        self._departures.close()
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
            now = Untold()
            began = time.perf_counter()
            if not apply_single(connection, changes, now):
                connection.execute("BEGIN IMMEDIATE")
                apply(connection, changes, self._untold, now)
                began = time.perf_counter()
                connection.execute("COMMIT")
            if durable:
                took = time.perf_counter() - began
                self._commit_time += (took - self._commit_time) * _NEWEST
            self._untold |= now
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


def _is_small(group: Sequence[_Entry]) -> bool:
    rows = size = 0
    for change, _, _ in group:
        if change is not None:
            rows += 1 + len(change.puts) + len(change.states) + len(change.deletes)
            size += sum(len(row[-1]) for row in change.puts)
            if change.drops:
                return False
    return rows <= _SMALL_GROUP and size <= _SMALL_SIZE


def _code(error: sqlite3.Error) -> int:
    """The primary result code; 0 where the module raised the error itself."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    return int(code) & 0xFF


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])
