"""The durable memory of the runtime: executions, their replicas, and when schedules last fired.

One SQLite file in WAL mode. Every step survives the death of the process. What a client is answered
for (an execution accepted, a stop asked for) is synced to the disk before the answer, by `sync`,
off the event loop; other steps may be lost with the power, and are then taken again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from orchestrator.localcloud.databases import open_database, transaction
from orchestrator.localcloud.runtime.model import (
    ExecutionRecord,
    ReplicaRecord,
    RuntimeFault,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  job      TEXT NOT NULL,
  name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
  final    INTEGER NOT NULL,
  deleted  INTEGER NOT NULL,
  bounded  INTEGER NOT NULL,
  data     BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS executions_of_job ON executions (job, sequence);
CREATE INDEX IF NOT EXISTS executions_unfinished ON executions (sequence) WHERE final = 0;
CREATE TABLE IF NOT EXISTS replicas (
  sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
  execution TEXT NOT NULL COLLATE NOCASE,
  name      TEXT NOT NULL UNIQUE,
  data      BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS replicas_of_execution ON replicas (execution, sequence);
CREATE TABLE IF NOT EXISTS schedules (
  job   TEXT PRIMARY KEY,
  cron  TEXT NOT NULL,
  fired REAL NOT NULL
);
"""
_VERSION = 1

_encode = msgspec.json.Encoder().encode
_decode_execution = msgspec.json.Decoder(ExecutionRecord).decode
_decode_replica = msgspec.json.Decoder(ReplicaRecord).decode


class NameTaken(Exception):  # noqa: N818 - an answer, told apart from faults of the disk
    """An execution of this name is there already: make up another."""


