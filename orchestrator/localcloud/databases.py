"""What the SQLite files of the state folder have in common: how they are opened, written, given up.

The message store of Service Bus has ways of its own (`servicebus.store.sqlite`), and so has the
first check of Resource Manager's file (`arm.store`); transactions are the same for all but the
former.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from orchestrator.localcloud.state import make_private

_log = logging.getLogger(__name__)


def open_database(
    path: Path,
    schema: str,
    version: int,
    *,
    synchronous: Literal["NORMAL", "FULL"],
    any_thread: bool = False,
) -> sqlite3.Connection:
    """A connection to a file in WAL mode that has these tables; it is made where there is none.

    synchronous: whether each commit is synced to the disk (FULL) or only survives the process.
    any_thread: whether other threads than this one use the connection, one at a time.

    Raises:
        sqlite3.Error: It is no database, or one of another version.
        OSError: It cannot be made.
    """
    make_private(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=not any_thread)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"it has version {found}, not {version}")
        connection.executescript(schema)
        connection.execute(f"PRAGMA user_version = {version}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_or_begin_anew(path: Path, open_: Callable[[], None]) -> None:
    """Open a file that the local cloud can do without: an unreadable one is put aside."""
    try:
        open_()
    except (sqlite3.Error, ValueError) as error:
        aside = path.with_name(f"{path.name}.damaged")
        _log.warning("%s cannot be read (%s); it is kept as %s", path, error, aside.name)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(aside)
        open_()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that is done within is written, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
