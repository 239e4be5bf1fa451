"""The resources, durably: SQLite in WAL mode, with everything in memory for reading.

A write is answered after its commit reached the disk (`synchronous=FULL`); one thread writes, so
that the event loop never waits for a disk. What is read is always a copy.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.databases import transaction
from orchestrator.localcloud.state import StateUnreadable, make_private

_log = logging.getLogger(__name__)

JSON = dict[str, Any]
SCHEMA = 1
APPLICATION_ID = 0x4F524341
"""In the file's header: an orchestrator's ARM store."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    key TEXT PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL, etag TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY, created REAL NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
"""
MAX_EVENTS = 5000
"""So many of the newest events are kept."""
_EVENTS_DELAY = 0.05


@dataclass(frozen=True, slots=True)
class Record:
    """One stored resource: its parsed id, its JSON text and its entity tag."""

    id: ResourceId
    text: str
    etag: str

    def read(self) -> JSON:
        """A fresh copy of the resource."""
        value: JSON = json.loads(self.text)
        return value


def storage_error(error: sqlite3.Error) -> ArmError:
    """The answer for a write that the disk refused; nothing of it was kept."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return ArmError(
            "InsufficientStorage",
            "The disk that holds the local cloud's state is full or refuses writes; nothing was "
            "changed. Free some space and send the request again.",
            507,
        )
    if code == sqlite3.SQLITE_READONLY:
        return ArmError(
            "InsufficientStorage",
            "The local cloud's state cannot be written (it is read-only); nothing was changed.",
            507,
        )
    return ArmError("InternalServerError", "The local cloud could not store the change.", 500)


