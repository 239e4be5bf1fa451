"""The durable memory of alerts: those that have fired, and the notifications that are on their way.

One SQLite file. An alert and the notifications about it are written together, before the first of
these is sent; one that was not delivered when the server ended is sent by the next.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.localcloud.databases import open_database, open_or_begin_anew, transaction

JSON = dict[str, Any]

RETENTION = 30 * 86400
"""Seconds that an alert is kept after its last change (alerts-overview)."""

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
  id TEXT PRIMARY KEY, modified REAL NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, receiver TEXT NOT NULL,
  address TEXT NOT NULL,
  payload TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Notification:
    """A request that a webhook is to be sent. The address may hold a secret."""

    alert: str
    receiver: str
    address: str
    payload: str
    id: int = 0

    def __repr__(self) -> str:
        return f"Notification({self.alert!r}, {self.receiver!r})"


class AlertStore:
    """Alerts as they are on the wire."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.alerts: dict[str, JSON] = {}

    def open(self) -> None:
        """Read everything; a file that cannot be read is put aside."""
        open_or_begin_anew(self._path, self._open)

    def _open(self) -> None:
        self.alerts = {}
        connection = open_database(self._path, _SCHEMA, _VERSION, synchronous="FULL")
        try:
            for name, body in connection.execute("SELECT id, body FROM alerts ORDER BY modified"):
                self.alerts[name] = json.loads(body)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def save(self, alert: JSON, now: float, notifications: Iterable[Notification] = ()) -> None:
        """Keep an alert as it is now, and what is to be sent about it."""
        name = str(alert["id"]).rpartition("/")[2]
        self.alerts[name] = alert
        if self._connection is None:
            raise sqlite3.ProgrammingError("the alert store is not open")
        with transaction(self._connection) as connection:
            connection.execute(
                "INSERT INTO alerts VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "modified = excluded.modified, body = excluded.body",
                (name, now, json.dumps(alert)),
            )
            connection.executemany(
                "INSERT INTO notifications (alert, receiver, address, payload) VALUES (?, ?, ?, ?)",
                [(n.alert, n.receiver, n.address, n.payload) for n in notifications],
            )
            old = connection.execute(
                "DELETE FROM alerts WHERE modified < ? RETURNING id", (now - RETENTION,)
            ).fetchall()
        for (gone,) in old:
            self.alerts.pop(gone, None)

    def waiting(self, after: int = 0) -> list[Notification]:
        """The notifications that are to be sent, from a number on, oldest first."""
        if self._connection is None:
            return []
        return [
            Notification(alert, receiver, address, payload, number)
            for number, alert, receiver, address, payload in self._connection.execute(
                "SELECT id, alert, receiver, address, payload FROM notifications WHERE id > ? "
                "ORDER BY id",
                (after,),
            )
        ]

    def sent(self, notification: Notification) -> None:
        """It is delivered, or given up."""
        if self._connection is not None:
            self._connection.execute("DELETE FROM notifications WHERE id = ?", (notification.id,))
