"""The history of metrics: one row for each series and minute in which something was measured.

What is measured is gathered in memory and written a moment later, many together; a kill of the
server loses at most that moment. Metrics are told by nobody's acknowledgement, so nothing waits
for the disk. A *level* (how many messages wait) is written only when it changes and holds until
then, also while the server is stopped, for so do the messages; an idle cloud writes nothing.

Bounded in time (93 days, as in Azure Monitor) and in rows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.localcloud.databases import open_database, open_or_begin_anew, transaction
from orchestrator.localcloud.metrics.catalogue import CATALOGUE

_log = logging.getLogger(__name__)

RETENTION = 93 * 1440
"""Minutes that are kept (https://learn.microsoft.com/azure/azure-monitor/metrics/data-platform)."""

MOST_ROWS = 500_000
WIDE = 180
"""Minutes from which on an answer is read series by series, and not minute by minute."""

KNOWN = 10_000
"""Series whose numbers are kept in memory; others are looked up."""

LEVELS = tuple(
    name for metrics in CATALOGUE.values() for name, m in metrics.items() if m.kind == "level"
)
WRITE_AFTER = 1.0
"""Seconds of the machine from a measurement until it is written."""
_PRUNE_EVERY = 3600 * 6

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, resource TEXT NOT NULL, metric TEXT NOT NULL, dimensions TEXT NOT NULL,
  UNIQUE (resource, metric, dimensions)
);
CREATE TABLE IF NOT EXISTS points (
  series INTEGER NOT NULL, minute INTEGER NOT NULL,
  count INTEGER NOT NULL, total REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, level REAL,
  PRIMARY KEY (series, minute)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS points_by_minute ON points (minute);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""

Dimensions = tuple[tuple[str, str], ...]
Key = tuple[str, str, Dimensions]
"""(resource id in lower case, metric, its dimensions)."""


@dataclass(slots=True)
class Point:
    """What was measured in one minute.

    Attributes:
        count, total, low, high: How many values, their sum, the smallest, the largest.
        level: Of a level: what it was at the end; None: it ceased to be.
    """

    count: int = 0
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    level: float | None = None

    def take(self, value: float) -> None:
        """Take in a value that was measured."""
        self.count += 1
        self.total += value
        self.low = min(self.low, value)
        self.high = max(self.high, value)

    def merge(self, other: Point) -> None:
        """Take in another point."""
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.level = other.level


class MetricHistory:
    """Takes measurements and gives them back by the minute. Belongs to one event loop.

    Args:
        path: The file; made, readable by its owner only, when it is not there.
        clock: Says in which minute something is measured.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        # Answers are read in threads, by a connection of their own.
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._ids: dict[Key, int] = {}
        self._pending: dict[tuple[Key, int], Point] = {}
        self._levels: dict[Key, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._pruned = 0.0
        self.since = 0

    # ------------------------------------------------------------------ life

    def open(self) -> None:
        """Open the file; one that cannot be read is put aside, and a new one begun."""
        open_or_begin_anew(self._path, self._open)

    def _open(self) -> None:
        self._ids.clear()
        self._levels.clear()
        connection = open_database(self._path, _SCHEMA, _VERSION, synchronous="NORMAL")
        try:
            connection.execute(
                "INSERT OR IGNORE INTO facts VALUES ('since', ?)", (float(self.minute),)
            )
            found = connection.execute("SELECT value FROM facts WHERE name = 'since'").fetchone()
            self.since = int(found[0])
            marks = ", ".join("?" * len(LEVELS))
            for number, resource, metric, dimensions in connection.execute(
                f"SELECT id, resource, metric, dimensions FROM series WHERE metric IN ({marks})",  # noqa: S608
                LEVELS,
            ).fetchall():
                last = connection.execute(
                    "SELECT minute, level FROM points WHERE series = ? AND minute <= ? "
                    "ORDER BY minute DESC LIMIT 1",
                    (number, self.minute),
                ).fetchone()
                if last is not None and last[1] is not None:
                    self._levels[resource, metric, _read(dimensions)] = last
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._reader = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        self._reader.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Write what is pending and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        if self._connection is not None:
            self.flush()
            self._connection.close()
            self._connection = None

    @property
    def minute(self) -> int:
        """The present minute: minutes since the epoch."""
        return int(self._clock.time() // 60)

    # ------------------------------------------------------------------ measuring

    def add(
        self,
        resource: str,
        metric: str,
        dimensions: Dimensions,
        value: float = 1.0,
        minute: int | None = None,
    ) -> None:
        """Something happened (a count), or was measured (a sample): now, or in that minute."""
        key = (resource.lower(), metric, dimensions)
        self._point(key, self.minute if minute is None else minute).take(value)

    def level(
        self, resource: str, metric: str, dimensions: Dimensions, value: float | None
    ) -> None:
        """A level is `value` now; None: there is nothing any more whose level it is."""
        key = (resource.lower(), metric, dimensions)
        minute = self.minute
        known = self._levels.get(key)
        if value is None:
            if self._levels.pop(key, None) is not None:
                point = self._point(key, minute)
                if not point.count and known is not None:
                    point.take(known[1])
                point.level = None
            return
        if known is not None and known[1] == value:
            return
        point = self._point(key, minute)
        if known is not None and known[0] < minute:
            point.take(known[1])
        point.take(value)
        point.level = value
        self._levels[key] = (minute, value)

    def levels(self, resource: str) -> Iterator[tuple[str, Dimensions]]:
        """The levels that a resource has now: (metric, dimensions)."""
        wanted = resource.lower()
        yield from [(key[1], key[2]) for key in self._levels if key[0] == wanted]

    def _point(self, key: Key, minute: int) -> Point:
        point = self._pending.get((key, minute))
        if point is None:
            point = self._pending[key, minute] = Point()
            known = self._levels.get(key)
            if known is not None:
                point.level = known[1]
            if self._timer is None and self._connection is not None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(WRITE_AFTER, self._due)
        return point

    # ------------------------------------------------------------------ writing

    def _due(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Write what is pending: an answer tells what is written."""
        connection = self._connection
        if connection is None or not self._pending:
            return
        pending, self._pending = self._pending, {}
        try:
            with transaction(connection):
                numbers = {key: self._number(connection, key) for key, _ in pending}
                connection.executemany(
                    "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (series, minute) "
                    "DO UPDATE SET count = count + excluded.count, total = total + excluded.total, "
                    "low = min(low, excluded.low), high = max(high, excluded.high), "
                    "level = excluded.level",
                    [
                        (numbers[key], minute, p.count, p.total, p.low, p.high, p.level)
                        for (key, minute), p in pending.items()
                    ],
                )
                self._prune(connection)
        except sqlite3.Error as error:
            # A full disk costs these measurements, and nothing else: the numbers of series that
            # were made with them are nobody's again.
            self._ids.clear()
            _log.warning("metrics were not written: %s", error)

    def _number(self, connection: sqlite3.Connection, key: Key) -> int:
        """The number of a series, which is made where there is none yet."""
        known = self._ids.get(key)
        if known is not None:
            return known
        row = (key[0], key[1], json.dumps(key[2]))
        connection.execute(
            "INSERT OR IGNORE INTO series (resource, metric, dimensions) VALUES (?, ?, ?)", row
        )
        number = connection.execute(
            "SELECT id FROM series WHERE resource = ? AND metric = ? AND dimensions = ?", row
        ).fetchone()[0]
        if len(self._ids) >= KNOWN:
            self._ids.clear()
        self._ids[key] = int(number)
        return int(number)

    def _prune(self, connection: sqlite3.Connection) -> None:
        now = self._clock.time()
        if 0 <= now - self._pruned < _PRUNE_EVERY:
            return
        self._pruned = now
        oldest = self.minute - RETENTION
        rows = connection.execute("SELECT count(*) FROM points").fetchone()[0]
        if rows > MOST_ROWS:
            found = connection.execute(
                "SELECT minute FROM points ORDER BY minute LIMIT 1 OFFSET ?",
                (rows - MOST_ROWS,),
            ).fetchone()
            oldest = max(oldest, found[0])
        # The newest row of a level stays: it still holds.
        gone = connection.execute(
            "DELETE FROM points WHERE minute < ? AND (level IS NULL OR minute < ("
            " SELECT max(p.minute) FROM points p WHERE p.series = points.series))",
            (oldest,),
        ).rowcount
        if gone:
            connection.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM points)")
            self._ids.clear()

    # ------------------------------------------------------------------ reading

    def points(
        self, resource: str, metric: str, first: int, last: int
    ) -> Mapping[Key, dict[int, Point]]:
        """What was measured of a metric in the minutes from `first` on and before `last`, by series
        and minute; of a level also the point before `first`, which holds until the next.

        May be called in any thread; `flush` before.
        """
        with self._reading:
            if self._reader is None:
                return {}
            return self._points(self._reader, resource, metric, first, last)

    @staticmethod
    def _points(
        connection: sqlite3.Connection, resource: str, metric: str, first: int, last: int
    ) -> Mapping[Key, dict[int, Point]]:
        found: dict[Key, dict[int, Point]] = {}
        place = (resource.lower(), metric)
        if metric in LEVELS:
            rows = connection.execute(
                "SELECT s.dimensions, p.minute, p.count, p.total, p.low, p.high, p.level "
                "FROM series s JOIN points p ON p.series = s.id "
                "WHERE s.resource = ? AND s.metric = ? AND p.minute < ? AND p.minute >= coalesce("
                "(SELECT max(minute) FROM points WHERE series = s.id AND minute < ?), ?)",
                (*place, last, first, first),
            )
        elif last - first > WIDE:
            rows = connection.execute(
                "SELECT s.dimensions, p.minute, p.count, p.total, p.low, p.high, p.level "
                "FROM series s CROSS JOIN points p ON p.series = s.id "
                "WHERE s.resource = ? AND s.metric = ? AND p.minute >= ? AND p.minute < ?",
                (*place, first, last),
            )
        else:
            # By the minutes, of which few are asked for: there may be a series for each execution.
            rows = connection.execute(
                "SELECT s.dimensions, p.minute, p.count, p.total, p.low, p.high, p.level "
                "FROM points p INDEXED BY points_by_minute CROSS JOIN series s ON s.id = p.series "
                "WHERE p.minute >= ? AND p.minute < ? AND s.resource = ? AND s.metric = ?",
                (first, last, *place),
            )
        read: dict[str, Key] = {}
        for dimensions, minute, *point in rows:
            key = read.get(dimensions)
            if key is None:
                key = read[dimensions] = (*place, _read(dimensions))
            found.setdefault(key, {})[minute] = Point(*point)
        return found


def _read(dimensions: str) -> Dimensions:
    return tuple((name, value) for name, value in json.loads(dimensions))