class ResourceStore:
    """Resources and operations of the Resource Manager. Belongs to one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resources: dict[str, Record] = {}
        self._by_type: dict[str, dict[str, Record]] = {}
        self._operations: dict[str, JSON] = {}
        self._versions: dict[str, int] = {}
        self._events: deque[str] = deque(maxlen=MAX_EVENTS)
        self._unsaved: list[str] = []
        self._connection: sqlite3.Connection | None = None
        self._writer: ThreadPoolExecutor | None = None

    # ------------------------------------------------------------------ life ----

    def open(self) -> None:
        """Read everything.

        Raises:
            StateUnreadable: The file is no database, or of a newer version; it is left untouched.
        """
        make_private(self._path)
        self._resources, self._by_type, self._operations = {}, {}, {}
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if application != APPLICATION_ID:
                if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                    raise StateUnreadable(self._path, "is another program's database")
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise StateUnreadable(self._path, "was written by a newer version")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={SCHEMA}")
            for text_id, body, etag in connection.execute("SELECT id, body, etag FROM resources"):
                json.loads(body)
                self._keep(Record(parse(text_id), body, etag))
            for name, body in connection.execute("SELECT id, body FROM operations"):
                self._operations[name] = json.loads(body)
            rows = connection.execute(
                "SELECT body FROM events ORDER BY number DESC LIMIT ?", (MAX_EVENTS,)
            ).fetchall()
            self._events = deque((row[0] for row in reversed(rows)), MAX_EVENTS)
        except (sqlite3.DatabaseError, ValueError, TypeError, ArmError) as error:
            connection.close()
            raise StateUnreadable(self._path, f"cannot be read ({error})") from error
        except StateUnreadable:
            connection.close()
            raise
        self._connection = connection
        self._writer = ThreadPoolExecutor(1, "arm-store")

    def close(self) -> None:
        """Wait for the last write and close the file."""
        if self._writer is not None:
            self._flush_events()
            self._writer.shutdown(wait=True)
            self._writer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --------------------------------------------------------------- reading ----

    def __contains__(self, id: ResourceId | str) -> bool:
        return _key(id) in self._resources

    def record(self, id: ResourceId | str) -> Record | None:
        """The record of a resource; None where there is none."""
        return self._resources.get(_key(id))

    def get(self, id: ResourceId | str) -> JSON | None:
        """A copy of a resource; None where there is none."""
        record = self._resources.get(_key(id))
        return record.read() if record else None

    def records(self, resource_type: str) -> list[Record]:
        """The records of all resources of a type, ordered by id."""
        members = self._by_type.get(resource_type.lower(), {})
        return [members[key] for key in sorted(members)]

    def of_type(self, resource_type: str, under: ResourceId | str | None = None) -> list[JSON]:
        """Copies of all resources of a type, below an id where one is given, ordered by id."""
        members = self._by_type.get(resource_type.lower(), {})
        prefix = _key(under).rstrip("/") + "/" if under is not None else ""
        return [members[key].read() for key in sorted(members) if key.startswith(prefix)]

    def collection(self, id: ResourceId) -> list[JSON]:
        """Copies of what the collection `id` holds.

        A collection at a subscription (or the tenant) holds what its resource groups hold, too; one
        inside a resource, or at a group, only its own.
        """
        members = self._by_type.get(id.type.lower(), {})
        own = id.key + "/"
        if id.names or id.group is not None:
            keys = (key for key in members if key.startswith(own) and "/" not in key[len(own) :])
        else:
            scope = id.scope.lower() + "/"
            keys = (key for key in members if key.startswith(scope))
        return [members[key].read() for key in sorted(keys)]

    def inside(self, id: ResourceId | str) -> list[Record]:
        """Everything below an id, extensions included, deepest first."""
        prefix = _key(id).rstrip("/") + "/"
        found = [key for key in self._resources if key.startswith(prefix)]
        return [
            self._resources[key] for key in sorted(found, key=lambda key: (-key.count("/"), key))
        ]

    def all(self) -> Iterator[Record]:
        """Every record, ordered by id."""
        return iter([self._resources[key] for key in sorted(self._resources)])

    def operation(self, name: str) -> JSON | None:
        """A stored operation."""
        return self._operations.get(name)

    def operations(self) -> list[JSON]:
        """All stored operations."""
        return list(self._operations.values())

    def version(self, resource_type: str) -> int:
        """A number that changes when a resource of that type is written or deleted."""
        return self._versions.get(resource_type.lower(), 0)

    def events(self) -> Iterator[JSON]:
        """What was noted, newest first."""
        return (json.loads(text) for text in reversed(list(self._events)))

    # --------------------------------------------------------------- writing ----

    def note(self, event: JSON) -> None:
        """Keep an event; it is on the disk with the next change, or a moment later.

        The newest `MAX_EVENTS` are kept.
        """
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        self._events.append(text)
        if not self._unsaved:
            asyncio.get_running_loop().call_later(_EVENTS_DELAY, self._flush_events)
        self._unsaved.append(text)

    def _flush_events(self) -> None:
        if not self._unsaved or self._writer is None:
            return
        texts = self._take_events()

        def work() -> None:
            try:
                self._transact(lambda connection: _insert_events(connection, texts))
            except sqlite3.Error as error:
                _log.error("%d events could not be written: %s", len(texts), error)

        self._writer.submit(work)

    def _take_events(self) -> list[str]:
        texts, self._unsaved = self._unsaved, []
        return texts

    async def write(
        self,
        *,
        put: Iterable[tuple[ResourceId, JSON, str]] = (),
        delete: Iterable[ResourceId | str] = (),
        operations: Iterable[JSON] = (),
        forget: Iterable[str] = (),
    ) -> None:
        """Change all of it in one transaction; durable when this returns.

        Args:
            put: Resources with their new entity tags.
            delete: Resources to remove.
            operations: Operations (with `id` and `created`) to keep.
            forget: Names of operations to remove.

        Raises:
            ArmError: 507 when the disk is full; nothing was changed then.
        """
        records = [
            Record(id, json.dumps(body, ensure_ascii=False, separators=(",", ":")), etag)
            for id, body, etag in put
        ]
        gone = [_key(id) for id in delete]
        kept = [(item["id"], item["created"], json.dumps(item), item) for item in operations]
        names = list(forget)
        events = self._take_events()

        def commit(connection: sqlite3.Connection) -> None:
            _insert_events(connection, events)
            connection.executemany(
                "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?)",
                [(record.id.key, record.id.text, record.text, record.etag) for record in records],
            )
            connection.executemany("DELETE FROM resources WHERE key = ?", [(k,) for k in gone])
            connection.executemany(
                "INSERT OR REPLACE INTO operations VALUES (?, ?, ?)", [item[:3] for item in kept]
            )
            connection.executemany("DELETE FROM operations WHERE id = ?", [(n,) for n in names])

        def remember() -> None:
            for record in records:
                self._keep(record)
            for key in gone:
                self._drop(key)
            for name, _, _, item in kept:
                self._operations[name] = item
            for name in names:
                self._operations.pop(name, None)

        try:
            await self._run(commit, remember)
        except ArmError:
            self._unsaved = events + self._unsaved
            raise

    async def _run(
        self, commit: Callable[[sqlite3.Connection], None], remember: Callable[[], None]
    ) -> None:
        if self._writer is None:
            raise ArmError("ServiceUnavailable", "The local cloud is stopping.", 503)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish(error: BaseException | None) -> None:
            # Memory follows the disk even when the caller has gone away meanwhile.
            if error is None:
                remember()
            if done.cancelled():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def work() -> None:
            error: BaseException | None = None
            try:
                self._transact(commit)
            except sqlite3.Error as failure:
                error = storage_error(failure)
                error.__cause__ = failure
            except BaseException as failure:  # noqa: BLE001 - handed to the waiting caller
                error = failure
            loop.call_soon_threadsafe(finish, error)

        self._writer.submit(work)
        await done

    def _transact(self, commit: Callable[[sqlite3.Connection], None]) -> None:
        connection = self._connection
        assert connection is not None
        with transaction(connection):
            commit(connection)

    def _keep(self, record: Record) -> None:
        key = record.id.key
        self._resources[key] = record
        type_ = _type(record.id)
        self._by_type.setdefault(type_, {})[key] = record
        self._versions[type_] = self._versions.get(type_, 0) + 1

    def _drop(self, key: str) -> None:
        record = self._resources.pop(key, None)
        if record is not None:
            type_ = _type(record.id)
            self._by_type[type_].pop(key, None)
            self._versions[type_] = self._versions.get(type_, 0) + 1


def _insert_events(connection: sqlite3.Connection, texts: list[str]) -> None:
    if not texts:
        return
    connection.executemany("INSERT INTO events (body) VALUES (?)", [(text,) for text in texts])
    connection.execute(
        "DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", (MAX_EVENTS,)
    )


GROUP_TYPE = "microsoft.resources/resourcegroups"


def _type(id: ResourceId) -> str:
    return id.type.lower() or GROUP_TYPE


def _key(id: ResourceId | str) -> str:
    return id.key if isinstance(id, ResourceId) else parse(id).key
