"""How a group of changes is written into the SQLite store: with few statements, each prepared once.

Statements take many rows at once. Each call into SQLite gives up the interpreter lock, and taking
it back from a busy event loop may cost its whole switch interval; one call for 512 rows pays once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from orchestrator.localcloud.servicebus.store.contract import (
    MAX_SEQUENCE,
    SEQUENCE_BITS,
    Change,
    HistoryRow,
    MessageRow,
    StateRow,
    key_of,
)

# Rows per statement: few sizes, so that each stays prepared, and few statements for any number.
_SIZES = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_SMALL_SIZES = (8, 1)
PREPARED = 128
_PLAIN = "REPLACE INTO messages (key,state,delivery_count,enqueued_at,payload) VALUES"
_PLAIN_VALUES = itemgetter(*map(MessageRow._fields.index, ("key", "enqueued_at", "payload")))
# From how many messages in a row they are deleted by the first and the last of them.
_RUN = 3
_LARGE_GROUP = 4 * 1024 * 1024


class Untold(dict[int, int | None]):
    """The last sequence number of each queue whose newest message is the only one that tells it.

    A message is in the row of its number, so that storing one need not write that number a second
    time, into another page. It is written before the message goes. (None: it is written.)
    """


def apply_single(connection: sqlite3.Connection, changes: Sequence[Change], now: Untold) -> bool:
    """Write a group that is one plain message, as a lone sender makes it: a single statement, which
    is a transaction of its own. False, and nothing is done: it is another group.

    now: gets what becomes of `Untold`."""
    change = changes[0]
    if (
        len(changes) > 1
        or len(change.puts) != 1
        or change.states
        or change.deletes
        or change.history
        or change.definitions
        or change.drops
    ):
        return False
    row = change.puts[0]
    queue = row[0] >> SEQUENCE_BITS
    if not _is_plain(row) or change.last != {queue: row[0] & MAX_SEQUENCE}:
        return False
    connection.execute(_plain_statement(1), _PLAIN_VALUES(row))
    now.update(change.last)
    return True


def apply(
    connection: sqlite3.Connection, changes: Sequence[Change], before: Untold, now: Untold
) -> None:
    """Write a group: what several changes say of one row is written once, as the last says it.

    before, now: `Untold` as it is, and what becomes of it once this is committed."""
    puts = [row for change in changes for row in change.puts]
    deletes = [key for change in changes for key in change.deletes]
    gone = set(deletes)
    states = {row.key: row for change in changes for row in change.states if row.key not in gone}
    plain = [row for row in puts if _is_plain(row)]
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
    _note_sequences(
        connection, last, {row[0] for row in puts} if last else (), deletes, before, now
    )
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
        now[queue] = None


def _is_plain(row: MessageRow) -> bool:
    # By name: slower.
    return row[4] is None and row[5] is None and row[1] == 0 and row[2] == 0


def _note_sequences(
    connection: sqlite3.Connection,
    last: Mapping[int, int],
    put: Container[int],
    deletes: Iterable[int],
    before: Untold,
    now: Untold,
) -> None:
    """Write the last sequence numbers that no message will tell."""
    losing = {key >> SEQUENCE_BITS for key in deletes} if last or before else set()
    notes = [(queue, number) for queue in losing if (number := before.get(queue)) is not None]
    for queue, number in last.items():
        if queue in losing or key_of(queue, number) not in put:
            notes.append((queue, number))
        else:
            now[queue] = number
    now.update((queue, None) for queue, _ in notes)
    _insert(connection, "sequences", ("queue", "last"), notes)


def _drop(connection: sqlite3.Connection, queue: int) -> None:
    keys = (queue << SEQUENCE_BITS, (queue + 1) << SEQUENCE_BITS)
    connection.execute("DELETE FROM messages WHERE key >= ? AND key < ?", keys)
    connection.execute("DELETE FROM states WHERE key >= ? AND key < ?", keys)
    connection.execute("DELETE FROM history WHERE queue = ?", (queue,))
    connection.execute("DELETE FROM sequences WHERE queue = ?", (queue,))


@lru_cache(maxsize=PREPARED)
def _insert_statement(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({','.join('?' * len(columns))})"
    values = ",".join([row] * rows)
    return f"REPLACE INTO {table} ({','.join(columns)}) VALUES {values}"  # noqa: S608 -- our names


@lru_cache(maxsize=PREPARED)
def _plain_statement(rows: int) -> str:
    return f"{_PLAIN} {','.join(['(?,0,0,?,?)'] * rows)}"


@lru_cache(maxsize=PREPARED)
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