class ExecutionStore:
    """Executions in SQLite. Belongs to one thread.

    Args:
        path: The file; created, readable by its owner only, when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file.

        Raises:
            RuntimeFault: It is not a database of this kind (code `StateUnreadable`). It is left
                as it is.
        """
        try:
            self._connection = open_database(
                self.path, _SCHEMA, _VERSION, synchronous="NORMAL", any_thread=True
            )
        except (sqlite3.Error, OSError) as error:
            raise RuntimeFault(
                "StateUnreadable",
                f"The local cloud cannot read its executions in {self.path} ({error}). "
                "`orchestrator local reset` starts with an empty state.",
                status=500,
            ) from error

    def close(self) -> None:
        """Close the file; a closed store can be opened again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ------------------------------------------------------------------ writing

    def add(
        self,
        executions: Sequence[ExecutionRecord],
        *,
        bounded: bool,
        fired: tuple[str, str, float] | None = None,
    ) -> None:
        """Write new executions, and that a schedule fired for them: all or nothing.

        Args:
            executions: The new ones, of one job.
            bounded: Whether the history of executions like these is trimmed.
            fired: (job key, cron expression, epoch seconds) of the schedule.

        Raises:
            NameTaken: One of the names is in use; nothing was written.
            RuntimeFault: The disk is full or broken (code `StorageFull`).
        """
        try:
            with transaction(self._database) as connection:
                for record in executions:
                    connection.execute(
                        "INSERT INTO executions (job, name, final, deleted, bounded, data)"
                        " VALUES (?, ?, 0, 0, ?, ?)",
                        (record.job_id.lower(), record.name, bounded, _execution_bytes(record)),
                    )
                if fired is not None:
                    self._set_fired(connection, *fired)
        except sqlite3.IntegrityError as error:
            raise NameTaken from error
        except sqlite3.Error as error:
            raise RuntimeFault(
                "StorageFull",
                f"The execution was not started: {self.path} cannot be written ({error}). "
                "Free some disk space and start again.",
                status=507,
            ) from error

    def save(self, record: ExecutionRecord) -> None:
        """Write the present state of an execution (not of its replicas)."""
        with transaction(self._database) as connection:
            connection.execute(
                "UPDATE executions SET final = ?, deleted = ?, data = ? WHERE name = ?",
                (record.status.final, record.deleted, _execution_bytes(record), record.name),
            )

    def save_replica(self, execution: str, *replicas: ReplicaRecord) -> None:
        """Write the present state of replicas."""
        with transaction(self._database) as connection:
            connection.executemany(
                "INSERT INTO replicas (execution, name, data) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET data = excluded.data",
                [(execution, replica.name, _encode(replica)) for replica in replicas],
            )

    def mark_deleted(self, job: str) -> None:
        """The job is gone: list none of its executions any more; drop those that are over."""
        with transaction(self._database) as connection:
            connection.execute("DELETE FROM schedules WHERE job = ?", (job,))
            connection.execute("UPDATE executions SET deleted = 1 WHERE job = ?", (job,))
            self._drop(connection, "job = ? AND final = 1", (job,))

    def purge(self, name: str) -> None:
        """Forget one execution."""
        with transaction(self._database) as connection:
            self._drop(connection, "name = ?", (name,))

    def trim(self, job: str, keep: int) -> None:
        """Forget a job's oldest finished executions of the bounded kind, all but `keep`."""
        with transaction(self._database) as connection:
            self._drop(
                connection,
                "job = ? AND bounded = 1 AND final = 1 AND sequence <= ("
                " SELECT sequence FROM executions WHERE job = ? AND bounded = 1 AND final = 1"
                " ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
                (job, job, keep),
            )

    async def sync(self) -> None:
        """Return once everything written so far is on the disk, power cut or not.

        Raises:
            RuntimeFault: The disk is broken (code `StorageFull`).
        """
        try:
            await asyncio.to_thread(_sync_file, self.path.with_name(self.path.name + "-wal"))
        except OSError as error:
            raise RuntimeFault(
                "StorageFull",
                f"{self.path} cannot be written to the disk ({error}); "
                "what was asked for may or may not happen.",
                status=507,
            ) from error

    # ------------------------------------------------------------------ reading

    def executions(self, job: str) -> list[ExecutionRecord]:
        """A job's executions with their replicas, newest first."""
        records = [
            _decode_execution(data)
            for (data,) in self._database.execute(
                "SELECT data FROM executions WHERE job = ? AND deleted = 0 ORDER BY sequence DESC",
                (job,),
            )
        ]
        by_name = {record.name: record for record in records}
        for name, data in self._database.execute(
            "SELECT e.name, r.data FROM executions e JOIN replicas r ON r.execution = e.name"
            " WHERE e.job = ? AND e.deleted = 0 ORDER BY r.sequence",
            (job,),
        ):
            by_name[name].replicas.append(_decode_replica(data))
        return records

    def execution(self, job: str, name: str) -> ExecutionRecord | None:
        """One execution with its replicas; its name in any case."""
        row = self._database.execute(
            "SELECT data FROM executions WHERE job = ? AND name = ? AND deleted = 0", (job, name)
        ).fetchone()
        return None if row is None else self._with_replicas(_decode_execution(row[0]))

    def unfinished(self) -> list[ExecutionRecord]:
        """Every execution that is not over, those of deleted jobs too, oldest first."""
        rows = self._database.execute(
            "SELECT data, deleted FROM executions WHERE final = 0 ORDER BY sequence"
        ).fetchall()
        records = []
        for data, deleted in rows:
            record = self._with_replicas(_decode_execution(data))
            record.deleted = bool(deleted)
            records.append(record)
        return records

    # ------------------------------------------------------------------ schedules

    def fired(self, job: str) -> tuple[str, float] | None:
        """(cron expression, epoch seconds) up to which a job's schedule is settled."""
        row = self._database.execute(
            "SELECT cron, fired FROM schedules WHERE job = ?", (job,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def set_fired(self, job: str, cron: str, when: float) -> None:
        """Settle a schedule up to `when` (epoch seconds)."""
        with transaction(self._database) as connection:
            self._set_fired(connection, job, cron, when)

    def forget_schedule(self, job: str) -> None:
        """The job has no schedule (any more)."""
        with transaction(self._database) as connection:
            connection.execute("DELETE FROM schedules WHERE job = ?", (job,))

    # ------------------------------------------------------------------ inside

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the execution store is not open")
        return self._connection

    def _with_replicas(self, record: ExecutionRecord) -> ExecutionRecord:
        record.replicas = [
            _decode_replica(data)
            for (data,) in self._database.execute(
                "SELECT data FROM replicas WHERE execution = ? ORDER BY sequence", (record.name,)
            )
        ]
        return record

    @staticmethod
    def _set_fired(connection: sqlite3.Connection, job: str, cron: str, when: float) -> None:
        connection.execute(
            "INSERT INTO schedules (job, cron, fired) VALUES (?, ?, ?)"
            " ON CONFLICT (job) DO UPDATE SET cron = excluded.cron, fired = excluded.fired",
            (job, cron, when),
        )

    @staticmethod
    def _drop(connection: sqlite3.Connection, where: str, values: Iterable[object]) -> None:
        arguments = tuple(values)
        connection.execute(
            "DELETE FROM replicas WHERE execution IN"  # noqa: S608 - `where` is ours
            f" (SELECT name FROM executions WHERE {where})",
            arguments,
        )
        connection.execute(f"DELETE FROM executions WHERE {where}", arguments)  # noqa: S608


def _sync_file(path: Path) -> None:
    # What SQLite has written is synced through any handle on the same file. It does not do so
    # itself (`synchronous = NORMAL`), for its fsync would hold up the event loop. When there is no
    # such file, a checkpoint has just synced everything into the database.
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _execution_bytes(record: ExecutionRecord) -> bytes:
    replicas, record.replicas = record.replicas, []
    try:
        return _encode(record)
    finally:
        record.replicas = replicas
